"""`bolt status | stop | strategy | reconcile | resolve | policy reload`: the running engine as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bolt_tui.client import NoEngine
from bolt_tui.commands import show
from bolt_tui.commands.exits import Exit
from bolt_tui.commands.lists import live_marks
from bolt_tui.health import examine
from bolt_tui.health import lines as health_lines
from engine.domain.commands import Reconcile, ReloadPolicy, Resolve, ResolveAs, SetStrategy
from engine.domain.errors import SettingsError
from engine.domain.money import Price

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context
    from bolt_tui.settings import Home
    from bolt_tui.stopping import Ended


def status(context: Context) -> Exit:
    """Show the state; exit code 5 while halted, 3 where no engine runs and the ledger answers."""
    told: list[str] = []
    try:
        with context.client() as client:
            view = client.view()
        found, marks = view.status, live_marks(view)
        look = examine(context.found, view)
        code = Exit.HALTED if found.halt.state == "halted" else Exit.INCOMPLETE if look.faults else Exit.OK
        marks["health"] = look
        told = health_lines(look)
    except NoEngine as error:
        stored = context.stored(error)
        found, marks, code = stored.status(), stored.marks(), Exit.NO_ENGINE
    context.out.object("status", {**show.fields(found), **marks})
    for text in (*show.status_lines(found), *told):
        context.out.line(text)
    return code


def stop(context: Context) -> Exit:
    """End the engine and wait until it has let go; then end the paper venue, and say what became of everything."""
    from bolt_tui.stopping import Ended, at_work, stop_engine

    args = context.args
    if args.cancel and args.leave:
        msg = "--cancel and --leave exclude each other"
        raise SettingsError(msg)
    try:
        with context.client() as client:
            view = client.view()
            work = at_work(view).words()
            if work and not (args.cancel or args.leave):
                msg = f"{work}: say --cancel to cancel them first, or --leave to leave them as they are"
                raise SettingsError(msg)
            context.out.progress("waiting for the engine to end ...")
            ended = stop_engine(client, view, context.found, context.source, cancel=args.cancel)
            context.out.progress_end()
    except NoEngine as error:
        end_lonely_venue(context, context.found, error)
        raise
    if not isinstance(ended, Ended):
        return context.report(ended)
    return report_end(context, context.found, ended, cancel=args.cancel)


def report_end(context: Context, home: Home, ended: Ended, *, cancel: bool, is_short: bool = False) -> Exit:
    """Say what became of the orders, and how real the session was; INCOMPLETE where what was asked did not come about.

    ``is_short``: name only where the report of how real it was stands, so that what became of the orders stays in sight.
    """
    from bolt_tui.session_report import shown, summary

    if not ended.ended:
        text = f"the engine (process {ended.pid}) took the stop and has not ended in time"
        context.out.say(f"bolt: {text}; look at `bolt status`, or end the process with SIGTERM")
        context.out.object("stop", show.fields(ended))
        return Exit.INCOMPLETE
    how_real, _ = shown(home)
    context.out.object("stop", {**show.fields(ended), "realism": how_real})
    lines = [f"how real the session was stands in {home.realism}"] if is_short and how_real else summary(home)
    for text in (*ended.lines(), *lines):
        context.out.line(text)
    return Exit.INCOMPLETE if ended.fault or (cancel and (ended.left or ended.algorithms)) else Exit.OK


def end_lonely_venue(context: Context, home: Home, error: NoEngine) -> None:
    """A venue lives on alone after a crash of its engine; stopping ends that too, and the crashed session has its report.

    Raises:
        NoEngine: an engine lives and does not answer; its venue is left alone.
    """
    from bolt_tui.session_report import note_session, summary
    from brokers.paperbroker import is_venue_running, stop_venue
    from engine.store.link import holder_of

    holder = holder_of(home.place)
    if holder:
        msg = (
            f"{error}; process {holder} holds the ledger. `bolt kill` halts and cancels without it; then end it with SIGTERM, "
            "and with SIGKILL where that does nothing"
        )
        raise NoEngine(msg) from error
    if not is_venue_running(home.root):
        return
    note_session(home)
    stop_venue(home.root)
    context.out.say("bolt: the paper venue of an engine that has died still ran; it is ended, its log keeps its orders")
    for text in summary(home):
        context.out.say(f"bolt: {text}")


def strategy(context: Context) -> Exit:
    """Start or stop a strategy."""
    args = context.args
    params = {}
    for word in args.params:
        name, equals, value = word.partition("=")
        if not (name and equals):
            msg = f"parameter was {word!r}; expected PARAM=VALUE"
            raise SettingsError(msg)
        params[name] = value
    command = SetStrategy(source=context.source, name=args.name, on=args.switch == "on", params=params)
    with context.client() as client:
        return context.report(client.submit(command))


def reconcile(context: Context) -> Exit:
    """Compare with the broker; with a reason, accept what differs."""
    args = context.args
    if args.accept and not args.reason.strip():
        msg = "--accept books differences as your word: give --reason"
        raise SettingsError(msg)
    command = Reconcile(source=context.source, accept=args.accept, symbol=args.symbol.upper(), reason=args.reason)
    with context.client() as client:
        return context.report(client.submit(command))


def resolve(context: Context) -> Exit:
    """State what became of an UNKNOWN order."""
    args = context.args
    if (args.state == "filled") != bool(args.price):
        msg = "--price belongs to --as filled, and is needed there"
        raise SettingsError(msg)
    command = Resolve(
        source=context.source,
        order_id=args.order_id.upper(),
        as_=ResolveAs(args.state),
        reason=args.reason,
        price=Price(args.price) if args.price else None,
    )
    with context.client() as client:
        return context.report(client.submit(command))


def policy_reload(context: Context) -> Exit:
    """Read policy.yaml again."""
    with context.client() as client:
        return context.report(client.submit(ReloadPolicy(source=context.source)))
