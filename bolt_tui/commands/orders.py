"""`bolt order | amend | release | cancel`: commands to the engine, each sent once."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bolt_tui.client import DEADLINE_S, EngineClient, NoEngine, OutcomeUnknown
from bolt_tui.commands import show
from bolt_tui.commands.context import NotNow, NotRead, exit_of
from bolt_tui.commands.exits import Exit
from bolt_tui.instruments import names_in
from bolt_tui.settings import load_settings
from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.commands import (
    AmendOrder,
    AnyCommand,
    ApproveOrder,
    CancelAll,
    CancelOrder,
    CommandResult,
    LookUp,
    NewOrder,
    PauseOrder,
    Preview,
    ReleaseOrder,
    ResumeOrder,
    SetUrgency,
)
from engine.domain.errors import SettingsError
from engine.domain.events import QuoteSeen
from engine.domain.ids import check_intent_id, new_intent_id
from engine.domain.instrument import digits_of
from engine.domain.money import Price, Qty
from engine.domain.order import OrderState
from engine.intake.drafts import GrammarError, NewOrderDraft
from engine.intake.grammar import COMMANDS, GrammarContext, OrderRef, parse_order
from engine.intake.presets import NONE, Presets
from engine.views import DeskView, OrderView

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context

REFUSED_ENDS = frozenset({OrderState.DENIED, OrderState.REJECTED, OrderState.EXPIRED, OrderState.CANCELLED})


def order(context: Context) -> Exit:
    """Read the words on the engine's own quotes, and place or preview the order."""
    args = context.args
    intent_id = check_intent_id(args.intent) if args.intent else new_intent_id("c")
    line = " ".join(args.words)
    _refuse_other_lines(line)
    try:
        with context.client() as client:
            view = client.view()
            result = _asked_before(context, client, intent_id, line) if args.intent and not args.preview else None
            if result is None:
                draft = read_words(context, client, view, line)
                context.out.say(f"bolt: {draft.echo}")
                if args.preview:
                    return context.report(
                        client.submit(Preview(source=context.source, spec=draft.spec, linked=draft.linked))
                    )
                command = NewOrder(
                    source=context.source,
                    intent_id=intent_id,
                    spec=draft.spec,
                    linked=draft.linked,
                    why=args.why,
                    staged=args.stage,
                    confirmed=frozenset(args.confirm),
                    words=line,
                )
                result = _submit(client, command, f"bolt order {shlex.quote(line)} --intent {intent_id}")
            is_followed = args.wait > 0 and result.order_id and (result.ok or result.repeated)
            row = _wait(context, client, view, result.order_id, args.wait) if is_followed else None
    except NoEngine as error:
        if not args.intent or args.preview:
            raise
        return _asked_of_the_ledger(context, intent_id, line, error)
    if row is None or result.code == "INTENT_REUSED":
        return context.report(result, intent_id=intent_id)
    return _report_end(context, result, row, intent_id, digits_of(view.instruments)(row.symbol))


def _refuse_other_lines(line: str) -> None:
    """On the desk a line may also cancel, amend or release; here each of them is a subcommand.

    Raises:
        SettingsError: with the one to use.
    """
    first = line.split(maxsplit=1)[0].lower() if line.strip() else ""
    if first in COMMANDS:
        msg = f"{first!r} starts a line of the desk and is no order; here it is `bolt {COMMANDS[first]}`, see `bolt {COMMANDS[first]} --help`"
        raise SettingsError(msg)


def _asked_before(context: Context, client: EngineClient, intent_id: str, line: str) -> CommandResult | None:
    """What became of this intent, where the engine knows it; nothing is sent then, and no quote is needed to tell."""
    found = client.submit(LookUp(source=context.source, intent_id=intent_id, words=line))
    return found if found.repeated else None


def _asked_of_the_ledger(context: Context, intent_id: str, line: str, error: NoEngine) -> Exit:
    """No engine answers: the ledger knows whether this intent was ever taken, and an intent that it does not hold was never
    sent to anybody.
    """
    from bolt_tui.stored import open_stored

    stored = open_stored(context.home)
    if stored is None or stored.holder:
        raise error
    found = stored.intent(intent_id, line)
    if found is None:
        msg = f"{error}. {stored.told()}: it holds no intent {intent_id}, so nothing was ever sent for it"
        raise NoEngine(msg) from error
    context.out.line(stored.told())
    return context.report(found, intent_id=intent_id, **stored.marks())


QUOTE_WAIT_S = 5.0
"""How long an order waits for an engine that has just started to get its first prices."""
STARTING_NS = 15 * NS_PER_S
"""An engine is starting for so long; later, what it lacks will not come in a moment."""


