"""`bolt --at TIME --ledger FILE`: the desk, or a list, over the past of a ledger."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bolt_tui.commands.exits import Exit
from bolt_tui.past import Past, read_instant
from bolt_tui.settings import Settings, home_path, load_settings, open_home
from engine.domain.errors import SettingsError
from engine.store.place import read_place

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context


@contextmanager
def opened(
    context: Context, halt: Callable[[str], None] = lambda _: None, *, measure_s: float | None = None
) -> Iterator[Past]:
    """The past that the arguments name; ``measure_s``: how long the prices behind its fills are waited for, where they are wanted."""
    args = context.args
    place = read_place(args.ledger, Path.cwd()) if args.ledger else context.found.place
    with tempfile.TemporaryDirectory(prefix="bolt-past-") as folder:
        # A ledger's tape lies beside it; that of one on a server lies in the state folder.
        tape = place.parent / "tape" if isinstance(place, Path) else home_path() / "tape"
        past = Past(place, Path(folder), halt, tape)
        try:
            if measure_s is not None:
                past.measure(measure_s)
            if args.at:
                past.go_to(read_instant(args.at, past.first_ns(), past.end_ns))
            yield past
        finally:
            past.close()


def look_back(context: Context, is_ascii: Callable[[Settings], bool]) -> Exit:
    """Show the desk over the past. Its halt key halts what runs in BOLT_HOME now; nothing else leaves from here."""
    from bolt_tui.app import run_desk
    from bolt_tui.commands.halt import HaltKey

    root = home_path()
    home = open_home(root, create=False) if root.exists() else None
    settings = load_settings(home) if home is not None else Settings()
    key = HaltKey(home) if home is not None else None
    try:
        with opened(context, key.press if key is not None else lambda _: None, measure_s=0) as past:
            run_desk(past, settings, is_ours=False, is_ascii=is_ascii(settings))
    finally:
        if key is not None:
            key.close()
    return Exit.OK


def check_past(context: Context) -> None:
    """Refuse what cannot be looked back at. Raises SettingsError."""
    if context.args.follow and (context.args.at or context.args.ledger):
        msg = "--follow goes on with what happens now; the past has an end: leave out --at and --ledger"
        raise SettingsError(msg)
