"""The blotter: our own orders as a tree of baskets, parents, children and fills; what is staged; what is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum

from engine.domain.clock import hms
from engine.domain.money import Money, padded, text
from engine.domain.order import OrderState, Side
from engine.views import BasketView, CostView, DeskView, FillView, OrderView
from widgets import basket_rows
from widgets.aged import is_old
from widgets.formats import age, clock_minute, counted, exact, fixed, plain, quantity, signed
from widgets.frame import Frame
from widgets.live_table import Cell, Column, LiveTable, Row
from widgets.row_filter import RowFilter, read_filter

PRICE_WIDTH = 14
COLUMNS = (
    Column(" id", 8),
    Column("S", 2),
    Column("symbol", 8),
    Column("done/qty", 12, is_right=True, is_live=True),
    Column("price", PRICE_WIDTH, is_right=True),
    Column("state", 7, is_live=True),
    Column("avg", 11, is_right=True, is_live=True),
    Column("age", 6, is_right=True),
    Column("slip bp", 8, is_right=True, from_width=100),
    Column("tif", 4, from_width=110),
    Column("account", 11, from_width=150),
    Column("source", 20, from_width=120),
    Column("algo, note", 0),
)
TAIL, TAIL_BEHIND_AVG = 6, 7
"""Column from which a refusal's reason is written over the rest: the average's, where there is none."""
DONE_SHOWN_MAX = 60
CHILDREN_SHOWN_MAX = 6
AROUND = 5
"""Rows above and below those that can be seen which are kept as new as they are."""
FAMILY_SHOWN_MAX = 200
"""Children, and fills, of one opened parent."""
BY_A_PERSON = ": MANUAL"
"""Code at the end of a halt's note that says no more than that somebody halted."""
EMPTY = "no orders: press b or s and type a size, n for a form, B for a basket; ? shows every key"
EMPTY_FILTER = "no order passes the filter: / changes it, esc in it clears it"

BAD = frozenset({OrderState.REJECTED, OrderState.DENIED, OrderState.KILLED, OrderState.EXPIRED})
TYPES = {
    "market": "MKT",
    "limit": "LMT",
    "stop": "STP",
    "stop_limit": "STL",
    "trailing_stop": "TRL",
    "market_if_touched": "MIT",
    "limit_if_touched": "LIT",
    "market_to_limit": "MTL",
}
TOUCHED = "limit_if_touched"
FILTER_NAMES = ("id", "sym", "side", "state", "algo", "src", "broker", "acct", "type", "tif", "qty", "note")


class Open(Enum):
    """How much of a parent's family is shown."""

    SHUT = "shut"
    LIVE = "live"
    """Its live children: as every parent starts."""
    ALL = "all"
    """Every child with its fills."""


STEPS = (Open.SHUT, Open.LIVE, Open.ALL)

Key = Callable[[OrderView], object]
SORTS: dict[str, Key] = {
    "newest": lambda order: -order.created_ns,
    "symbol": lambda order: order.symbol,
    "side": lambda order: order.side.value,
    "state": lambda order: order.word,
    "done": lambda order: -order.progress_pct,
}


