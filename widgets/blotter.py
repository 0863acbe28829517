"""Our own orders as a table: open ones with their children, staged ones, and what is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.domain.instrument import Instrument
from engine.domain.money import text
from engine.domain.order import STATES, OrderState, Side
from engine.views import DeskView, OrderView
from widgets.formats import age, clock_minute, fixed, plain
from widgets.frame import Frame
from widgets.live_table import Cell, Column, LiveTable, Row

COLUMNS = (
    Column(" id", 7),
    Column("S", 2),
    Column("symbol", 8),
    Column("done/qty", 12, is_right=True, is_live=True),
    Column("price", 14, is_right=True),
    Column("state", 7, is_live=True),
    Column("avg", 11, is_right=True, is_live=True),
    Column("age", 6, is_right=True),
    Column("tif", 4, from_width=110),
    Column("source", 16, from_width=130),
    Column("algo, note", 0),
)
TAIL, TAIL_BEHIND_AVG = 6, 7
"""Column from which a refusal's reason is written over the rest: the average's, where there is none."""
DONE_SHOWN_MAX = 60
CHILDREN_SHOWN_MAX = 6
EMPTY = "no orders: press b or s and type a size, or n for a form; ? shows every key"

BAD = frozenset({OrderState.REJECTED, OrderState.DENIED, OrderState.KILLED, OrderState.EXPIRED})
TYPES = {"market": "MKT", "limit": "LMT", "stop": "STP", "stop_limit": "STL"}


class Blotter(LiveTable):
    """The order book of this ledger; the row under the cursor is the order that a key acts on."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, title="Orders", empty=EMPTY, id="orders")
        self.is_done_shown = True
        self._made: dict[str, tuple[OrderView, str, Row]] = {}

    def draw(self, frame: Frame) -> None:
        """Show the picture's orders."""
        view, instruments, now_ns = frame.view, frame.instruments, frame.now_ns
        tops = [order for order in view.orders if not order.parent_id]
        staged = [order for order in tops if order.state is OrderState.STAGED]
        done = [order for order in tops if order.state.is_terminal]
        shut = {order.order_id for order in (*staged, *done)}
        running = [order for order in tops if order.order_id not in shut]
        children: dict[str, list[OrderView]] = {}
        for order in view.orders:
            if order.parent_id:
                children.setdefault(order.parent_id, []).append(order)
        rows: list[Row] = []
        for parent in _newest(running):
            rows.append(self._row(parent, instruments, now_ns))
            rows += self._children(parent, children.get(parent.order_id, []), instruments, now_ns)
        if staged:
            rows.append(Row("#staged", ("staged: nothing has left; r releases",), is_rule=True))
            rows += [self._row(order, instruments, now_ns) for order in _newest(staged)]
        if done:
            words = f"done: {len(done)}" + ("" if self.is_done_shown else ", D shows them")
            rows.append(Row("#done", (words,), is_rule=True))
            if self.is_done_shown:
                ended = sorted(done, key=lambda order: (-order.updated_ns, order.order_id))[:DONE_SHOWN_MAX]
                rows += [self._row(order, instruments, now_ns) for order in ended]
        self._forget(rows)
        self.show(rows, now_ns)
        self.say(view)

    def say(self, view: DeskView) -> None:
        """Counts above the rows, and below them the order that a key would act on."""
        status = view.status
        unknown = f", {status.orders_unknown} UNKNOWN" if status.orders_unknown else ""
        title = f"Orders: {status.orders_working} working, {status.parents_open} parents{unknown}"
        if self.border_title != title:
            self.border_title = title
        target = self.row
        words = f"{target.id} selected" if target else ""
        if self.border_subtitle != words:
            self.border_subtitle = words

    def _children(
        self, parent: OrderView, children: Sequence[OrderView], instruments: Mapping[str, Instrument], now_ns: int
    ) -> list[Row]:
        """The live children of an algorithm, newest first; a direct order is its own child and shows none."""
        live = _newest([child for child in children if child.state.is_live])
        if parent.algo == "direct" and len(live) <= 1:
            live = [child for child in live if child.state is OrderState.UNKNOWN]
        return [self._row(child, instruments, now_ns) for child in live[:CHILDREN_SHOWN_MAX]]

    def _row(self, order: OrderView, instruments: Mapping[str, Instrument], now_ns: int) -> Row:
        """The order's row, made again only when the order or its age in words changed."""
        when = clock_minute(order.updated_ns) if order.state.is_terminal else age(now_ns - order.created_ns)
        cached = self._made.get(order.order_id)
        if cached is not None and cached[0] is order and cached[1] == when:
            return cached[2]
        made = instruments.get(order.symbol)
        row = order_row(order, when, 2 if made is None else made.price_digits)
        self._made[order.order_id] = (order, when, row)
        return row

    def _forget(self, rows: Sequence[Row]) -> None:
        if len(self._made) > 2 * len(rows) + 64:
            kept = {row.id for row in rows}
            self._made = {order_id: made for order_id, made in self._made.items() if order_id in kept}


def _newest(orders: Sequence[OrderView]) -> list[OrderView]:
    return sorted(orders, key=lambda order: (-order.created_ns, -len(order.order_id), order.order_id), reverse=False)


def order_row(order: OrderView, when: str, digits: int) -> Row:
    """One order as a row."""
    state = STATES[order.state].screen + ("!" if order.stale else "")
    is_dim = order.state.is_terminal and order.state not in BAD
    alarm = order.state in {OrderState.UNKNOWN, OrderState.SUSPENDED}
    side = "buy" if order.side is Side.BUY else "sell"
    cells = (
        f"{'  ' if order.parent_id else ' '}{order.order_id}",
        Cell(order.side.letter, "" if is_dim else side),
        order.symbol,
        f"{text(order.qty_filled)}/{text(order.qty)}",
        price_words(order, digits),
        Cell(state, "alarm" if alarm else "warn" if order.state in BAD else ""),
        fixed(order.avg_price, digits + 1),
        when,
        order.tif.upper(),
        plain(order.source),
        _note(order),
    )
    has_tail = (order.state in BAD or alarm) and bool(cells[-1])
    tail = -1 if not has_tail else TAIL if order.avg_price is None else TAIL_BEHIND_AVG
    return Row(order.order_id, cells, "dim" if is_dim else "", tail)


def price_words(order: OrderView, digits: int) -> str:
    """Type and price: ``MKT``, ``LMT 189.10``, ``STP 188.40``."""
    word = TYPES.get(order.type, order.type.upper())
    price = order.limit if order.limit is not None else order.stop
    return f"{word} {fixed(price, digits)}".rstrip()


def _note(order: OrderView) -> str:
    parts = []
    if order.algo not in {"", "direct"}:
        parts.append(f"{order.algo.upper()} {order.progress_pct}%")
    if order.queue_ahead is not None:
        parts.append(f"queue {text(order.queue_ahead)}")
    if order.denials:
        first = order.denials[0]
        return plain(" ".join((*parts, first.code, first.text)))
    if order.type == "stop_limit" and order.stop is not None:
        parts.append(f"stop {text(order.stop)}")
    if order.is_foreign:
        parts.append("foreign")
    return plain(" ".join(part for part in (*parts, order.flags, order.note) if part))