def read_words(
    context: Context, client: EngineClient, view: DeskView, line: str, wait_s: float = QUOTE_WAIT_S
) -> NewOrderDraft:
    """The order, on fresh quotes. Where they have not come yet it waits for them, bounded, and says so.

    Raises:
        NotRead: the line cannot be read.
        NotNow: it can, and there is no quote to turn its words into numbers.
    """
    clock = SystemClock()
    end_ns = clock.monotonic_ns() + int(wait_s * NS_PER_S)
    pictures: Iterator[DeskView] | None = None
    presets = load_settings(context.found).presets
    unlisted = names_in(context.found.instruments)
    while True:
        missed: list[str] = []
        found = parse_order(line, grammar_context(view, missed, presets, unlisted))
        is_error = isinstance(found, GrammarError)
        lacks = _lacking(view, found, missed)
        if not lacks or clock.monotonic_ns() >= end_ns:
            break
        if pictures is None:
            context.out.say(f"bolt: waiting up to {wait_s:g} s for {lacks} ...")
            pictures = client.watch(view)
        view = next(pictures)
    if not isinstance(found, GrammarError):
        return found
    if lacks and is_error:
        msg = (
            f"{lacks} did not come within {wait_s:g} s, and the order needs it: {_pointed(line, found)}\n"
            "  give a plain size and a price, or look at `bolt status`; nothing was sent"
        )
        raise NotNow("NO_QUOTE", msg)
    raise NotRead(found.code, _pointed(line, found))


def _lacking(view: DeskView, found: NewOrderDraft | GrammarError, missed: list[str]) -> str:
    """What the engine must still get before this order can be read or judged; empty where nothing, or nothing that will come."""
    if isinstance(found, GrammarError):
        is_listed = not view.instruments and bool(view.status.brokers)
        return f"a quote of {missed[0]}" if missed else "the list of instruments" if is_listed else ""
    status = view.status
    if not status.brokers or status.ts_ns - status.started_ns > STARTING_NS:
        return ""
    if any(broker.state != "up" for broker in status.brokers):
        return "the first comparison with the broker"
    symbol = found.spec.symbol
    is_quoted = any(row.symbol == symbol and not row.stale and row.bid and row.ask for row in view.quotes)
    return "" if is_quoted else f"a quote of {symbol}"


def grammar_context(
    view: DeskView,
    missed: list[str] | None = None,
    presets: Presets = NONE,
    unlisted: Callable[[str], str] | None = None,
) -> GrammarContext:
    """What the words may refer to: the engine's instruments, its fresh quotes and positions, and the owner's presets.

    ``missed`` gets the symbols that had no fresh quote.
    """
    instruments = {made.symbol: made for made in view.instruments}

    def quote(symbol: str) -> QuoteSeen | None:
        for row in view.quotes:
            if row.symbol == symbol and not row.stale and row.bid is not None and row.ask is not None:
                return QuoteSeen(
                    bid=row.bid, ask=row.ask, bid_qty=row.bid_qty, ask_qty=row.ask_qty, ts_ns=row.ts_ns, venue=row.venue
                )
        if missed is not None:
            missed.append(symbol)
        return None

    def position(account: str, symbol: str) -> Qty | None:
        held = [row.qty for row in view.positions if (row.account, row.symbol) == (account, symbol)]
        return Qty(sum(held, Qty(0))) if held else None

    brokers = view.status.brokers
    return GrammarContext(
        instruments=instruments or None,
        quote=quote,
        orders={row.order_id: OrderRef(row.symbol, row.side) for row in view.orders if not row.state.is_terminal},
        is_orders_whole=False,
        broker=brokers[0].broker if brokers else "paper",
        account=view.status.account or "PAPER",
        brokers=tuple(dict.fromkeys(row.broker for row in brokers)),
        accounts=tuple(dict.fromkeys(row.account for row in brokers)),
        presets=presets,
        position=position,
        unlisted=unlisted,
    )


def _pointed(line: str, error: GrammarError) -> str:
    pointed = f"{error.text}\n  {line}\n  {' ' * min(error.position, len(line))}^"
    if error.word.lower() in {"k", "m"}:
        pointed += "\n  a shell empties $10 in double quotes: write the order in single ones, as in 'b $10k AAPL @mkt'"
    return pointed


def _submit(client: EngineClient, command: AnyCommand, again: str) -> CommandResult:
    """Send once; where the answer is lost, say how to ask again without ordering again."""
    try:
        return client.submit(command)
    except OutcomeUnknown as error:
        msg = f"{error}. Ask what became of it (nothing is sent a second time): {again}"
        raise OutcomeUnknown(msg) from error