class Blotter(LiveTable):
    """The orders of this ledger; the row under the cursor is the order that a key acts on."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, title="Orders", empty=EMPTY, id="orders")
        self.is_done_shown = True
        self.filter = RowFilter()
        self.nothing = EMPTY
        """What stands there while there is no order at all."""
        self.sort = "newest"
        self.is_reversed = False
        self.marked: dict[str, None] = {}
        """Ids that were marked, in order of marking; a mark outlives sorting and filtering, not the order's end."""
        self._opened: dict[str, Open] = {}
        self._made: dict[str, tuple[OrderView, tuple[str, str, str, CostView | None], Row]] = {}
        self._near: set[str] = set()
        """Rows that can be seen, and a few around them."""
        self._late: set[str] = set()
        """Rows that are older than the picture, because nobody sees them."""
        self._frame: Frame | None = None
        self._basket_of: dict[str, BasketView] = {}
        self._members: dict[str, list[OrderView]] = {}
        self._tied: set[str] = set()
        """Orders that stand below their basket's row."""

    # -- what a person sets ------------------------------------------------------------------------------------------------

    def set_filter(self, words: str) -> str:
        """Show only what passes; the words that are wrong with it, or nothing."""
        self.filter = read_filter(words, FILTER_NAMES)
        self.empty = EMPTY_FILTER if words.strip() else self.nothing
        return self.filter.error

    def next_sort(self) -> str:
        """Sort by the next column; its name."""
        names = list(SORTS)
        self.sort = names[(names.index(self.sort) + 1) % len(names)]
        return self.sort

    def step(self, parent_id: str, by: int) -> Open:
        """Open a parent's family further, or shut it a step."""
        at = STEPS.index(self._opened.get(parent_id, Open.LIVE))
        self._opened[parent_id] = STEPS[max(0, min(len(STEPS) - 1, at + by))]
        return self._opened[parent_id]

    def shut_basket(self, basket_id: str, *, is_shut: bool) -> None:
        """Hide the orders below a basket's row, or show them."""
        self._opened[basket_id] = Open.SHUT if is_shut else Open.LIVE

    def toggle_mark(self, order_id: str) -> None:
        """Mark an order, or take its mark off."""
        if self.marked.pop(order_id, 0) == 0:
            self.marked[order_id] = None

    # -- drawing -----------------------------------------------------------------------------------------------------------

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every row as of the newest picture."""
        if self._late and self._frame is not None:
            self._draw(self._frame, {*self._made}, 0)
        return self._rows

    def draw(self, frame: Frame) -> None:
        """Show the picture's orders. Only rows that can be seen are made anew."""
        self._frame = frame
        self._draw(frame, self._seen(), frame.now_ns)
        self._catch_up()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Rows come into sight."""
        super().watch_scroll_y(old_value, new_value)
        self._catch_up()

    def _seen(self) -> set[str]:
        window = self.window
        return {row.id for row in self._rows[max(0, window.start - AROUND) : window.stop + AROUND]}

    def _catch_up(self) -> None:
        """Make what came into sight anew; it is not news, so nothing of it is bold."""
        if self._frame is not None and self._late and any(self._rows[at].id in self._late for at in self.window):
            self._draw(self._frame, self._seen(), 0)

    def _draw(self, frame: Frame, near: set[str], now_ns: int) -> None:
        self._near = near
        self._late.clear()
        view = frame.view
        children: dict[str, list[OrderView]] = {}
        for order in view.orders:
            if order.parent_id:
                children.setdefault(order.parent_id, []).append(order)
        live = {order.order_id for order in view.orders if not order.state.is_terminal}
        self.marked = {order_id: None for order_id in self.marked if order_id in live}
        tops = [order for order in view.orders if not order.parent_id and self._passes(order, children)]
        staged = [order for order in tops if order.state is OrderState.STAGED]
        done = [order for order in tops if order.state.is_terminal]
        shut = {order.order_id for order in (*staged, *done)}
        costs = {cost.order_id: cost for cost in view.costs}
        self._gather_baskets(view)
        rows: list[Row] = []
        for parent in self._with_baskets(
            self._sorted([order for order in tops if order.order_id not in shut]), rows, frame
        ):
            rows += self._family(parent, children.get(parent.order_id, []), frame, costs)
        baskets = [one for one in view.baskets if one.state == basket_rows.STAGED and self._passes_basket(one)]
        if staged or baskets:
            rows.append(Row("#staged", ("staged: nothing has left; r releases or approves",), is_rule=True))
            rows += [basket_rows.basket_row(one, (), frame.now_ns, "") for one in baskets[::-1]]
            rows += [self._row(order, frame, None, "") for order in self._sorted(staged)]
        if done:
            words = f"done: {len(done)}" + ("" if self.is_done_shown else ", D shows them")
            rows.append(Row("#done", (words,), is_rule=True))
            if self.is_done_shown:
                ended = sorted(done, key=lambda order: (-order.updated_ns, order.order_id))
                last = (ended if self.sort == "newest" else self._sorted(done))[:DONE_SHOWN_MAX]
                for order in self._with_baskets(last, rows, frame):
                    family = children.get(order.order_id, []) if self._opened.get(order.order_id) is Open.ALL else []
                    rows += self._family(order, family, frame, costs)
        self._forget(rows)
        self.show(rows, now_ns)
        self.say(view)

    def _gather_baskets(self, view: DeskView) -> None:
        """Which order belongs to which basket, and where a basket's row stands: with its live orders while it has some."""
        self._basket_of = basket_rows.basket_of(view.baskets)
        self._tied.clear()
        orders = {order.order_id: order for order in view.orders} if self._basket_of else {}
        self._members = {one.basket_id: basket_rows.members_of(one, orders) for one in view.baskets if one.orders}

    def _with_baskets(self, orders: Sequence[OrderView], rows: list[Row], frame: Frame) -> Iterable[OrderView]:
        """The orders with those of a basket together, behind its row; a basket that is shut keeps them."""
        seen: dict[str, None] = {}
        for order in orders:
            basket = self._basket_of.get(order.order_id)
            members = [] if basket is None else self._members[basket.basket_id]
            is_live = any(not member.state.is_terminal for member in members)
            if basket is None or is_live == order.state.is_terminal:
                yield order  # its basket still works, and stands above; this one has ended
                continue
            if basket.basket_id in seen:
                continue
            seen[basket.basket_id] = None
            is_shut = self._opened.get(basket.basket_id) is Open.SHUT
            rows.append(basket_rows.basket_row(basket, members, frame.now_ns, ">" if is_shut else "v"))
            if not is_shut:
                below = [one for one in orders if self._basket_of.get(one.order_id) is basket]
                self._tied.update(one.order_id for one in below)
                yield from below

    def _passes_basket(self, basket: BasketView) -> bool:
        return not self.filter.terms or self.filter.passes(basket_rows.filter_fields(basket))

    def say(self, view: DeskView) -> None:
        """Counts, filter and sorting above the rows, and below them the order that a key would act on."""
        status = view.status
        unknown = f", {status.orders_unknown} UNKNOWN" if status.orders_unknown else ""
        title = f"Orders: {status.orders_working} working, {counted(status.parents_open, 'parent')}{unknown}"
        if is_old(view):
            title += ", ! STALE"
        if self.marked:
            title += f", {len(self.marked)} marked"
        if self.sort != "newest" or self.is_reversed:
            title += f"  sort: {self.sort}{' reversed' if self.is_reversed else ''}"
        if self.filter.text:
            title += f"  /{self.filter.text}"
        target = self.row
        self.retitle(title, f"{target.id} selected" if target and "/" not in target.id else "")

    def _passes(self, order: OrderView, children: dict[str, list[OrderView]]) -> bool:
        """A family is shown as a whole where one of it passes."""
        if not self.filter.terms:
            return True
        family = (order, *children.get(order.order_id, ()))
        return any(self.filter.passes(filter_fields(member)) for member in family)

    def _sorted(self, orders: Sequence[OrderView]) -> list[OrderView]:
        key = SORTS[self.sort]
        found = sorted(orders, key=lambda order: (key(order), -order.created_ns, -len(order.order_id), order.order_id))
        return found[::-1] if self.is_reversed else found

    def _family(
        self, parent: OrderView, children: Sequence[OrderView], frame: Frame, costs: dict[str, CostView]
    ) -> Iterable[Row]:
        """A parent with as much of its family as is open; a direct order is its own child and shows none while it works."""
        opened = self._opened.get(parent.order_id, Open.LIVE)
        shown: list[OrderView] = []
        if opened is Open.LIVE:
            shown = [child for child in children if child.state.is_live]
            if parent.algo == "direct" and len(shown) <= 1:
                shown = [child for child in shown if child.state is OrderState.UNKNOWN]
            shown = _newest(shown)[:CHILDREN_SHOWN_MAX]
        elif opened is Open.ALL:
            shown = _newest(children)[:FAMILY_SHOWN_MAX]
        hidden = len(children) - len(shown)
        sign = "" if not children else "v" if opened is Open.ALL else ">" if hidden else "v"
        yield self._row(parent, frame, costs.get(parent.order_id), sign)
        for child in shown:
            yield self._row(child, frame, None, "")
            if opened is Open.ALL:
                fills = [fill for fill in frame.view.fills if fill.order_id == child.order_id]
                yield from (fill_row(fill, frame.digits(fill.symbol)) for fill in fills[-FAMILY_SHOWN_MAX:])

    def _row(self, order: OrderView, frame: Frame, cost: CostView | None, sign: str) -> Row:
        """The order's row, made again only when something that it shows changed."""
        is_done = order.state.is_terminal
        when = clock_minute(order.updated_ns) if is_done else age(frame.now_ns - order.created_ns)
        shown = (when, self._mark(order), sign, cost)
        cached = self._made.get(order.order_id)
        if cached is not None:
            if cached[0] is order and cached[1] == shown:
                return cached[2]
            if order.order_id not in self._near:
                self._late.add(order.order_id)
                return cached[2]
        row = order_row(order, when, frame.digits(order.symbol), mark=shown[1], sign=sign, cost=cost)
        self._made[order.order_id] = (order, shown, row)
        return row

    def _mark(self, order: OrderView) -> str:
        """The cell before an id: a mark, or the stroke that ties an order to the basket above it."""
        if order.order_id in self.marked:
            return "*"
        return "|" if (order.parent_id or order.order_id) in self._tied else " "

    def _forget(self, rows: Sequence[Row]) -> None:
        if len(self._made) > 2 * len(rows) + 64:
            kept = {row.id for row in rows}
            self._made = {order_id: made for order_id, made in self._made.items() if order_id in kept}


