"""`bolt blotter | log | watch | book | risk | tca`: what the desk's panes show, as rows for a terminal, a script or a screen reader."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bolt_tui.client import NoEngine
from bolt_tui.commands import show
from bolt_tui.commands.exits import Exit
from bolt_tui.commands.lists import live_marks, now_or_kept, now_or_then, order_number, row_limit
from bolt_tui.commands.look_back import check_past
from bolt_tui.commands.older import say_left_out, with_ended
from engine.domain.clock import NS_PER_MS, hms
from engine.domain.errors import SettingsError
from engine.domain.instrument import Digits, digits_of
from engine.domain.money import padded
from engine.views import BasketView, BookView, CostView, DeskView, FillView, LimitView, LogLine, OrderView, QuoteView

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context

FILLS_MAX = 1_000
MEASURE_S = 60.0
"""How long `bolt tca` waits for prices behind the fills of a past, which are read from its tape."""


def blotter(context: Context) -> Exit:
    """Parents, their children and their executions, open and done and staged, oldest first."""
    symbol = context.args.symbol.upper()
    found: tuple[OrderView, ...]
    fills: tuple[FillView, ...]
    baskets: tuple[BasketView, ...]
    try:
        view, marks = now_or_then(context)
        found, fills = with_ended(context, view, marks, symbol, FILLS_MAX)
        baskets, digits = view.baskets, digits_of(view.instruments)
    except NoEngine as error:
        stored = context.stored(error)
        found, fills = stored.orders(with_ended=True, symbol=symbol), stored.fills(FILLS_MAX, symbol)
        baskets, marks, digits = stored.baskets(), stored.marks(), stored.digits()
        say_left_out(context, marks, stored.count(symbol) - len(found), symbol)
    orders = [row for row in found if symbol in {"", row.symbol}]
    wanted = {row.order_id for row in orders}
    own = [fill for fill in fills if fill.order_id in wanted]
    baskets = tuple(one for one in baskets if not symbol or wanted & {*one.orders})
    context.out.object("blotter", {"orders": orders, "fills": own, "baskets": baskets, **marks})
    context.out.table(
        show.ORDER_HEADERS, [*map(_basket_row, baskets), *tree(orders, own, digits, baskets)], show.ORDER_RIGHT
    )
    if not orders and not baskets:
        context.out.say("bolt: no orders yet; `bolt order 'b 100 AAPL @mkt'` places one")
    return Exit.OK


def _basket_row(basket: BasketView) -> tuple[str, ...]:
    """A basket: what it is, how many orders it has, and which it became."""
    became = basket.orders
    note = f"{basket.count} orders" + (f", {became[0]} to {became[-1]}" if became else "")
    return (
        basket.basket_id, basket.state.upper(), "", str(basket.count), "", "basket", "", "", "", "", "", "",
        basket.source, f"{basket.name}: {note}, staged {hms(basket.staged_ns)}",
    )  # fmt: skip


def tree(
    orders: Iterable[OrderView], fills: Iterable[FillView], digits: Digits, baskets: Iterable[BasketView] = ()
) -> list[tuple[str, ...]]:
    """Rows of a blotter: each parent, its children behind it, and behind each order its executions; a parent names its basket."""
    basket_of = {order_id: basket.basket_id for basket in baskets for order_id in basket.orders}
    by_order: dict[str, list[FillView]] = {}
    for fill in fills:
        by_order.setdefault(fill.order_id, []).append(fill)
    rows: list[tuple[str, ...]] = []
    for order in sorted(
        orders, key=lambda row: (order_number(row.parent_id or row.order_id), bool(row.parent_id), row.created_ns)
    ):
        *cells, note = show.order_row(order, digits(order.symbol))
        of = basket_of.get(order.order_id)
        rows.append((*cells, f"of {of}; {note}".rstrip("; ") if of else note))
        rows += [_fill_in_tree(fill, digits(fill.symbol)) for fill in by_order.get(order.order_id, ())]
    return rows


def _fill_in_tree(fill: FillView, digits: int) -> tuple[str, ...]:
    marks = [
        word for word, on in (("late", fill.late), ("busted", fill.busted), ("overfill", bool(fill.overfill))) if on
    ]
    note = " ".join([f"{hms(fill.ts_ns)} {fill.venue} fee {fill.fee} {fill.fee_currency}".rstrip(), *marks])
    note += f"; {fill.note}" if fill.note else ""
    return (
        "    fill", "FILL", fill.side.letter, "", str(fill.qty), fill.symbol, fill.liquidity, "", "", show.price(fill.price, digits), "", "", "",
        note,
    )  # fmt: skip


LOG_HEADERS = ("TIME", "WORD", "ORDER", "TEXT")


def log(context: Context) -> Exit:
    """The trade log, oldest first; ``--follow`` goes on a line at a time."""
    args = context.args
    limit = row_limit(context)
    check_past(context)
    if not args.follow and (args.at or args.ledger):
        view, marks = now_or_then(context)
        _show_log(context, view.log[-limit:], marks)
        return Exit.OK
    try:
        with context.client() as client:
            view = client.view()
            _show_log(context, view.log[-limit:], live_marks(view))
            if args.follow:
                last = view.log[-1].seq if view.log else 0
                for picture in client.watch(view):
                    lines = [line for line in picture.log if line.seq > last]
                    last = lines[-1].seq if lines else last
                    _show_lines(context, lines)
    except NoEngine as error:
        if args.follow:
            raise
        stored = context.stored(error)
        _show_log(context, stored.log(limit), stored.marks())
    return Exit.OK


def _show_log(context: Context, lines: tuple[LogLine, ...], marks: dict[str, Any]) -> None:
    if context.args.follow:
        _show_lines(context, lines)
        return
    context.out.object("log", {"lines": lines, **marks})
    context.out.table(LOG_HEADERS, [_log_row(line) for line in lines])
    if not lines:
        context.out.say("bolt: nothing has happened yet")


def _show_lines(context: Context, lines: Iterable[LogLine]) -> None:
    """Lines as they come: each complete by itself, so that a reader never waits for a table's width."""
    for line in lines:
        context.out.object("log_line", show.fields(line))
        context.out.line(" ".join(part for part in _log_row(line) if part))


