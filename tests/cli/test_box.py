"""A box that runs by itself: its unit, its health, its logs, its notifications, and a ledger of an older Bolt."""

from __future__ import annotations

import json
import plistlib
import queue
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
import pytest

from bolt_tui.commands.exits import Exit
from bolt_tui.health import examine
from bolt_tui.logs import LOGS_KEPT, rotate
from bolt_tui.notify import FAILED_CODE, Notice, NoticeCounts, Notifier, counts_path, read_counts
from bolt_tui.notify_settings import NotifySettings
from bolt_tui.service import unit
from bolt_tui.settings import Home, parse_settings
from bolt_tui.wiring import projections
from engine.domain import events as ev
from engine.domain.errors import SettingsError, StoreLocked, StoreUnwritable, StoreVersion
from engine.domain.ids import new_ledger_id
from engine.domain.ledger_events import EngineStarted
from engine.store.journal import Journal
from engine.store.upgrade import upgrade
from engine.store.verify import verify
from tests.cli.conftest import Ran
from tests.server.fakes import Served

Bolt = Callable[..., Ran]
WAIT_S = 30


# -- the unit ----------------------------------------------------------------------------------------------------------


def test_a_systemd_unit_names_this_home_and_this_bolt(bolt: Bolt, home: Home) -> None:
    ran = bolt("service", "print", "--kind", "systemd", "--strategy", "BuyTheDip")
    assert ran.code == Exit.OK
    lines = ran.out.splitlines()
    program = Path(sys.executable).parent / "bolt"
    assert f"Environment=BOLT_HOME={home.root}" in lines
    assert f"ExecStart={program} headless --strategy BuyTheDip" in lines
    assert "Restart=on-failure" in lines
    assert "RestartPreventExitStatus=2 6" in lines
    assert [line for line in lines if line.startswith("[")] == ["[Unit]", "[Service]", "[Install]"]


def test_systemd_itself_has_nothing_against_the_unit(bolt: Bolt, tmp_path: Path) -> None:
    """Where its checker is there: elsewhere the lines are those of the tests around this one."""
    tool = shutil.which("systemd-analyze")
    path = tmp_path / "bolt.service"
    for spoilt, is_sound in (("", True), ("\nNoSuchKey=1\n", False)):
        path.write_text(bolt("service", "print", "--kind", "systemd").out + spoilt, encoding="utf-8")
        if tool is not None:
            ran = subprocess.run([tool, "verify", str(path)], capture_output=True, text=True, timeout=60, check=False)
            faults = [line for line in ran.stderr.splitlines() if "bolt.service" in line]
            assert (faults == []) is is_sound, faults


def test_odd_paths_are_written_so_that_the_service_manager_reads_them() -> None:
    home = Path('/srv/my "desk" 100%$')
    text = unit("systemd", home, program=Path("/opt/bolt app/bolt"))
    assert 'Environment="BOLT_HOME=/srv/my \\"desk\\" 100%%$$"' in text
    assert 'ExecStart="/opt/bolt app/bolt" headless' in text
    plist = plistlib.loads(unit("launchd", Path("/srv/a&b <c>"), ("One",)).encode())
    assert plist["EnvironmentVariables"] == {"BOLT_HOME": "/srv/a&b <c>"}
    assert plist["ProgramArguments"][1:] == ["headless", "--strategy", "One"]
    assert plist["KeepAlive"] == {"SuccessfulExit": False}


# -- health ------------------------------------------------------------------------------------------------------------


def test_status_says_how_the_box_is(bolt: Bolt, engine: Served, home: Home) -> None:
    (home.logs / "engine.log").write_bytes(b"x" * 3 * 2**20)
    ran = bolt("status")
    assert ran.code == Exit.OK
    assert "logs 3 MB" in ran.out
    assert "last fill none" in ran.out
    told = bolt("status", "--json").json["health"]
    assert told["faults"] == []
    assert told["disk_free_mb"] > 0
    assert told["notices"] is None


def test_what_needs_a_person_has_an_exit_code_of_its_own(bolt: Bolt, engine: Served, home: Home) -> None:
    counts = NoticeCounts(sent=3, failed=2, error="webhook: HTTPError 500", failing=True)
    counts_path(home).write_bytes(msgspec.json.encode(counts))
    ran = bolt("status")
    assert ran.code == Exit.INCOMPLETE
    assert "NEEDS A PERSON: notifications fail: webhook: HTTPError 500" in ran.out
    view = engine.door.view()
    bad = msgspec.structs.replace(
        view, status=msgspec.structs.replace(view.status, ledger_error="disk full", head_seq=90_000)
    )
    assert [words.split(":")[0] for words in examine(home, bad).faults] == [
        "the ledger takes no writes",
        "90000 journal rows wait for the disk",
        "notifications fail",
    ]