def _newest(orders: Sequence[OrderView]) -> list[OrderView]:
    return sorted(orders, key=lambda order: (-order.created_ns, -len(order.order_id), order.order_id))


def filter_fields(order: OrderView) -> dict[str, str]:
    """An order's columns by the names that a filter may use."""
    return {
        "id": order.order_id,
        "sym": order.symbol,
        "side": order.side.value,
        "state": f"{order.word} {order.state.value}",
        "algo": order.algo,
        "src": order.source,
        "broker": order.broker,
        "acct": order.account,
        "type": f"{TYPES.get(order.type, '')} {order.type}",
        "tif": order.tif,
        "qty": text(order.qty),
        "note": order.note,
    }


def order_row(
    order: OrderView,
    when: str,
    digits: int,
    *,
    mark: str = " ",
    sign: str = "",
    cost: CostView | None = None,
) -> Row:
    """One order as a row."""
    state = order.word + ("!" if order.stale else "")
    is_dim = order.state.is_terminal and order.state not in BAD
    alarm = order.state in {OrderState.UNKNOWN, OrderState.SUSPENDED} or bool(order.awaits)
    side = "buy" if order.side is Side.BUY else "sell"
    price = _price_cell(order, digits)
    cells = (
        f"{mark}{' ' if order.parent_id else ''}{order.order_id}{sign}",
        Cell(order.side.letter, "" if is_dim else side),
        order.symbol,
        f"{text(order.qty_filled)}/{text(order.qty)}",
        price,
        Cell(state, "alarm" if alarm else "warn" if order.state in BAD or order.paused else ""),
        fixed(order.avg_price, digits + 1),
        when,
        _slip(cost),
        order.tif.upper(),
        plain(order.account),
        plain(order.source),
        _note(order, digits, has_both="/" in price),
    )
    has_tail = (order.state in BAD or alarm) and bool(cells[-1])
    tail = -1 if not has_tail else TAIL if order.avg_price is None else TAIL_BEHIND_AVG
    return Row(order.order_id, cells, "dim" if is_dim else "", tail)


