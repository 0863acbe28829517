"""What a subcommand works with: its arguments, its output, the state folder and the engine's line."""

from __future__ import annotations

import argparse
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bolt_tui.commands.exits import Exit
from bolt_tui.output import Output
from engine.domain.errors import BoltError, InputError
from engine.store.place import ServerPlace

if TYPE_CHECKING:
    from bolt_tui.client import EngineClient, NoEngine
    from bolt_tui.settings import Home
    from bolt_tui.stored import Stored
    from engine.domain.commands import CommandResult, HaltScope
    from engine.domain.order import Source
    from engine.views import DeskView


class NotNow(BoltError):
    """It could be done, but not in this state; nothing was done. ``code`` says why, for scripts."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class NotRead(InputError):
    """Words that cannot be read; nothing was sent. ``code`` says why, for scripts."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Context:
    """One run of one subcommand."""

    def __init__(self, args: argparse.Namespace, out: Output) -> None:
        self.args = args
        self.out = out

    @cached_property
    def home(self) -> Home:
        """The state folder, made where it is missing; what was repaired is said."""
        from bolt_tui.settings import open_home

        home = open_home()
        for note in home.notes:
            self.out.say(f"bolt: {note}")
        return home

    @cached_property
    def source(self) -> Source:
        """Who asks."""
        from bolt_tui.settings import who
        from engine.domain.order import Source, SourceKind

        return Source(SourceKind.CLI, who())

    @cached_property
    def found(self) -> Home:
        """The state folder as it is: who only asks makes nothing. Raises NoEngine where there is none."""
        from bolt_tui.client import NoEngine
        from bolt_tui.settings import home_path, open_home

        root = home_path()
        if not root.exists():
            msg = f"no engine runs: there is no state folder at {root} yet; start with `bolt`, or set BOLT_HOME"
            raise NoEngine(msg)
        home = open_home(root, create=False)
        for note in home.notes:
            self.out.say(f"bolt: {note}")
        return home

    def client(self, deadline_s: float = 5.0) -> EngineClient:
        """A connection to the running engine, to be used as a context manager."""
        return self._connect(self.found, deadline_s)

    def visitor(self, deadline_s: float = 5.0) -> EngineClient:
        """The same, for root also to an engine of another account."""
        from bolt_tui.settings import visit_home

        return self._connect(visit_home(), deadline_s)

    def _connect(self, home: Home, deadline_s: float) -> EngineClient:
        from bolt_tui.client import EngineClient
        from bolt_tui.endpoint import find_socket

        return EngineClient(find_socket(home), deadline_s)

    def stored(self, error: NoEngine) -> Stored:
        """What the ledger says in place of an engine that does not answer; says so. Raises ``error`` where there is no ledger."""
        if not isinstance(self.found.place, ServerPlace) and not self.found.ledger.exists():
            raise error  # before what reads a ledger is loaded
        from bolt_tui.stored import open_stored

        found = open_stored(self.found)
        if found is None:
            raise error
        if found.holder:
            self.out.say(f"bolt: {error}")
        if self.out.json:
            self.out.say(f"bolt: {found.told()}")
        self.out.line(found.told())
        return found

    def stored_view(self, error: NoEngine, *, measure_s: float | None = None) -> tuple[DeskView, dict[str, Any]]:
        """The picture as of the ledger's last row, and where it is from, as :meth:`stored` has it. Its prices are those of the tape;
        ``measure_s``: how long those behind its fills are waited for, where they are wanted.
        """
        from bolt_tui.commands.look_back import opened

        marks = self.stored(error).marks()
        with opened(self, measure_s=measure_s) as past:
            view, missing = past.view(), past.missing()
        if missing:
            self.out.say(f"bolt: {missing}" + ("" if view.quotes else ": what needs them is not known"))
        return view, marks

    def past(self, *, measure_s: float | None = None) -> DeskView | None:
        """The picture of ``--at`` and ``--ledger``; None where neither was given. Says of when it is."""
        if not (self.args.at or self.args.ledger):
            return None
        from bolt_tui.commands.look_back import opened

        with opened(self, measure_s=measure_s) as past:
            told = f"FROM THE LEDGER, the past as of {past.words()}"
            if self.out.json:
                self.out.say(f"bolt: {told}")
            self.out.line(told)
            if missing := past.missing():
                self.out.say(f"bolt: {missing}")
            return past.view()

    def report(self, result: CommandResult, **more: object) -> Exit:
        """Show the engine's answer to a command, and the exit code it means."""
        from bolt_tui.commands.show import result_fields, result_lines

        self.out.object("result", {**result_fields(result), **more})
        for text in result_lines(result):
            self.out.line(text)
        return exit_of(result)


HALTED_CODES = frozenset({"HALTED", "KILLED", "REDUCE_STATE"})
"""Reason codes with which the gate says that trading is stopped."""


def exit_of(result: CommandResult) -> Exit:
    """The exit code for an answer."""
    from engine.domain.order import OrderState

    if result.code == "INTENT_REUSED":
        return Exit.REFUSED
    if result.code in {"UNKNOWN", "ENGINE_FAULT"} or result.state is OrderState.UNKNOWN:
        return Exit.UNKNOWN
    if result.repeated and result.state in {
        OrderState.DENIED,
        OrderState.REJECTED,
        OrderState.EXPIRED,
        OrderState.CANCELLED,
        OrderState.KILLED,
    }:
        return Exit.REFUSED
    if result.state is OrderState.KILLED or {result.code, *(denial.code for denial in result.denials)} & HALTED_CODES:
        return Exit.HALTED
    return Exit.OK if result.ok else Exit.REFUSED


def read_scope(words: str) -> HaltScope:
    """``global``, ``symbol:AAPL``, ``strategy:NAME`` or ``account:NAME``; raises SettingsError otherwise."""
    from engine.domain.commands import HaltScope, HaltScopeKind
    from engine.domain.errors import SettingsError

    kind, _, name = (part.strip() for part in words.partition(":"))
    is_known = kind in set(HaltScopeKind)
    if not is_known or (kind == HaltScopeKind.GLOBAL) == bool(name):
        msg = f"scope was {words!r}; expected global, account:NAME, strategy:NAME or symbol:NAME"
        raise SettingsError(msg)
    return HaltScope(HaltScopeKind(kind), name.upper() if kind == HaltScopeKind.SYMBOL else name)
