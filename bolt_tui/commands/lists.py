"""`bolt orders | positions | fills | events`: what the running engine knows, or its ledger where none answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from bolt_tui.client import EngineClient, NoEngine
from bolt_tui.commands import show
from bolt_tui.commands.exits import Exit
from bolt_tui.commands.older import say_left_out, with_ended, with_older_fills
from engine.api.picture import FILLS_MAX
from engine.domain.clock import iso
from engine.domain.errors import SettingsError
from engine.domain.events import KIND_NAMES, AnyEvent, encode, kind_of, parts_of
from engine.domain.instrument import digits_of
from engine.domain.order import OrderState
from engine.store.head import SEQ_MAX
from engine.views import DeskView, OrderView

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context

KINDS_WITHIN = 50_000
"""Rows that are looked through for the last events of a kind."""
ROWS_EVER = 10**12
"""More rows than any ledger has."""
TEXT_SHOWN = 300
"""Longer text in an event (a whole policy file) is cut on the screen; JSON has all of it."""
Journaled = tuple[int, int, AnyEvent]


def live_marks(view: DeskView) -> dict[str, Any]:
    """Where an answer is from and of when, as JSON fields."""
    return {
        "read_from": "engine",
        "engine": "running",
        "as_of_ns": view.status.ts_ns,
        "as_of_seq": view.status.head_seq,
    }


def now_or_then(context: Context, *, measure_s: float | None = None) -> tuple[DeskView, dict[str, Any]]:
    """The engine's picture, or that of ``--at`` and ``--ledger``, and where it is from. Raises NoEngine.

    ``measure_s``: how long prices behind the fills of a past are waited for, where they are wanted.
    """
    past = context.past(measure_s=measure_s)
    if past is not None:
        status = past.status
        marks = {"read_from": "ledger", "engine": "past", "as_of_ns": status.ts_ns, "as_of_seq": status.head_seq}
        return past, marks
    with context.client() as client:
        view = client.view()
    return view, live_marks(view)


def now_or_kept(context: Context) -> tuple[DeskView, dict[str, Any]]:
    """As :func:`now_or_then`; where no engine answers, what the ledger holds, marked as such."""
    try:
        return now_or_then(context)
    except NoEngine as error:
        return context.stored_view(error)


def orders(context: Context) -> Exit:
    """List orders, children under their parents."""
    args = context.args
    symbol = args.symbol.upper()
    found: tuple[OrderView, ...]
    try:
        view, marks = now_or_then(context)
        found = with_ended(context, view, marks, symbol)[0] if args.all else view.orders
        digits = digits_of(view.instruments)
    except NoEngine as error:
        stored = context.stored(error)
        found, marks = stored.orders(with_ended=args.all, symbol=symbol), stored.marks()
        digits = stored.digits()
        if args.all:
            say_left_out(context, marks, stored.count(symbol) - len(found), symbol)
    rows = [row for row in found if (args.all or not row.state.is_terminal) and symbol in {"", row.symbol}]
    if args.waiting:
        rows = [row for row in rows if row.awaits or row.waits or row.state is OrderState.SUSPENDED]
    rows.sort(key=lambda row: (order_number(row.parent_id or row.order_id), bool(row.parent_id), row.created_ns))
    context.out.object("orders", {"orders": rows, **marks})
    context.out.table(show.ORDER_HEADERS, [show.order_row(row, digits(row.symbol)) for row in rows], show.ORDER_RIGHT)
    if not rows and args.waiting:
        context.out.say("bolt: no order waits for a trigger or a second person")
    elif not rows:
        context.out.say("bolt: no orders" if args.all else "bolt: no open orders; --all shows those that have ended")
    return Exit.OK


def positions(context: Context) -> Exit:
    """List positions, or the strategies' parts of them."""
    if context.args.by:
        from bolt_tui.commands.statement import by_strategy

        if context.args.at:
            msg = "--by reads the whole ledger; leave out --at, or take `bolt statement --day`"
            raise SettingsError(msg)
        return by_strategy(context)
    symbol = context.args.symbol.upper()
    try:
        view, marks = now_or_then(context)
        rows = [row for row in view.positions if symbol in {"", row.symbol}]
        pnl, currency, digits = view.status.pnl_day, view.status.currency, digits_of(view.instruments)
    except NoEngine as error:
        stored = context.stored(error)
        rows, marks, pnl, currency = list(stored.positions(symbol)), stored.marks(), None, ""
        digits = stored.digits()
    context.out.object("positions", {"positions": rows, "pnl_day": pnl, "currency": currency, **marks})
    context.out.table(
        show.POSITION_HEADERS, [show.position_row(row, digits(row.symbol)) for row in rows], show.POSITION_RIGHT
    )
    if not rows:
        context.out.say("bolt: no positions")
    return Exit.OK