def fill_row(fill: FillView, digits: int) -> Row:
    """An execution below its child; no key acts on it."""
    flag = "  BUSTED" if fill.busted else "  LATE" if fill.late else ""
    words = (
        f"{text(fill.qty)} @{exact(fill.price, digits)}  {hms(fill.ts_ns)}  {plain(fill.venue)} {fill.liquidity}  "
        f"fee {text(fill.fee)} {fill.fee_currency}{flag}"
    )
    return Row(f"{fill.order_id}/{fill.seq}", ("   f", fill.side.letter, words), "dim", 2)


def _slip(cost: CostView | None) -> str:
    slip: Money | None = None if cost is None else cost.slip_bp
    return "" if slip is None else signed(slip, 1)


def price_words(order: OrderView, digits: int) -> str:
    """Type and prices: ``MKT``, ``LMT 189.10``, ``STP 188.40``, ``TRL 0.50``, ``LIT 188.90/188.95`` with the trigger first."""
    word = TYPES.get(order.type, order.type.upper())
    if order.trail is not None:
        return f"{word} {fixed(order.trail, digits)}"
    if order.type == TOUCHED and order.limit is not None and order.stop is not None:
        return f"{word} {fixed(order.stop, digits)}/{fixed(order.limit, digits)}"
    price = order.limit if order.limit is not None else order.stop
    return f"{word} {fixed(price, digits)}".rstrip()


