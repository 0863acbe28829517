"""The command line: reads it, runs one subcommand, and turns every failure into words and an exit code.

Nothing heavy is imported here: `bolt --help` builds short parsers from the table, and only the chosen subcommand's
module is loaded.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn, TextIO, cast

from bolt_tui.commands.exits import Exit
from bolt_tui.commands.subcommand import Subcommand
from bolt_tui.commands.table import FAMILIES, TABLE
from bolt_tui.output import Output, Shape
from engine.domain.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bolt_tui.commands.context import Context

SHAPES: tuple[Shape, ...] = ("csv", "plain")
SUMMARY = "A trading terminal that never sends an order twice, never loses one, and can prove its whole day."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns its exit code (never raises SystemExit for a subcommand)."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["--version"]:
        from bolt_tui.resources import version

        print(f"bolt {version()}")
        return Exit.OK
    if not words or (words[0].startswith("-") and words[0] not in {"-h", "--help"}):
        words.insert(0, "desk")
    out = Output(sys.stdout, sys.stderr, json="--json" in words, shape=shape_of(words))
    try:
        args = parser(words[0]).parse_args(words)
    except UsageError as error:
        fail(out, "USAGE", str(error), Exit.USAGE)
        return Exit.USAGE
    row: Subcommand = args.row
    return run(row, args, out)


def shape_of(words: Sequence[str]) -> Shape:
    """How lists are to look; where several are named, the last."""
    named: list[Shape] = [shape for word in words for shape in SHAPES if word == f"--{shape}"]
    return named[-1] if named else "columns"


def run(row: Subcommand, args: argparse.Namespace, out: Output) -> int:
    """Run one subcommand and report its failure."""
    from bolt_tui.commands.context import Context
    from bolt_tui.resources import InstallationError, check_packages
    from engine.domain.errors import BoltError

    try:
        check_packages()
        module, _, name = row.run.partition(":")
        action = cast("Callable[[Context], Exit]", getattr(import_module(f"bolt_tui.commands.{module}"), name))
        return action(Context(args, out))
    except (BoltError, InstallationError) as error:
        code, exit_code = describe(error)
        fail(out, code, str(error), exit_code)
        return exit_code
    except KeyboardInterrupt:
        out.say("bolt: interrupted")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough (`bolt events | head`); a second failure at interpreter exit is avoided.
        _silence(sys.stdout)
        return Exit.OK
    except OSError as error:
        # A file, a disk or a socket that a person can mend: words, not a trace.
        where = f" {error.filename}:" if error.filename else ""
        fail(out, "FILE", f"{row.name}:{where} {error.strerror or error}; mend that and ask again", Exit.FAULT)
        return Exit.FAULT
    except Exception as error:  # loop edge: Python's own exit code for it, 1, would say that nothing was done
        from traceback import print_exc

        print_exc()
        fail(out, type(error).__name__, f"Bolt itself failed in {row.name}: {error!r}; please report it", Exit.FAULT)
        return Exit.FAULT


def describe(error: Exception) -> tuple[str, Exit]:
    """The code and the exit code of an expected failure."""
    from bolt_tui.client import EngineRefused, NoEngine, OutcomeUnknown
    from bolt_tui.commands.context import NotNow, NotRead
    from engine.domain.errors import InputError, StoreError

    match error:
        case NoEngine():
            return "NO_ENGINE", Exit.NO_ENGINE
        case OutcomeUnknown():
            return "UNKNOWN", Exit.UNKNOWN
        case EngineRefused() | NotNow():
            return error.code, Exit.REFUSED
        case NotRead():
            return error.code, Exit.USAGE
        case InputError():
            return type(error).__name__, Exit.USAGE
        case StoreError():
            return type(error).__name__, Exit.STORE
        case _:
            return type(error).__name__, Exit.FAULT


def fail(out: Output, code: str, text: str, exit_code: int) -> None:
    """Say what went wrong: words on stderr, and an object on stdout where JSON was asked for."""
    out.say(f"bolt: {text}")
    if not out.json:
        return
    try:
        out.emit("error", {"code": code, "text": text, "exit": int(exit_code)})
    except OSError:
        # What failed may be stdout itself, as on a full disk: the words are said, and the exit code tells.
        _silence(sys.stdout)


def _silence(stream: TextIO) -> None:
    import os

    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, stream.fileno())
    os.close(sink)


# -- the parser ----------------------------------------------------------------------------------------------------------


class UsageError(SettingsError):
    """The command line cannot be read."""


class _Parser(argparse.ArgumentParser):
    """Raises instead of ending the process, so that the failure can be said in JSON too."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        msg = f"{message}; see `{self.prog} --help`"
        raise UsageError(msg)


def parser(chosen: str = "") -> _Parser:
    """The parser; arguments are filled in for the subcommand (or family) that is chosen, the others only named."""
    top = _Parser(prog="bolt", description=SUMMARY, epilog="bolt SUBCOMMAND --help shows each with an example.")
    top.add_argument("--version", action="store_true", help="show the version and end")
    places = top.add_subparsers(metavar="SUBCOMMAND", dest="subcommand", required=True)
    families: dict[str, argparse._SubParsersAction[_Parser]] = {}
    for row in TABLE:
        family, _, word = row.name.rpartition(" ")
        if family and family not in families:
            parent = places.add_parser(family, help=FAMILIES[family], description=FAMILIES[family])
            families[family] = parent.add_subparsers(metavar="SUBCOMMAND", dest="second", required=True)
        place = families[family] if family else places
        is_chosen = bool(chosen) and chosen in {row.name, family}
        _add(place, word if family else row.name, row, is_chosen=is_chosen)
    top.set_defaults(row=None, json=False)
    return top


def _add(place: argparse._SubParsersAction[_Parser], word: str, row: Subcommand, *, is_chosen: bool) -> None:
    shown = {} if row.is_hidden else {"help": row.summary}
    made = place.add_parser(
        word,
        description=f"{row.summary} {row.detail}".strip(),
        epilog=f"Example: {row.example}",
        **shown,  # type: ignore[arg-type]
    )
    made.set_defaults(row=row)
    if not is_chosen:
        return
    for argument in row.args:
        made.add_argument(*argument.flags, help=argument.help, **argument.options)
    if row.extend:
        import_module(row.extend).add_arguments(made)
    if not any("--json" in action.option_strings for action in made._actions):  # noqa: SLF001 - argparse has no other way
        made.add_argument("--json", action="store_true", help="JSON on stdout, with a schema number")
    if row.is_list:
        made.add_argument("--csv", action="store_true", help="comma-separated values, one header line")
        made.add_argument("--plain", action="store_true", help="a sentence a row, for screen readers")


if __name__ == "__main__":
    sys.exit(main())