def _wait(context: Context, client: EngineClient, view: DeskView, order_id: str, seconds: float) -> OrderView | None:
    """The order when it has ended, or as it is at the deadline; None where no picture shows it."""
    clock = SystemClock()
    end_ns = clock.monotonic_ns() + int(seconds * NS_PER_S)
    found = None
    for picture in client.watch(view):
        found = next((row for row in picture.orders if row.order_id == order_id), found)
        if found is not None:
            context.out.progress(f"{order_id} {found.state} {found.qty_filled}/{found.qty}")
        if (found is not None and (found.state.is_terminal or found.state is OrderState.UNKNOWN)) or (
            clock.monotonic_ns() >= end_ns
        ):
            break
    context.out.progress_end()
    return found


def _report_end(context: Context, result: CommandResult, row: OrderView, intent_id: str, digits: int) -> Exit:
    context.out.object(
        "result", {**show.result_fields(result), "state": row.state, "intent_id": intent_id, "order": row}
    )
    context.out.table(show.ORDER_HEADERS, [show.order_row(row, digits)], show.ORDER_RIGHT)
    for denial in row.denials:
        context.out.line(show.denial_line(denial))
    if row.state in {OrderState.UNKNOWN, OrderState.KILLED}:
        return exit_of(CommandResult(ok=False, state=row.state))
    return Exit.REFUSED if row.state in REFUSED_ENDS else Exit.OK


def amend(context: Context) -> Exit:
    """Change a working order."""
    args = context.args
    if not (args.qty or args.limit or args.stop):
        msg = "nothing to change: give --qty, --limit or --stop"
        raise SettingsError(msg)
    intent_id = check_intent_id(args.intent) if args.intent else new_intent_id("c")
    command = AmendOrder(
        source=context.source,
        intent_id=intent_id,
        order_id=args.order_id.upper(),
        qty=Qty(args.qty) if args.qty else None,
        limit=Price(args.limit) if args.limit else None,
        stop=Price(args.stop) if args.stop else None,
        confirmed=frozenset(args.confirm),
    )
    with context.client() as client:
        result = _submit(client, command, "bolt orders --all")
    return context.report(result, intent_id=intent_id)


def release(context: Context) -> Exit:
    """Send a staged order."""
    with context.client() as client:
        args = context.args
        command = ReleaseOrder(source=context.source, order_id=args.order_id.upper(), confirmed=frozenset(args.confirm))
        return context.report(_submit(client, command, "bolt orders --all"))


def approve(context: Context) -> Exit:
    """A second person's word on a waiting order, as it is shown here."""
    args, order_id = context.args, context.args.order_id.upper()
    with context.visitor() as client:
        view = client.view()
        row = next((one for one in view.orders if one.order_id == order_id), None)
        if row is not None and row.awaits:
            digits = digits_of(view.instruments)(row.symbol)
            context.out.table(show.ORDER_HEADERS, [show.order_row(row, digits)], show.ORDER_RIGHT)
        digest = args.hash or (row.awaits if row is not None else "")
        command = ApproveOrder(
            source=context.source, order_id=order_id, order_hash=digest, confirmed=frozenset(args.confirm)
        )
        return context.report(_submit(client, command, "bolt orders --all"))


def pause(context: Context) -> Exit:
    """Let a parent send nothing more for now."""
    return _steer(context, PauseOrder(source=context.source, order_id=context.args.order_id.upper()))


def resume(context: Context) -> Exit:
    """Let a paused parent go on."""
    return _steer(context, ResumeOrder(source=context.source, order_id=context.args.order_id.upper()))


def urgency(context: Context) -> Exit:
    """Change how eagerly a parent is worked."""
    args = context.args
    return _steer(context, SetUrgency(source=context.source, order_id=args.order_id.upper(), urgency=args.urgency))


def _steer(context: Context, command: PauseOrder | ResumeOrder | SetUrgency) -> Exit:
    with context.client() as client:
        return context.report(_submit(client, command, "bolt orders"))


def cancel(context: Context) -> Exit:
    """Cancel one order or all."""
    args = context.args
    is_all = args.all or args.order_id.lower() == "all"  # as the desk's line says it, and as one types it in a hurry
    if is_all != (args.order_id.lower() in {"", "all"}):
        msg = "say which order to cancel, or --all (of one symbol with --symbol)"
        raise SettingsError(msg)
    command: CancelOrder | CancelAll
    if is_all:
        command = CancelAll(source=context.source, symbol=args.symbol.upper())
    else:
        command = CancelOrder(source=context.source, order_id=args.order_id.upper())
    with context.client(DEADLINE_S) as client:
        return context.report(_submit(client, command, "bolt orders"))