def _price_cell(order: OrderView, digits: int) -> str:
    """As :func:`price_words`; where two prices find no room the trigger stays, and the note has the limit."""
    words = price_words(order, digits)
    return words if len(words) <= PRICE_WIDTH else words.partition("/")[0]


def queue_words(order: OrderView) -> str:
    """What stands ahead of it in its queue: ``1,200``, ``~1,200`` where that is an estimate; empty where nobody tells."""
    if order.queue_ahead is None:
        return ""
    return f"{'~' if order.queue_guessed else ''}{quantity(order.queue_ahead)}"


def _note(order: OrderView, digits: int, *, has_both: bool) -> str:
    """``has_both``: the price's cell says trigger and limit."""
    parts = [f"waits for a second person, {order.awaits}"] if order.awaits else []
    if order.algo not in {"", "direct"} and not order.waits:
        eager = f" {order.urgency}" if order.urgency not in {"", "normal"} else ""
        parts.append(f"{order.algo.upper()} {order.progress_pct}%{eager}")
    if order.queue_ahead is not None and (order.parent_id or order.algo in {"", "direct"}):
        parts.append(f"{queue_words(order)} ahead")  # where it is narrow the number stays
    if order.denials:
        first = order.denials[0]
        return plain(" ".join((*parts, first.code, first.text)))
    if order.type == "stop_limit" and order.stop is not None:
        parts.append(f"stop {padded(order.stop, digits)}")
    if order.type == TOUCHED and order.limit is not None and not has_both:
        parts.append(f"limit {padded(order.limit, digits)}")
    if order.is_foreign:
        parts.append("foreign")
    flags = order.flags.replace("-only", "")
    return plain(" ".join(part for part in (*parts, order.terms(digits), flags, own_note(order)) if part))


def own_note(order: OrderView) -> str:
    """What an order's note says beyond its state: not how its one child ended, nor again that it was cancelled."""
    if order.note == f"its child ended {order.state.value}":
        return ""
    said = order.note.removesuffix(BY_A_PERSON)
    return said.removeprefix("cancelled ") if order.state is OrderState.CANCELLED else said