def fills(context: Context) -> Exit:
    """List executions."""
    symbol, limit = context.args.symbol.upper(), row_limit(context)
    try:
        view, marks = now_or_then(context)
        digits = digits_of(view.instruments)
        rows = [row for row in view.fills if symbol in {"", row.symbol}][-limit:]
        if len(rows) < limit and len(view.fills) >= FILLS_MAX and not (context.args.at or context.args.ledger):
            rows = with_older_fills(context, rows, limit, symbol)
    except NoEngine as error:
        stored = context.stored(error)
        rows, marks, digits = list(stored.fills(limit, symbol)), stored.marks(), stored.digits()
    context.out.object("fills", {"fills": rows, **marks})
    context.out.table(show.FILL_HEADERS, [show.fill_row(row, digits(row.symbol)) for row in rows], show.FILL_RIGHT)
    if not rows:
        context.out.say("bolt: no fills")
    return Exit.OK


def events(context: Context) -> Exit:
    """Show journaled events, JSON or not: each on its own line, so that it can be followed."""
    args = context.args
    limit, wanted = row_limit(context), first_row(context)
    for kind in args.kind:
        _known_kind(kind)
    try:
        with context.client() as client:
            head = client.view().status.head_seq
            if args.follow:
                _follow(context, client, wanted or max(1, head - limit + 1))
            first = _first(context, head, limit)
            _show_events(context, client.events(first, max(0, head - first + 1)), limit)
    except NoEngine as error:
        if args.follow:
            # What was shown came from the engine; nothing further will come from the ledger by itself.
            raise
        stored = context.stored(error)
        _show_events(context, stored.events(_first(context, stored.head_seq, limit), -1), limit)
    return Exit.OK


def _first(context: Context, head: int, limit: int) -> int:
    """Where to begin reading: where that was not said, as far back as the last ones of the wanted kinds may be."""
    if context.args.from_seq:
        return int(context.args.from_seq)
    back = KINDS_WITHIN if context.args.kind else limit
    if context.args.kind and head > back:
        context.out.say(f"bolt: looked for in the last {back} rows of {head}; --from looks further back")
    return max(1, head - back + 1)


def _follow(context: Context, client: EngineClient, first: int) -> NoReturn:
    """Show events as they come, until interrupted or the engine goes (NoEngine)."""
    for found in client.follow(first):
        if _is_wanted(found[2], context.args.kind):
            _show_event(context, found)
    raise AssertionError("a stream of events ends by raising")


def _show_events(context: Context, stream: Iterator[Journaled], limit: int) -> None:
    """The first ones from a row that was named, else the last ones."""
    kinds = context.args.kind
    wanted = (found for found in stream if _is_wanted(found[2], kinds))
    for found in islice(wanted, limit) if context.args.from_seq else deque(wanted, maxlen=limit):
        _show_event(context, found)


def _known_kind(kind: str) -> None:
    """Raises SettingsError where there is no such kind: nothing would ever be shown, and nothing said."""
    known = sorted(KIND_NAMES.values())
    if kind not in known:
        near = get_close_matches(kind, known, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        msg = f"--kind was {kind!r}, and no event is called so; {hint}"
        raise SettingsError(msg)


def _is_wanted(event: AnyEvent, kinds: list[str]) -> bool:
    """Whether it is of one of these kinds, or a row that holds one of them; of no kinds, every event."""
    return not kinds or kind_of(event) in kinds or any(kind_of(part) in kinds for part in parts_of(event))


def _show_event(context: Context, found: Journaled) -> None:
    context.out.object("event", event_fields(*found))
    context.out.line(event_line(*found))


def event_fields(seq: int, ts_ns: int, event: AnyEvent) -> dict[str, Any]:
    """A journaled event as JSON fields."""
    return {"seq": seq, "ts_ns": ts_ns, "kind": kind_of(event), "event": event}


def event_line(seq: int, ts_ns: int, event: AnyEvent) -> str:
    """A journaled event for a person."""
    fields = msgspec.json.decode(encode(event))
    for name, value in fields.items():
        if isinstance(value, str) and len(value) > TEXT_SHOWN:
            fields[name] = f"{value[:TEXT_SHOWN]}... ({len(value)} characters; --json shows all)"
    return f"{seq} {iso(ts_ns)} {msgspec.json.encode(fields).decode()}"


def row_limit(context: Context) -> int:
    """How many rows were asked for, as many as a ledger can have at most; raises SettingsError below one."""
    limit: int = context.args.limit
    if limit < 1:
        msg = f"--limit was {limit}; expected 1 or more"
        raise SettingsError(msg)
    return min(limit, ROWS_EVER)


def first_row(context: Context) -> int:
    """The row to begin with, 0 where none was named; raises SettingsError where no ledger can have it."""
    seq: int = context.args.from_seq
    if not 0 <= seq <= SEQ_MAX:
        msg = f"--from was {seq}; expected the number of a row, from 1 on (at most {SEQ_MAX})"
        raise SettingsError(msg)
    return seq


def order_number(order_id: str) -> int:
    """The counter in an order's id, for sorting."""
    return int(order_id[1:]) if order_id[1:].isdigit() else 0
