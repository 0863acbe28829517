"""`bolt order | amend | release | cancel`: commands to the engine, each sent once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bolt_tui.client import DEADLINE_S, EngineClient, OutcomeUnknown
from bolt_tui.commands import show
from bolt_tui.commands.context import exit_of
from bolt_tui.commands.exits import Exit
from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.commands import (
    AmendOrder,
    AnyCommand,
    CancelAll,
    CancelOrder,
    CommandResult,
    NewOrder,
    Preview,
    ReleaseOrder,
)
from engine.domain.errors import SettingsError
from engine.domain.events import QuoteSeen
from engine.domain.ids import check_intent_id, new_intent_id
from engine.domain.money import Price, Qty
from engine.domain.order import OrderState
from engine.intake.drafts import GrammarError
from engine.intake.grammar import GrammarContext, parse_order
from engine.views import DeskView, OrderView

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context

REFUSED_ENDS = frozenset({OrderState.DENIED, OrderState.REJECTED, OrderState.EXPIRED, OrderState.CANCELLED})


def order(context: Context) -> Exit:
    """Read the words on the engine's own quotes, and place or preview the order."""
    args = context.args
    intent_id = check_intent_id(args.intent) if args.intent else new_intent_id("c")
    with context.client() as client:
        view = client.view()
        known = next((row for row in view.orders if args.intent and row.intent_id == intent_id), None)
        if known is not None:
            result = _known_result(known)
        else:
            draft = parse_order(" ".join(args.words), grammar_context(view))
            if isinstance(draft, GrammarError):
                raise SettingsError(_pointed(" ".join(args.words), draft))
            context.out.say(f"bolt: {draft.echo}")
            if args.preview:
                return context.report(client.submit(Preview(source=context.source, spec=draft.spec)))
            command = NewOrder(
                source=context.source,
                intent_id=intent_id,
                spec=draft.spec,
                why=args.why,
                staged=args.stage,
                confirmed=frozenset(args.confirm),
            )
            result = _submit(client, command, f'bolt order "{" ".join(args.words)}" --intent {intent_id}')
        row = _wait(context, client, view, result.order_id, args.wait) if args.wait > 0 and result.order_id else None
    if row is None:
        return context.report(result, intent_id=intent_id)
    return _report_end(context, result, row, intent_id)


def grammar_context(view: DeskView) -> GrammarContext:
    """What the words may refer to: the engine's instruments and its fresh quotes."""
    instruments = {made.symbol: made for made in view.instruments}

    def quote(symbol: str) -> QuoteSeen | None:
        for row in view.quotes:
            if row.symbol == symbol and not row.stale and row.bid is not None and row.ask is not None:
                return QuoteSeen(
                    bid=row.bid, ask=row.ask, bid_qty=row.bid_qty, ask_qty=row.ask_qty, ts_ns=row.ts_ns, venue=row.venue
                )
        return None

    account = view.status.account or "PAPER"
    return GrammarContext(instruments=instruments or None, quote=quote, account=account)


def _pointed(line: str, error: GrammarError) -> str:
    return f"{error.text}\n  {line}\n  {' ' * min(error.position, len(line))}^"


def _submit(client: EngineClient, command: AnyCommand, again: str) -> CommandResult:
    """Send once; where the answer is lost, say how to ask again without ordering again."""
    try:
        return client.submit(command)
    except OutcomeUnknown as error:
        msg = f"{error}. Ask what became of it (nothing is sent a second time): {again}"
        raise OutcomeUnknown(msg) from error


def _known_result(row: OrderView) -> CommandResult:
    return CommandResult(
        ok=row.state is not OrderState.DENIED,
        order_id=row.order_id,
        state=row.state,
        repeated=True,
        text=row.note,
        denials=row.denials,
    )


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


def _report_end(context: Context, result: CommandResult, row: OrderView, intent_id: str) -> Exit:
    context.out.object(
        "result", {**show.result_fields(result), "state": row.state, "intent_id": intent_id, "order": row}
    )
    context.out.table(show.ORDER_HEADERS, [show.order_row(row)], show.ORDER_RIGHT)
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
    )
    with context.client() as client:
        result = _submit(client, command, "bolt orders --all")
    return context.report(result, intent_id=intent_id)


def release(context: Context) -> Exit:
    """Send a staged order."""
    with context.client() as client:
        command = ReleaseOrder(source=context.source, order_id=context.args.order_id.upper())
        return context.report(_submit(client, command, "bolt orders --all"))


def cancel(context: Context) -> Exit:
    """Cancel one order or all."""
    args = context.args
    if bool(args.order_id) == bool(args.all):
        msg = "say which order to cancel, or --all (of one symbol with --symbol)"
        raise SettingsError(msg)
    command: CancelOrder | CancelAll
    if args.all:
        command = CancelAll(source=context.source, symbol=args.symbol.upper())
    else:
        command = CancelOrder(source=context.source, order_id=args.order_id.upper())
    with context.client(DEADLINE_S) as client:
        return context.report(_submit(client, command, "bolt orders"))
