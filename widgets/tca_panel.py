"""What the selected parent cost: against its arrival, split into its parts, by venue and against the market of its time.

Everything here comes from the engine's journaled quotes and fills, and from the market as it followed them. What is not known,
such as prices after fills that nobody recorded, says so in its line instead of showing a figure.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from textual.content import Content
from textual.widget import Widget

from engine.domain.clock import NS_PER_S
from engine.domain.money import EXACT, Money
from engine.domain.order import STATES, OrderState, Side
from engine.views import CostView, MarkoutView, OrderView
from widgets.blotter import own_note, queue_words
from widgets.formats import age, bar, clock_second, fixed, plain, quantity, signed, wrap
from widgets.frame import Frame

EMPTY = "select an order with up and down: what it cost against its arrival is shown here"
NOT_MEASURED = "no tape holds the prices after its fills: they are from before this engine's start, or of a replay"
BAR_WIDTH = 20
NOTED_NS = 2 * NS_PER_S
"""An engine sums costs up once a second: before that nothing is said of an order that has just come."""


class TcaModel(msgspec.Struct, frozen=True, kw_only=True):
    """What the panel shows of one parent."""

    order: OrderView
    cost: CostView | None
    digits: int
    now_ns: int


class TcaPanel(Widget):
    """Lines of words, the most important first: a low pane shows fewer of them."""

    DEFAULT_CSS = """
    TcaPanel { border: round $edge; border-title-color: $title; border-title-style: bold; padding: 0 1;
        border-subtitle-color: $quiet; background: $background; color: $foreground; }
    """

    def __init__(self) -> None:
        super().__init__(id="tca")
        self.border_title = "Parent"
        self.lines: list[tuple[str, str]] = []
        self._model: TcaModel | None = None

    def draw(self, frame: Frame) -> None:
        """Show the parent under the cursor."""
        order = frame.parent
        if order is None:
            self.show(None)
            return
        cost = next((item for item in frame.view.costs if item.order_id == order.order_id), None)
        # A second is enough for what counts time; the rest changes with the order.
        now_ns = frame.now_ns - frame.now_ns % NS_PER_S
        self.show(TcaModel(order=order, cost=cost, digits=frame.digits(order.symbol), now_ns=now_ns))

    def show(self, model: TcaModel | None) -> None:
        """Show a model; repaints only where it is another one."""
        if model == self._model and self.lines:
            return
        self._model = model
        self._make()

    def on_resize(self) -> None:
        """The width decides where lines break."""
        self._make()

    def _make(self) -> None:
        width = max(20, self.size.width)
        model = self._model
        lines = [(line, "$quiet") for line in wrap(EMPTY, width)] if model is None else tca_lines(model, width)
        title = "Parent" if model is None else tca_title(model.order)
        if self.border_title != title:
            self.border_title = title
        if lines != self.lines:
            self.lines = lines
            self.refresh()

    def render(self) -> Content:
        """The lines."""
        last = len(self.lines) - 1
        return Content.assemble(
            *((words if index == last else f"{words}\n", tone) for index, (words, tone) in enumerate(self.lines))
        )


def tca_title(order: OrderView) -> str:
    """``P104 AAPL buy 5,000``."""
    return f"{order.order_id} {order.symbol} {order.side} {quantity(order.qty)}"


def tca_lines(model: TcaModel, width: int) -> list[tuple[str, str]]:
    """The panel's lines with their styles."""
    order, cost = model.order, model.cost
    state = STATES[order.state]
    algo = "" if order.algo in {"", "direct"} else f"  {order.algo.upper()}"
    span = (order.updated_ns if order.state.is_terminal else model.now_ns) - order.created_ns
    done = f"done {order.progress_pct}%  {bar(order.progress_pct, BAR_WIDTH)}  {quantity(order.qty_filled)} of {quantity(order.qty)}"
    found = [(done, ""), (f"state   {state.screen}{algo}  {age(span)}  since {clock_second(order.created_ns)}", "")]
    if order.state is OrderState.UNKNOWN:
        found.append(("        its outcome is not known: counted at its worst until the venue proves it", "$caution"))
    if cost is None:
        is_new = model.now_ns - order.created_ns < NOTED_NS
        words = "arrival is worked out each second" if is_new else "arrival not known: no quote was journaled"
        found += [(words, "$quiet")]
    else:
        found += [*_against(order, cost, model.digits), *_venues(cost), *_market(order, cost, model.digits)]
        found += _after(order, cost)
    found += _queue(order)
    if order.why:
        found.append((f"why     {plain(order.why)}", ""))
    if own_note(order):
        found.append((f"note    {plain(own_note(order))}", ""))
    return [(line, tone) for words, tone in found for line in _broken(words, width)]