def _log_row(line: LogLine) -> tuple[str, ...]:
    return (hms(line.ts_ns), line.word, line.order_id, line.text)


QUOTE_HEADERS = ("SYMBOL", "VENUE", "BID SIZE", "BID", "ASK", "ASK SIZE", "LAST", "CHANGE%", "AGE MS", "STATE")
QUOTE_RIGHT = ("BID SIZE", "BID", "ASK", "ASK SIZE", "LAST", "CHANGE%", "AGE MS")
NO_PRICES = "prices of now need a running engine; --at shows those of an instant out of the tape beside the ledger"


def watch(context: Context) -> Exit:
    """Best prices of the symbols that are named, of all where none is."""
    wanted = {symbol.upper() for symbol in context.args.symbols}
    view, marks = _priced(context)
    rows = [quote for quote in view.quotes if not wanted or quote.symbol in wanted]
    unknown = wanted - {made.symbol for made in view.instruments}
    if unknown:
        msg = f"no known symbol: {', '.join(sorted(unknown))}; `bolt watch` without a name lists all that are quoted"
        raise SettingsError(msg)
    digits = digits_of(view.instruments)
    context.out.object("quotes", {"quotes": rows, **marks})
    context.out.table(
        QUOTE_HEADERS, [_quote_row(quote, view.status.ts_ns, digits(quote.symbol)) for quote in rows], QUOTE_RIGHT
    )
    if not rows and marks["read_from"] == "engine":
        context.out.say("bolt: no quotes yet")
    return Exit.OK


