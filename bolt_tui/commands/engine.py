"""`bolt status | stop | strategy | reconcile | resolve | policy reload`: the running engine as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bolt_tui.client import NoEngine
from bolt_tui.commands import show
from bolt_tui.commands.exits import Exit
from bolt_tui.commands.lists import live_marks
from engine.domain.commands import Reconcile, ReloadPolicy, Resolve, ResolveAs, SetStrategy, StopEngine
from engine.domain.errors import SettingsError
from engine.domain.money import Price

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context

STOP_DEADLINE_S = 20.0


def status(context: Context) -> Exit:
    """Show the state; exit code 5 while halted, 3 where no engine runs and the ledger answers."""
    try:
        with context.client() as client:
            view = client.view()
        found, marks = view.status, live_marks(view)
        code = Exit.HALTED if found.halt.state == "halted" else Exit.OK
    except NoEngine as error:
        stored = context.stored(error)
        found, marks, code = stored.status(), stored.marks(), Exit.NO_ENGINE
    context.out.object("status", {**show.fields(found), **marks})
    for text in show.status_lines(found):
        context.out.line(text)
    return code


def stop(context: Context) -> Exit:
    """End the engine and wait until it has let go; then end the paper venue."""
    args = context.args
    if args.cancel and args.leave:
        msg = "--cancel and --leave exclude each other"
        raise SettingsError(msg)
    try:
        with context.client(STOP_DEADLINE_S) as client:
            found = client.view().status
            working = found.orders_working + found.orders_unknown
            if working and not (args.cancel or args.leave):
                msg = f"{working} orders are at the venue: say --cancel to cancel them first, or --leave to leave them there"
                raise SettingsError(msg)
            result = client.submit(StopEngine(source=context.source, cancel=args.cancel))
            if not result.ok:
                return context.report(result)
            context.out.progress("waiting for the engine to end ...")
            has_ended = client.wait_closed()
            context.out.progress_end()
    except NoEngine:
        # A venue may live on alone after a crash of its engine; stopping must end that too.
        _stop_venue(context)
        raise
    if not has_ended:
        context.out.say(
            f"bolt: the engine (process {found.pid}) took the stop and has not ended within {STOP_DEADLINE_S:g} s"
        )
        context.out.object("stop", {"ended": False, "pid": found.pid, "left": working})
        return Exit.INCOMPLETE
    _stop_venue(context)
    left = 0 if args.cancel else working
    from bolt_tui.ledger_tools import realism, realism_lines

    how_real = realism(context.home)
    context.out.object("stop", {"ended": True, "pid": found.pid, "left": left, "realism": how_real})
    context.out.line(f"the engine has ended; {left} orders are left at the venue" if left else "the engine has ended")
    for text in realism_lines(how_real):
        context.out.line(text)
    return Exit.OK


def _stop_venue(context: Context) -> None:
    from brokers.paperbroker import stop_venue

    stop_venue(context.home.root)


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
