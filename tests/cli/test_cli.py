"""The command line itself: cheap to start, every subcommand documented, every failure a code and a sentence."""

import io
import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest

from bolt_tui.cli import main, parser, run
from bolt_tui.commands.exits import Exit
from bolt_tui.commands.subcommand import Subcommand
from bolt_tui.commands.table import FAMILIES, TABLE
from bolt_tui.output import Output, columns
from bolt_tui.settings import Home
from tests.cli.conftest import Ran

ROOT = Path(__file__).resolve().parents[2]
Bolt = Callable[..., Ran]
HEAVY = (
    "textual",
    "rich",
    "sqlmodel",
    "sqlalchemy",
    "pydantic",
    "pandas",
    "numpy",
    "yaml",
    "asyncio",
    "ccxt",
    "kiteconnect",
)


def loaded_by(*words: str) -> set[str]:
    code = "import sys, json; from bolt_tui.cli import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("words", [("--help",), ("order", "--help"), ("--version",)])
def test_help_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    """If this fails, `bolt --help` takes as long as the whole desk."""
    assert not sorted(loaded_by(*words).intersection(HEAVY))


@pytest.mark.parametrize("words", [("orders",), ("status",), ("cancel", "P1")])
def test_a_short_command_loads_neither_screen_nor_store(words: tuple[str, ...]) -> None:
    assert not loaded_by(*words).intersection({"textual", "sqlmodel", "sqlalchemy", "pandas", "numpy", "ccxt"})


@pytest.mark.parametrize("row", [row for row in TABLE if not row.extend], ids=lambda row: row.name)
def test_each_subcommand_has_help_with_an_example_and_json(row: Subcommand, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*row.name.split(), "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    assert f"Example: {row.example}" in shown
    assert "--json" in shown


@pytest.mark.parametrize("row", [row for row in TABLE if not row.extend], ids=lambda row: row.name)
def test_each_example_can_be_read(row: Subcommand) -> None:
    import shlex

    words = shlex.split(row.example)[1:] or ["desk"]
    assert parser(words[0]).parse_args(words).row.name == row.name


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_each_row_leads_to_a_function(row: Subcommand) -> None:
    from importlib import import_module

    module, _, name = row.run.partition(":")
    assert callable(getattr(import_module(f"bolt_tui.commands.{module}"), name))


def test_names_are_unique_and_families_are_used() -> None:
    names = [row.name for row in TABLE]
    assert len(set(names)) == len(names)
    assert {name.split()[0] for name in names if " " in name} == set(FAMILIES)


def test_a_hidden_subcommand_is_not_offered(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "ready-fd" not in capsys.readouterr().out
    assert "engine's process" not in parser().format_help()


def test_the_page_of_commands_is_current() -> None:
    """If this fails: python -m bolt_tui.commands.docs."""
    from bolt_tui.commands.docs import page

    assert (ROOT / "docs/commands.md").read_text(encoding="utf-8") == page()


def test_without_a_terminal_the_desk_says_what_to_use(bolt: Bolt) -> None:
    ran = bolt()
    assert ran.code == Exit.USAGE
    assert "the desk needs a terminal; `bolt headless`" in ran.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("desk: {theme: pink}", "desk.theme was 'pink'"),
        ("desk: {keys: {nope: ctrl+y}}", "no key of that id"),
        ("paper: {cash: abc}", "paper.cash was 'abc'"),
    ],
)
def test_the_doctor_finds_settings_that_the_desk_would_refuse(bolt: Bolt, home: Home, text: str, told: str) -> None:
    home.settings.write_text(text, encoding="utf-8")
    ran = bolt("doctor")
    assert (ran.code, (ran.out + ran.err).count(told)) == (Exit.INCOMPLETE, 1), "once, and with what to do"


def test_a_line_of_the_desk_names_its_subcommand(bolt: Bolt) -> None:
    ran = bolt("order", "x all AAPL")
    assert (ran.code, "here it is `bolt cancel`" in ran.err) == (Exit.USAGE, True)
    assert "here it is `bolt release`" in bolt("order", "release P104").err