def test_a_long_log_is_put_aside_and_goes_on_in_the_same_file(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    with log.open("ab") as held:
        for number in range(LOGS_KEPT + 3):
            held.write(b"%d" % number * 200)
            held.flush()
            assert rotate(log, 100)
            assert not rotate(log, 100)
        held.write(b"new")
    assert log.read_bytes() == b"new"
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["engine.log", *(f"engine.log.{number}" for number in range(1, LOGS_KEPT + 1))]
    assert (tmp_path / "engine.log.1").read_bytes() == b"6" * 200
    assert not rotate(tmp_path / "none.log", 100)


# -- notifications -----------------------------------------------------------------------------------------------------


class Hook(HTTPServer):
    """A webhook that keeps what it gets, and answers as it is told."""

    def __init__(self) -> None:
        self.got: queue.Queue[dict[str, object]] = queue.Queue()
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.put(json.loads(body))
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/secret-token"


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.shutdown()
    made.server_close()


def test_an_alert_reaches_the_webhook_and_the_command(hook: Hook, tmp_path: Path, home: Home) -> None:
    out = tmp_path / "said"
    command = (
        sys.executable,
        "-c",
        "import sys; open(sys.argv[1], 'a').write(sys.argv[2])",
        str(out),
        "{word}: {text}",
    )
    notifier = Notifier(NotifySettings(webhook=hook.url, command=command), counts_path(home))
    assert ev.AlertRaised in notifier.kinds()
    assert ev.OrderFilled not in notifier.kinds()
    notifier.on_event(7, 10**18, ev.AlertRaised(severity="warn", code="DISK", text="the disk is slow"))
    got = hook.got.get(timeout=WAIT_S)
    assert "the disk is slow" in str(got["text"])
    assert got["severity"] == "warn"
    notifier.close(WAIT_S)
    assert "the disk is slow" in out.read_text()
    counts = read_counts(home)
    assert counts is not None
    assert (counts.sent, counts.failed, counts.failing) == (2, 0, False)


def test_a_failure_is_counted_told_once_and_shows_no_secret(hook: Hook, home: Home) -> None:
    told: list[str] = []
    hook.status = 500
    notifier = Notifier(NotifySettings(webhook=hook.url), counts_path(home), told.append)
    for number in range(3):
        notifier.offer(Notice(number, "HALT", "x"))
    notifier.on_event(9, 9, ev.AlertRaised(severity="warn", code=FAILED_CODE, text="it fails"))
    notifier.close(WAIT_S)
    assert told == ["webhook: HTTPError 500"]
    assert (notifier.counts.failed, notifier.counts.failing) == (3, True)
    kept = counts_path(home).read_text()
    assert "secret-token" not in kept
    assert "secret-token" not in repr(NotifySettings(webhook=hook.url))


def test_too_many_are_held_back_and_a_stuck_channel_delays_nobody(home: Home) -> None:
    gate, sent = threading.Event(), []

    def stuck(notice: Notice) -> None:
        gate.wait(WAIT_S)
        sent.append(notice.text)

    notifier = Notifier(NotifySettings(per_hour=2), counts_path(home), sends={"stuck": stuck})
    for number in range(400):
        notifier.offer(Notice(number, "ALERT", str(number)))  # returns although nothing is sent yet
    assert sent == []
    assert notifier.counts.dropped >= 400 - 256 - 2
    gate.set()
    notifier.close(WAIT_S)
    assert sent == ["0", "1"]
    assert notifier.counts.held == 400 - 2 - notifier.counts.dropped


def test_without_a_channel_nothing_is_wanted_and_no_thread_begins(home: Home) -> None:
    notifier = Notifier(NotifySettings(), counts_path(home))
    assert notifier.kinds() == ()
    notifier.close()
    assert read_counts(home) is None


def test_notify_test_tries_each_channel(bolt: Bolt, home: Home, hook: Hook) -> None:
    assert bolt("notify", "test").code == Exit.REFUSED
    home.settings.write_text(f"notify: {{webhook: '{hook.url}', command: [/nowhere/notify]}}\n", encoding="utf-8")
    ran = bolt("notify", "test")
    assert ran.code == Exit.INCOMPLETE
    assert "webhook: sent" in ran.out
    assert "command: FAILED, FileNotFoundError: No such file or directory" in ran.out
    assert hook.got.get(timeout=WAIT_S)["word"] == "TEST"


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("notify: {webhook: 'ftp://x'}", "notify.webhook is no URL"),
        ("notify: {per_hour: 0}", "notify.per_hour was 0"),
        ("notify: {tell: [everything]}", "Invalid enum value 'everything'"),
        ("notify: {mail: {host: h, sender: a, to: b@c}}", "notify.mail needs a host"),
        (
            "notify: {mail: {host: h, sender: a@b, to: b@c, user: me}}",
            "notify.mail.user is given without password_file",
        ),
        ("paper: {reset: noon}", "paper.reset was 'noon'; expected a time of day"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(words: str, fault: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(fault)):
        parse_settings(words)


# -- an older ledger ---------------------------------------------------------------------------------------------------


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A ledger as an older Bolt might have left it: another schema, tables that differ."""
    path = tmp_path / "old.db"
    journal = Journal.open(path, 10**18, new_ledger_id, "USD")
    for projection in projections():
        journal.attach(projection)
    journal.append(10**18, EngineStarted(clean=True, mode="paper"))
    journal.commit()
    journal.close()
    with closing(sqlite3.connect(path)) as link:
        link.execute("UPDATE meta SET value = '0'")
        link.execute("DROP TABLE orders")
        link.execute("CREATE TABLE orders (order_id TEXT PRIMARY KEY, gone TEXT)")
        link.execute("INSERT INTO orders VALUES ('P1', 'x')")
        link.commit()
    return path


def test_an_older_ledger_is_refused_with_the_command_that_upgrades_it(older: Path, bolt: Bolt) -> None:
    with pytest.raises(StoreVersion, match="or `bolt ledger upgrade`, which backs it up first"):
        Journal.open(older, 10**18, new_ledger_id, "USD")
    ran = bolt("ledger", "upgrade", "--ledger", str(older))
    assert (ran.code, ran.err) == (Exit.OK, "")
    assert "projections made from 2 journal rows" in ran.out
    assert verify(older, projections).ok
    with closing(sqlite3.connect(f"{older}.schema0.bak")) as link:
        assert link.execute("SELECT gone FROM orders").fetchone() == ("x",)
        rows = link.execute("SELECT seq, payload, hash FROM journal").fetchall()
    with closing(sqlite3.connect(older)) as link:
        assert link.execute("SELECT seq, payload, hash FROM journal").fetchall() == rows
    again = bolt("ledger", "upgrade", "--ledger", str(older))
    assert again.code == Exit.OK, "nothing is left to do, and it does no harm"


def test_what_cannot_be_upgraded_is_left_as_it_is(older: Path, tmp_path: Path, bolt: Bolt) -> None:
    (tmp_path / "old.db.schema0.bak").write_bytes(b"kept")
    with pytest.raises(StoreUnwritable, match="an upgrade was begun before"):
        upgrade(older, projections)
    with closing(sqlite3.connect(older)) as link:
        link.execute("UPDATE meta SET value = '99'")
        link.commit()
    with pytest.raises(StoreVersion, match="a newer Bolt wrote it"):
        upgrade(older, projections)
    with pytest.raises(StoreUnwritable, match="there is no ledger"):
        upgrade(tmp_path / "none.db", projections)
    assert not (tmp_path / "none.db").exists()
    held = Journal.open(tmp_path / "held.db", 10**18, new_ledger_id, "USD")
    with pytest.raises(StoreLocked):
        upgrade(tmp_path / "held.db", projections)
    held.close()


# -- the tape ----------------------------------------------------------------------------------------------------------


def test_recorded_days_are_removed_and_the_ledger_names_them(bolt: Bolt, home: Home) -> None:
    for day in ("20200101", "20200102"):
        (home.tape / day).mkdir(parents=True)
        (home.tape / day / "000001.jsonl.gz").write_bytes(b"x" * 100)
    ran = bolt("tape", "prune")
    assert ran.code == Exit.USAGE
    assert "there is no ledger" in ran.err
    Journal.open(home.ledger, 10**18, new_ledger_id, "USD").close()
    held = Journal.open(home.ledger, 10**18, new_ledger_id, "USD")
    assert bolt("tape", "prune").code == Exit.STORE
    held.close()
    assert (home.tape / "20200101").exists(), "nothing is removed that the ledger cannot name"
    assert bolt("tape", "prune", "--json").json["days"] == ["20200101", "20200102"]
    assert not any(home.tape.iterdir())
    assert "nothing to remove" in bolt("tape", "prune").out
    assert "tape_pruned" in bolt("ledger", "show").out


@pytest.mark.parametrize("words", ["best", "power:0", "power:9", "power:x"])
def test_a_queue_model_that_is_none_is_refused(bolt: Bolt, words: str) -> None:
    ran = bolt("replay", "x.csv", "--order", "b 1 X @mkt", "--queue", words)
    assert ran.code == Exit.USAGE
    assert f"--queue was {words!r}; expected trades, or power:1 to power:8" in ran.err


def test_a_queue_model_is_named_in_the_report(bolt: Bolt) -> None:
    day = Path(__file__).resolve().parents[1] / "data" / "own_small.csv"
    ran = bolt(
        "replay", str(day), "--instrument", "X:tick=0.01", "--order", "b 1 X @mkt", "--queue", "power:2", "--json"
    )
    assert "cancels move us by the power-2 model" in str(json.loads(ran.out)["realism"])