def _broken(words: str, width: int) -> list[str]:
    """A line, or several where it does not fit, its words below each other."""
    if len(words) <= width:
        return [words]
    first, *rest = wrap(words[8:], width - 8)
    return [f"{words[:8]}{first}", *(f"{' ' * 8}{line}" for line in rest)]


def _against(order: OrderView, cost: CostView, digits: int) -> list[tuple[str, str]]:
    none = "none" if order.state.is_terminal else "none yet"
    average = fixed(order.avg_price, digits + 1) or none
    slip = bp(cost.slip_bp) if order.qty_filled else none
    lines = [(f"arrival {fixed(cost.arrival, digits + 1)}  avg {average}  slip {slip}", "bold")]
    if not order.qty_filled:
        yet = "" if order.state.is_terminal else " yet"
        return [*lines, (f"split   nothing has filled{yet}", "$quiet")]
    if cost.timing_bp is None:
        lines.append(("split   not known: a child was sent without a journaled quote", "$quiet"))
    else:
        parts = f"timing {bp(cost.timing_bp)}  execution {bp(cost.execution_bp)}  fees {bp(cost.fees_bp)}"
        lines.append((f"split   {parts}", ""))
    return lines


def _venues(cost: CostView) -> list[tuple[str, str]]:
    total = sum((share.qty for share in cost.venues), Decimal(0))
    if not total:
        return []
    shares = sorted(cost.venues, key=lambda share: (-share.qty, share.venue))
    words = "  ".join(f"{plain(share.venue) or '?'} {_percent(share.qty, total)}%" for share in shares)
    return [(f"venue   {words}", "")]


def _market(order: OrderView, cost: CostView, digits: int) -> list[tuple[str, str]]:
    if cost.market_qty is None:
        why = "it has ended" if order.state.is_terminal else "the engine was started again since"
        return [(f"market  average since then not known: {why}", "$quiet")]
    if cost.market_vwap is None:
        return [("market  nobody has traded since the arrival", "$quiet")]
    words = f"market  vwap {fixed(cost.market_vwap, digits + 1)}"
    if order.avg_price is not None:
        sign = 1 if order.side is Side.BUY else -1
        away = EXACT.divide((order.avg_price - cost.market_vwap) * sign * 10_000, cost.market_vwap)
        words += f" ({bp(Money(away))} against it)"
    return [(f"{words}  part {_percent(order.qty_filled, cost.market_qty)}% of its volume", "")]


def _after(order: OrderView, cost: CostView) -> list[tuple[str, str]]:
    """The market behind the fills: above zero it went our way."""
    if not order.qty_filled:
        return []
    if not cost.markouts:
        return [(f"after   {NOT_MEASURED}", "$quiet")]
    return [(f"after   {', '.join(markout_words(item) for item in cost.markouts)} (+ went our way)", "")]


def markout_words(item: MarkoutView) -> str:
    """``10s +1.2bp``; ``60s not yet``; ``0.1s no quote``; with the fills in it where some have no figure."""
    horizon = f"{item.horizon_ms / 1000:g}s"
    if item.bp is None:
        return f"{horizon} {'not yet' if item.waiting else 'no quote'}"
    left = item.waiting + item.missing
    return f"{horizon} {bp(item.bp)}" + (f" ({item.fills} of {item.fills + left})" if left else "")


def _queue(order: OrderView) -> list[tuple[str, str]]:
    """What stands ahead of its one working child."""
    if order.queue_ahead is not None:
        told = ", estimated from the depth" if order.queue_guessed else ""
        return [(f"queue   {queue_words(order)} ahead{told}", "")]
    if order.state.is_live or not order.state.is_terminal:
        return [("queue   none: it has no single resting order whose place is told", "$quiet")]
    return []


def _percent(part: Decimal, whole: Decimal) -> str:
    return fixed(EXACT.divide(part * 100, whole), 1) if whole else "?"


def bp(value: Money | None) -> str:
    """Basis points with their sign: positive is a cost."""
    return f"{signed(value, 1)}bp"