def test_the_counter_of_a_venue_that_does_not_run_is_no_fault_of_bolts(bolt: Bolt) -> None:
    ran = bolt("paper", "deposit", "5", "EUR")
    assert (ran.code, "start one with `bolt`" in ran.err) == (Exit.NO_ENGINE, True)


def test_a_reader_that_has_seen_enough_is_no_failure(bolt: Bolt) -> None:
    done = subprocess.run(
        f"{sys.executable} -m bolt_tui doctor | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "BrokenPipe" not in done.stderr
    assert done.returncode in {Exit.OK, Exit.INCOMPLETE}


def test_a_fault_of_bolts_own_is_told_apart_from_a_refusal(bolt: Bolt, capsys: pytest.CaptureFixture[str]) -> None:
    """Python would end with 1, which promises a script that nothing was done."""
    row = Subcommand("broken", "No function stands behind it.", "bolt broken", "tools:there_is_no_such_function")
    assert run(row, Namespace(), Output(sys.stdout, sys.stderr, json=True)) == Exit.FAULT
    told = capsys.readouterr()
    assert json.loads(told.out)["exit"] == Exit.FAULT
    assert "Bolt itself failed in broken" in told.err


def test_who_only_reads_makes_no_state_folder(tmp_path: Path, bolt: Bolt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOLT_HOME", str(tmp_path / "none"))
    for words in (("ledger", "verify"), ("ledger", "show"), ("ledger", "export", "-"), ("ledger", "rebuild")):
        ran = bolt(*words)
        assert ran.code == Exit.STORE
        assert "there is no ledger at" in ran.out + ran.err
    ran = bolt("policy", "check")
    assert ran.code == Exit.USAGE
    assert "`bolt init` copies the shipped one" in ran.err
    assert not (tmp_path / "none").exists()


def test_an_export_of_no_ledger_leaves_its_target_as_it_is(tmp_path: Path, bolt: Bolt) -> None:
    target = tmp_path / "day.jsonl"
    target.write_text("of yesterday")
    assert bolt("ledger", "export", str(target)).code == Exit.STORE
    assert target.read_text() == "of yesterday"


def test_init_makes_the_folder_and_leaves_the_users_policy(bolt: Bolt) -> None:
    assert bolt("init", "--json").json["copied"] is True
    assert bolt("init", "--json").json["copied"] is False


def test_columns_are_as_wide_as_their_content() -> None:
    assert columns(("A", "NUMBER"), [("日本", "5"), ("x", "12345678")], ("NUMBER",)) == [
        "A       NUMBER",
        "日本         5",
        "x     12345678",
    ]


def test_no_line_moves_the_terminals_cursor() -> None:
    """Tables were clean; a venue's or a person's words in a sentence were not."""
    said, words = io.StringIO(), io.StringIO()
    out = Output(said, words, json=False)
    out.line("P1 REJ \x1b[2J\x07gone\nnext line")
    out.say("bolt: \x1b]0;title\x07 caf\u00e9")
    assert said.getvalue() == "P1 REJ \ufffd[2J\ufffdgone\nnext line\n"
    assert words.getvalue() == "bolt: \ufffd]0;title\ufffd caf\u00e9\n"


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_stdout_that_takes_nothing_is_said_once_and_is_no_trace(tmp_path: Path, more: list[str]) -> None:
    """A full disk behind a redirection: the error as JSON has nowhere to go either. A file that may not grow stands for it."""
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); from bolt_tui.cli import main; sys.exit(main())"
    with (tmp_path / "out").open("wb") as out:
        done = subprocess.run(
            [sys.executable, "-B", "-c", limited, "find", "AAPL", *more],
            stdout=out, stderr=subprocess.PIPE, text=True, check=False, env={**os.environ, "BOLT_HOME": str(tmp_path / "home")},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (Exit.FAULT, "bolt: find: File too large; mend that and ask again\n")
