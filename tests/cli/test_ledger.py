"""`bolt ledger` from the command line: prove, export, copy and archive, and the words where something does not hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import rmtree

import pytest

from bolt_tui.commands.exits import Exit
from bolt_tui.settings import Home
from engine.domain.ledger_events import TapeAnchored
from engine.market.tape import chunk_path, write_chunk
from tests.cli.conftest import Ran
from tests.store.disk import small_disk
from tests.store.shop import Desk, alert, run_sql, trade

Bolt = Callable[..., Ran]


@pytest.fixture
def ledger(home: Home) -> Path:
    trade(home.ledger)
    return home.ledger


def test_a_ledger_is_copied_proven_and_held_to_its_head(bolt: Bolt, ledger: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    made = bolt("ledger", "backup", str(copy), "--json")
    assert (made.code, made.json["ok"], made.json["rows"]) == (Exit.OK, True, 8)
    again = bolt("ledger", "backup", str(copy))
    assert (again.code, "already; name a new file" in again.err) == (Exit.USAGE, True)
    proof = bolt("ledger", "verify", "--json").json
    head = f"{proof['head_seq']}:{proof['head_hash']}"
    assert head in bolt("ledger", "verify").out, "what is to be kept is shown"
    for kept in (head, str(copy.with_name("copy.db.head"))):
        assert bolt("ledger", "verify", "--head", kept).code == Exit.OK
    assert bolt("ledger", "verify", "--head", f"8:{'0' * 64}").code == Exit.STORE
    named = bolt("ledger", "verify", str(copy))
    assert (named.code, f"`bolt ledger verify --ledger {copy}` proves it" in named.err) == (Exit.USAGE, True)
    wrong = bolt("ledger", "verify", "--head", "8")
    assert (wrong.code, "expected SEQ:HASH" in wrong.err) == (Exit.USAGE, True)


def test_a_copy_is_proven_without_the_tape_that_is_not_part_of_it(
    bolt: Bolt, ledger: Path, home: Home, tmp_path: Path
) -> None:
    name = "tape/20231114/000001"
    desk = Desk(ledger)
    desk.record(TapeAnchored(name=name, sha256=write_chunk(chunk_path(home.tape, name), [b"[]"]), rows=1))
    desk.journal.close()
    copy = tmp_path / "elsewhere" / "copy.db"
    copy.parent.mkdir()
    made = bolt("ledger", "backup", str(copy))
    assert (made.code, "1 chunks of the tape are not with it" in made.out) == (Exit.OK, True)
    alone = bolt("ledger", "verify", "--ledger", str(copy))
    assert (alone.code, "1 chunks of the tape are not with it" in alone.out) == (Exit.OK, True)
    assert "1 chunks of the tape are whole" in bolt("ledger", "verify").out
    (copy.parent / "tape").mkdir()
    assert bolt("ledger", "verify", "--ledger", str(copy)).code == Exit.STORE, "a tape that is there is judged"
    rmtree(home.tape)
    gone = bolt("ledger", "verify")
    assert (gone.code, f"{name}.jsonl.gz is missing" in gone.out) == (Exit.STORE, True), (
        "in the state folder it must be there"
    )


@pytest.mark.parametrize("command", ["ledger show", "events"])
@pytest.mark.parametrize(
    ("option", "number", "said"),
    [
        ("--from", "-5", "--from was -5; expected the number of a row"),
        ("--from", str(10**20), f"--from was {10**20}; expected the number of a row"),
        ("--limit", "0", "--limit was 0; expected 1 or more"),
    ],
)
def test_a_number_that_no_row_has_is_refused_in_words(
    bolt: Bolt, ledger: Path, command: str, option: str, number: str, said: str
) -> None:
    ran = bolt(*command.split(), option, number)
    assert (ran.code, said in ran.err) == (Exit.USAGE, True)
    every = bolt(*command.split(), "--limit", str(10**30)).out
    assert every.count("\n") - every.startswith("FROM THE LEDGER") == 8, "all that there are"


def test_an_export_that_was_cut_short_never_stands_under_its_name(bolt: Bolt, ledger: Path) -> None:
    """It would prove itself: its records hold, and only a head kept elsewhere says that there were more."""
    desk = Desk(ledger)
    for number in range(60):
        desk.record(alert(number, "x" * 20_000))
    desk.journal.close()
    with small_disk(1) as folder:
        whole = folder / "out.jsonl"
        whole.write_text("of another day")
        ran = bolt("ledger", "export", str(whole))
        assert ran.code != Exit.OK
        assert f"{whole}: No space left on device" in ran.err
        assert [path.name for path in folder.iterdir()] == ["out.jsonl"]
        assert whole.read_text() == "of another day"


@pytest.mark.parametrize("name", ["l.jsonl", "l.yaml", "l.yaml.gz"])
def test_an_export_is_written_and_proven(bolt: Bolt, ledger: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert bolt("ledger", "export", str(path)).code == Exit.OK
    proof = bolt("ledger", "verify", str(path), "--json")
    assert (proof.code, proof.json["rows"], proof.json["findings"]) == (Exit.OK, 8, [])
    path.write_bytes(path.read_bytes()[:-20])
    torn = bolt("ledger", "verify", str(path))
    assert (torn.code, "ends within a record" in torn.out) == (Exit.STORE, True)


def test_days_that_are_over_are_archived(bolt: Bolt, ledger: Path, tmp_path: Path) -> None:
    folder = tmp_path / "days"
    (day,) = bolt("ledger", "archive", str(folder), "--json").json["days"]
    assert (Path(day["path"]).name, day["first_seq"], day["last_seq"]) == ("2023-11-14.jsonl.gz", 1, 8)
    assert "holds every day that is over" in bolt("ledger", "archive", str(folder)).out
    assert bolt("ledger", "verify", day["path"]).code == Exit.OK
    run_sql(ledger, "UPDATE journal SET kind = 'x' WHERE seq = 2")
    other = bolt("ledger", "archive", str(tmp_path / "more"))
    assert (other.code, "row 2 (x) was changed" in other.err) == (Exit.STORE, True)