def _quote_row(quote: QuoteView, now_ns: int, digits: int) -> tuple[str, ...]:
    return (
        quote.symbol,
        quote.venue,
        show.number(quote.bid_qty),
        show.price(quote.bid, digits),
        show.price(quote.ask, digits),
        show.number(quote.ask_qty),
        show.price(quote.last, digits),
        quote.change_pct,
        str(max(0, now_ns - quote.ts_ns) // NS_PER_MS),
        "STALE" if quote.stale else quote.status,
    )


BOOK_HEADERS = ("MINE BID", "BID SIZE", "PRICE", "ASK SIZE", "MINE ASK")


def book(context: Context) -> Exit:
    """Visible levels of one symbol, best asks lowest, with own orders beside them."""
    symbol = context.args.symbol_name.upper()
    view, marks = _priced(context)
    found = next((row for row in view.books if row.symbol == symbol), None)
    if found is None:
        known = ", ".join(row.symbol for row in view.books) or "none"
        when = "is sent" if marks["read_from"] == "engine" else "is on the tape then"
        msg = f"no book of {symbol} {when}; books there are: {known}"
        raise SettingsError(msg)
    context.out.object("book", {"book": found, **marks})
    context.out.table(BOOK_HEADERS, _ladder(found, view.orders, digits_of(view.instruments)(symbol)), BOOK_HEADERS)
    return Exit.OK


def _ladder(book: BookView, orders: Iterable[OrderView], digits: int) -> list[tuple[str, ...]]:
    mine: dict[tuple[str, Any], Any] = {}
    for order in orders:
        if order.symbol == book.symbol and order.state.is_live and order.parent_id and order.limit is not None:
            key = (order.side.letter, order.limit)
            mine[key] = mine.get(key, 0) + (order.qty - order.qty_filled)
    rows: list[tuple[str, ...]] = []
    rows += [("", "", padded(price, digits), str(size), _own(mine, "S", price)) for price, size in reversed(book.asks)]
    return rows + [(_own(mine, "B", price), str(size), padded(price, digits), "", "") for price, size in book.bids]


def _own(mine: dict[tuple[str, Any], Any], side: str, price: object) -> str:
    found = mine.get((side, price))
    return "" if found is None else str(found)


def _priced(context: Context) -> tuple[DeskView, dict[str, Any]]:
    """The picture of now or of ``--at``; the ledger alone has no prices of now. Raises NoEngine."""
    try:
        return now_or_then(context)
    except NoEngine as error:
        msg = f"{error}; {NO_PRICES}"
        raise NoEngine(msg) from error


LIMIT_HEADERS = ("LIMIT", "CONTROL", "FOR", "USED%", "VALUE", "MOST", "UNIT", "POLICY", "WHAT")
LIMIT_RIGHT = ("USED%", "VALUE", "MOST")
EXPOSURE_HEADERS = ("KIND", "NAME", "LONG", "SHORT")


def risk(context: Context) -> Exit:
    """Each limit in force with what is used of it, the fullest first, and exposures."""
    view, marks = now_or_kept(context)
    limits = sorted(view.limits, key=lambda row: -1 if row.used_pct is None else row.used_pct, reverse=True)
    context.out.object("risk", {"limits": limits, "exposures": view.exposures, **marks})
    if context.args.exposures:
        rows = [(row.kind, row.name, show.number(row.long), show.number(row.short)) for row in view.exposures]
        context.out.table(EXPOSURE_HEADERS, rows, ("LONG", "SHORT"))
        return Exit.OK
    context.out.table(LIMIT_HEADERS, [_limit_row(row) for row in limits], LIMIT_RIGHT)
    if not limits:
        context.out.say("bolt: no limits are measured yet")
    return Exit.OK


def _limit_row(row: LimitView) -> tuple[str, ...]:
    used = "?" if row.used_pct is None else str(row.used_pct)
    return (
        row.code,
        row.control,
        row.scope,
        used,
        row.value or "unknown",
        row.limit,
        row.unit,
        row.policy_line,
        row.what,
    )


COST_HEADERS = (
    "ORDER",
    "ARRIVAL",
    "SLIP BP",
    "TIMING BP",
    "EXECUTION BP",
    "FEES BP",
    "FEES",
    "MARKET VWAP",
    "AFTER BP",
    "VENUES",
)
COST_RIGHT = ("ARRIVAL", "SLIP BP", "TIMING BP", "EXECUTION BP", "FEES BP", "FEES", "MARKET VWAP")


def tca(context: Context) -> Exit:
    """What parents cost against their arrival, split into its parts; a figure that cannot be told is a dash."""
    wanted = context.args.order_id.upper()
    try:
        view, marks = now_or_then(context, measure_s=MEASURE_S)
    except NoEngine as error:
        view, marks = context.stored_view(error, measure_s=MEASURE_S)
    costs = [row for row in view.costs if wanted in {"", row.order_id} and _has_filled(row)]
    if wanted and not costs:
        msg = f"{wanted} has no costs yet: it is no parent that has filled; `bolt tca` lists those that have"
        raise SettingsError(msg)
    context.out.object("tca", {"costs": costs, **marks})
    digits, symbols = digits_of(view.instruments), {row.order_id: row.symbol for row in view.orders}
    rows = [_cost_row(row, digits(symbols.get(row.order_id, ""))) for row in costs]
    context.out.table(COST_HEADERS, rows, COST_RIGHT)
    if not costs:
        context.out.say("bolt: no parent has filled yet")
    return Exit.OK


def _has_filled(row: CostView) -> bool:
    return bool(row.venues) or row.slip_bp is not None


def _cost_row(row: CostView, digits: int) -> tuple[str, ...]:
    figures = (row.slip_bp, row.timing_bp, row.execution_bp, row.fees_bp, row.fees)
    venues = " ".join(f"{share.venue}:{share.qty}" for share in row.venues)
    arrival, vwap = show.price(row.arrival, digits), show.price(row.market_vwap, digits)
    return (row.order_id, arrival, *map(show.number, figures), vwap, _after(row), venues)


def _after(row: CostView) -> str:
    """The market behind the fills by horizon, above zero our way: ``0.1s:0.3 1s:-0.2 10s:later 60s:later``; a dash for no quote.

    Where nothing was recorded behind fills of before it says so.
    """
    found = []
    for item in row.markouts:
        figure = str(item.bp) if item.bp is not None else "later" if item.waiting else "-"
        found.append(f"{item.horizon_ms / 1000:g}s:{figure}")
    return " ".join(found) or ("no tape" if row.venues else "-")
