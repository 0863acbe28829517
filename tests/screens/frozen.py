"""Pictures that stand still: an empty desk, a working day, a halt. Tests and the documentation's images draw them."""

from __future__ import annotations

import msgspec

from engine.domain.clock import NS_PER_S
from engine.domain.commands import CheckResult, CommandResult, Denial, LineVerdict
from engine.domain.instrument import Instrument, make_instrument
from engine.domain.money import Money, Price, Qty
from engine.domain.order import OrderState, Side
from engine.views import (
    BarView,
    BasketView,
    BookView,
    BrokerView,
    CostView,
    DeskView,
    ExposureView,
    FeedView,
    FillView,
    HaltView,
    HoursView,
    LimitView,
    LogLine,
    MarkoutView,
    OrderView,
    PositionView,
    QuoteView,
    SourceView,
    StatusView,
    VenueShare,
)

NOW_NS = 1_785_163_327 * NS_PER_S
"""14:42:07 UTC on a Monday."""
MIN_NS = 60 * NS_PER_S

INSTRUMENTS: tuple[Instrument, ...] = (
    make_instrument("AAPL", "equity", "XSIM", "USD", "0.01"),
    make_instrument("MSFT", "equity", "XSIM", "USD", "0.01"),
    make_instrument("SPY", "etf", "XSIM", "USD", "0.01"),
    make_instrument("ESZ6", "future", "XSIF", "USD", "0.25", multiplier="50"),
    make_instrument("BTCUSD", "crypto_spot", "XSIC", "USD", "0.5", "0.0001"),
)

PASSED = CommandResult(
    ok=True,
    text="buy 100 AAPL limit 189.10 day",
    preview={
        "notional": "18910",
        "currency": "USD",
        "position": "300",
        "position_after": "400",
        "position_worst": "4200",
        "bid": "189.06",
        "ask": "189.07",
        "last": "189.07",
        "mid": "189.065",
        "quote_age_ms": "120",
        "units": "100 shares of AAPL",
        "cost": "0.5 USD",
        "cost_bp": "0.3",
        "book_qty": "100",
        "book_avg": "189.07",
        "book_levels": "1",
        "fee": "0.18 USD (example rates)",
        "ticks_from_mid": "3.5",
        "margin": "4.8% of equity (9452.50 USD, all open orders filled)",
        "self_cross": "none",
        "median": "200",
        "median_times": "0.5",
    },
    checks=(
        CheckResult("C01", "HALTED", True, "active", ""),
        CheckResult("C06", "QTY_MAX", True, "100", "5000", "2", "policy.yaml:23"),
        CheckResult("C07", "NOTIONAL_MAX", True, "18910", "250000", "7.6", "policy.yaml:27"),
        CheckResult("C09", "POSITION_MAX", True, "4300", "10000", "43", "policy.yaml:45"),
        CheckResult("C12", "PRICE_BAND", True, "1.9", "50"),
        CheckResult("C17", "RATE_MAX", True, "14", "120"),
    ),
)
DENIAL = Denial(
    "QTY_MAX",
    "C06",
    "900000",
    "5000",
    "policy.yaml:23",
    "900000 shares of AAPL are more than an order may hold; the most is 5000",
)
DENIED = CommandResult(
    ok=False,
    code="QTY_MAX",
    preview={**PASSED.preview, "notional": "170190000", "position_after": "900300", "units": "900000 shares of AAPL"},
    denials=(
        DENIAL,
        Denial(
            "NOTIONAL_MAX",
            "C07",
            "170190000",
            "250000",
            "policy.yaml:27",
            "170,190,000 USD in one order [not a markup]",
        ),
    ),
    checks=(
        CheckResult("C01", "HALTED", True, "active", ""),
        CheckResult("C06", "QTY_MAX", False, "900000", "5000"),
        CheckResult("C07", "NOTIONAL_MAX", False, "170190000", "250000"),
    ),
)
DUPLICATE = CommandResult(
    ok=False,
    code="DUPLICATE",
    preview=PASSED.preview,
    denials=(
        Denial(
            "DUPLICATE",
            "C19",
            "P104",
            "",
            "policy.yaml:61",
            "the same order was placed 4 s ago as P104",
            confirmable=True,
        ),
    ),
)


def order(order_id: str, state: OrderState = OrderState.NEW, **changes: object) -> OrderView:
    """One order; anything can be said otherwise."""
    number = int(order_id[1:])
    made = OrderView(
        order_id=order_id,
        symbol="AAPL",
        side=Side.BUY,
        qty=Qty(100),
        qty_filled=Qty(0),
        type="limit",
        limit=Price("189.05"),
        tif="day",
        state=state,
        broker="paper",
        account="PAPER",
        source="desk:anna",
        created_ns=NOW_NS - 10 * MIN_NS + number * NS_PER_S,
        updated_ns=NOW_NS - 4 * NS_PER_S,
    )
    return msgspec.structs.replace(made, **changes)


def with_baskets() -> DeskView:
    """A working day with a basket that works and one that is staged."""
    made = order(
        "P110", OrderState.PARTIALLY_FILLED, qty=Qty(400), qty_filled=Qty(150), symbol="SPY", limit=Price("512.3")
    )
    orders = (
        made,
        order("P111", symbol="MSFT", side=Side.SELL, limit=Price("421.6")),
        order("P112", OrderState.FILLED, qty_filled=Qty(100), avg_price=Price("189.06")),
    )
    works = BasketView(
        basket_id="B1", name="rebal_0930.csv", state="released", count=3, staged_ns=NOW_NS - 9 * MIN_NS, source="desk:anna",
        orders=tuple(one.order_id for one in orders),
    )  # fmt: skip
    staged = BasketView(
        basket_id="B2", name="close_1545.csv", state="staged", count=4, staged_ns=NOW_NS - MIN_NS, source="desk:anna"
    )
    day = working_day()
    return msgspec.structs.replace(day, orders=(*day.orders, *orders), baskets=(works, staged))


WAITING_HASH = "38FA12C0DE77"
FOUR_EYES = msgspec.structs.replace(
    PASSED,
    preview={
        **PASSED.preview,
        "four_eyes": "5672100",
        "four_eyes_max": "5000000",
        "four_eyes_line": "policy.yaml:29",
        "order_hash": WAITING_HASH,
        "asked_by": "ben",
    },
)


def waiting() -> DeskView:
    """A working day with an order that waits for a second person, and one whose trigger passed while nobody looked."""
    day = working_day()
    when = "2026-07-27T14:30:00Z passed while no engine was up"
    orders = (
        order("P120", OrderState.STAGED, qty=Qty(30000), limit=Price("189.07"), source="desk:ben", awaits=WAITING_HASH),
        order("P121", OrderState.SUSPENDED, symbol="SPY", limit=Price("511"), algo="when", note=when),
    )
    return msgspec.structs.replace(day, orders=(*day.orders, *orders))


def basket_judged(denials: dict[int, Denial] | None = None, *, total: tuple[Denial, ...] = ()) -> CommandResult:
    """What the engine says of the staged basket; line to what is against it."""
    words = (
        "buy 100 AAPL limit 189.05 day",
        "sell 50 MSFT limit 421.5 day",
        "buy 400 SPY limit 512.3 day",
        "buy 10 AAPL market",
    )
    found = denials or {}
    lines = tuple(
        LineVerdict(line=at, words=said, notional=Money("18905"), denials=(found[at],) if at in found else ())
        for at, said in enumerate(words, 2)
    )
    blocked = ", ".join(str(at) for at, denial in found.items() if not denial.confirmable)
    return CommandResult(
        ok=not blocked,
        code="BASKET_BLOCKED" if blocked else "",
        text="B2 close_1545.csv: 4 orders, 75620 USD, staged"
        + (f"; lines that block it: {blocked}" if blocked else ""),
        order_id="B2",
        lines=lines,
        denials=total,
        preview={"count": "4", "notional": "75620", "state": "staged"},
    )


def status(**changes: object) -> StatusView:
    """The status of a quiet paper market."""
    made = StatusView(
        mode="PAPER",
        account="PAPER",
        ledger_id="7K2QX",
        head_seq=41_207,
        durable_seq=41_207,
        ts_ns=NOW_NS,
        started_ns=NOW_NS - 312 * MIN_NS,
        policy_hash="5f1d",
        halt=HaltView(state="active"),
        brokers=(
            BrokerView(broker="paper", account="PAPER", state="up", latency_ms=2, latency_ms_p99=7, reconciled_s=12.0),
        ),
        hours=(HoursView(calendar="XNYS", state="open", next_ns=NOW_NS + 197 * MIN_NS),),
        pnl_day=Money(0),
        currency="USD",
    )
    return msgspec.structs.replace(made, **changes)


def quotes() -> tuple[QuoteView, ...]:
    rows = (
        ("AAPL", "XSIM", "189.06", "189.07", "189.07", "+0.4"),
        ("MSFT", "XSIM", "421.48", "421.5", "421.5", "-0.1"),
        ("SPY", "XSIM", "512.32", "512.33", "512.33", "+0.1"),
        ("ESZ6", "XSIF", "5210", "5210.25", "5210", "-0.1"),
        ("BTCUSD", "XSIC", "61499.5", "61500", "61500", "+0.9"),
    )
    return tuple(
        QuoteView(
            symbol=symbol,
            venue=venue,
            bid=Price(bid),
            ask=Price(ask),
            last=Price(last),
            change_pct=change,
            ts_ns=NOW_NS,
        )
        for symbol, venue, bid, ask, last, change in rows
    )


def book(symbol: str = "AAPL", bid: str = "189.06", ask: str = "189.07", tick: str = "0.01") -> BookView:
    """Ten levels a side with sizes that look like a market's."""
    sizes = (400, 1200, 800, 2100, 1050, 600, 5400, 1300, 900, 2200)
    bids = tuple((Price(bid) - Price(tick) * n, Qty(size)) for n, size in enumerate(sizes))
    asks = tuple((Price(ask) + Price(tick) * n, Qty(size)) for n, size in enumerate((300, 900, *sizes[3:], 700)))
    return BookView(symbol=symbol, venue="XSIM", ts_ns=NOW_NS, tick=Price(tick), bids=bids, asks=asks)


def empty() -> DeskView:
    """A desk on its first morning."""
    return DeskView(
        status=status(), quotes=quotes(), books=(book(), book("MSFT", "421.48", "421.5")), instruments=INSTRUMENTS
    )


def halted(durable: bool = True, done: bool = True) -> HaltView:
    """A halt with its receipt, as far as it is."""
    return HaltView(
        state="halted",
        durable=durable,
        who="anna",
        why="halt key",
        code="MANUAL",
        ts_ns=NOW_NS,
        found=7,
        cancels_sent=7,
        cancels_confirmed=7 if done else 5,
        unknown=0 if done else 2,
        kept=1,
        done=done,
        residual=() if done else ("INFY buy 50 not confirmed by zerodha",),
        receipt_path="receipts/halt-0007.json" if done else "",
        rearm_after_ns=NOW_NS + 42 * NS_PER_S,
    )


def working_day() -> DeskView:
    """Orders in most states, positions, a log."""
    return DeskView(
        status=status(
            orders_working=6,
            orders_unknown=1,
            parents_open=5,
            pnl_day=Money("1284.5"),
            brokers=(
                BrokerView(
                    broker="paper",
                    account="PAPER",
                    state="up",
                    latency_ms=2,
                    latency_ms_p99=7,
                    reconciled_s=12.0,
                    sent=41,
                    rejected=1,
                    reconnects=2,
                ),
            ),
            feeds=(
                FeedView(venue="XSIC", symbols=1, heard_ns=NOW_NS),
                FeedView(venue="XSIF", symbols=1, heard_ns=NOW_NS - 14 * NS_PER_S, stale=True),
                FeedView(venue="XSIM", symbols=3, heard_ns=NOW_NS),
            ),
            sources=(SourceView(name="BuyTheDip", state="on", parents=1),),
        ),
        orders=_orders(),
        positions=_positions(),
        quotes=quotes(),
        books=(book(), book("MSFT", "421.48", "421.5"), book("BTCUSD", "61499.5", "61500", "0.5")),
        log=_log(),
        fills=_fills(),
        instruments=INSTRUMENTS,
        bars=_bars(),
        limits=_limits(),
        exposures=_exposures(),
        costs=_costs(),
    )


def _bars() -> tuple[BarView, ...]:
    """Forty minutes of two symbols, as a market moves: up and down by a fixed pattern."""
    steps = (3, -1, 2, 4, -2, -3, 1, 5, -4, 2, 3, -1, -2, -5, 1, 2, 4, 1, -3, 2)
    found = []
    for symbol, last, tick in (("AAPL", "188.83", "0.01"), ("BTCUSD", "60990", "5.5")):
        price = Price(last)
        for minute in range(40):
            step = steps[(minute + len(symbol)) % len(steps)]
            end = price + Price(tick) * step
            found.append(
                BarView(
                    symbol=symbol,
                    ts_ns=NOW_NS - NOW_NS % MIN_NS - (39 - minute) * MIN_NS,
                    open=price,
                    high=max(price, end) + Price(tick) * (minute % 3),
                    low=min(price, end) - Price(tick) * (minute % 2),
                    close=end,
                    volume=Qty(1000 + 37 * (step * step) % 4000),
                )
            )
            price = end
    return tuple(sorted(found, key=lambda bar: bar.ts_ns))


def limit(code: str, scope: str, value: str, most: str, used: int | None, line: int, **changes: str) -> LimitView:
    return LimitView(
        code=code, control=changes.get("control", "C17"), what=changes["what"], scope=scope, value=value, limit=most,
        unit=changes.get("unit", ""), used_pct=used, policy_line=f"policy.yaml:{line}",
    )  # fmt: skip


def _limits() -> tuple[LimitView, ...]:
    return (
        limit("LOSS_MAX", "PAPER", "0", "250000", 0, 72, what="loss of the day", unit="USD"),
        limit("DRAWDOWN_MAX", "PAPER", "64210.4", "300000", 22, 73, what="drawdown of the day", unit="USD"),
        limit("GROSS_MAX", "PAPER", "12214300", "20000000", 62, 50, what="gross exposure", unit="USD"),
        limit("LEVERAGE_MAX", "PAPER", "", "200", None, 54, what="gross in percent of equity", unit="%"),
        limit("OPEN_COUNT", "PAPER", "6", "200", 3, 57, what="open orders of the account"),
        limit("DAY_ORDERS", "PAPER", "212", "20000", 2, 66, what="orders sent today"),
        limit("UNKNOWN_COUNT", "PAPER", "1", "3", 34, 89, what="orders in UNKNOWN"),
        limit("POSITION_MAX", "BTCUSD", "42.5", "50", 85, 137, what="worst position"),
        limit("POSITION_MAX", "AAPL", "50000", "50000", 100, 46, what="worst position"),
    )


def _exposures() -> tuple[ExposureView, ...]:
    rows = (
        ("symbol", "AAPL", "56719.5", "0"), ("symbol", "MSFT", "0", "-42112"), ("symbol", "ESZ6", None, None),
        ("symbol", "BTCUSD", "6150", "0"), ("source", "BuyTheDip", "56719.5", "0"), ("source", "desk:anna", "6150", "-42112"),
        ("broker", "paper", "62869.5", "-42112"), ("currency", "USD", "62869.5", "-42112"),
    )  # fmt: skip
    return tuple(
        ExposureView(
            kind=kind,
            name=name,
            long=None if long is None else Money(long),
            short=None if short is None else Money(short),
        )
        for kind, name, long, short in rows
    )


def _costs() -> tuple[CostView, ...]:
    return (
        CostView(
            order_id="P104",
            arrival=Price("189.02"),
            arrival_ns=NOW_NS - 8 * MIN_NS,
            slip_bp=Money("2.33"),
            timing_bp=Money("1.6"),
            execution_bp=Money("0.73"),
            fees_bp=Money("0.18"),
            fees=Money("4.2"),
            venues=(VenueShare(venue="XSIM", qty=Qty(700)), VenueShare(venue="XSIX", qty=Qty(500))),
            market_vwap=Price("189.071"),
            market_qty=Qty(14800),
            markouts=(
                MarkoutView(horizon_ms=100, bp=Money("-0.2"), fills=4),
                MarkoutView(horizon_ms=1_000, bp=Money("0.1"), fills=4),
                MarkoutView(horizon_ms=10_000, bp=Money("0.4"), fills=3, missing=1),
                MarkoutView(horizon_ms=60_000, waiting=4),
            ),
        ),
    )


def _orders() -> tuple[OrderView, ...]:
    part, new, sell = OrderState.PARTIALLY_FILLED, OrderState.NEW, Side.SELL
    btc = {"symbol": "BTCUSD", "limit": Price("61200"), "qty": Qty("0.5"), "qty_filled": Qty("0.1")}
    return (
        order("P91", OrderState.FILLED, qty_filled=Qty(100), avg_price=Price("188.93"), algo="direct"),
        order("P95", OrderState.CANCELLED, symbol="SPY", limit=Price("511.9"), algo="direct"),
        order("P98", part, **btc, avg_price=Price("61188.5"), algo="twap", progress_pct=20, tif="gtc"),
        order("C208", part, **btc, avg_price=Price("61188.5"), parent_id="P98", algo="", created_ns=NOW_NS - 6 * MIN_NS),
        order("P101", OrderState.STAGED, symbol="SPY", side=sell, limit=Price("513"), algo="direct", source="strategy:BuyTheDip"),
        order(
            "P104", part, queue_ahead=Qty(1_300), queue_guessed=True, qty=Qty(5000), qty_filled=Qty(1200), limit=Price("189.1"), avg_price=Price("189.064"),
            algo="vwap", progress_pct=24, source="strategy:BuyTheDip", why="1.2% below its reference",
        ),
        order("C211", OrderState.FILLED, parent_id="P104", qty_filled=Qty(100), avg_price=Price("189.05"), algo=""),
        order("C212", new, parent_id="P104", qty=Qty(200), limit=Price("189.05"), algo="", queue_ahead=Qty(1_300), queue_guessed=True, created_ns=NOW_NS - NS_PER_S),
        order("P105", new, symbol="MSFT", side=sell, limit=Price("421.5"), algo="direct"),
        order("C213", new, symbol="MSFT", side=sell, limit=Price("421.5"), parent_id="P105", algo=""),
        order(
            "P106", OrderState.UNKNOWN, symbol="ESZ6", side=sell, qty=Qty(2), type="market", limit=None, algo="direct",
            note="no answer from the venue within 5 s; asking it", stale=True,
        ),
        order("P107", new, symbol="ESZ6", side=sell, qty=Qty(4), type="stop", limit=None, stop=Price("5205.25"), tif="gtc",
              flags="reduce-only", algo="direct"),
        order("P108", OrderState.DENIED, symbol="BTCUSD", qty=Qty(25), limit=Price("61500"), denials=(
            msgspec.structs.replace(DENIAL, code="NOTIONAL_MAX", text="1,537,500 USD in one order; the most is 250,000"),
        ), algo="direct"),
    )  # fmt: skip


def _positions() -> tuple[PositionView, ...]:
    rows = (
        ("AAPL", "300", "188.93", "189.07", "0", "42", "0.35", 42),
        ("MSFT", "-100", "421", "421.12", "0", "-12", "0.35", 10),
        ("BTCUSD", "0.1", "60880.5", "61500", "902.1", "61.95", "12.4", 61),
        ("ESZ6", "-2", "5211.25", None, "190", None, "8.2", 20),
        ("SPY", "0", None, None, "-9.55", "0", "1.1", 0),
    )
    return tuple(
        PositionView(
            broker="paper",
            account="PAPER",
            symbol=symbol,
            qty=Qty(qty),
            avg_price=None if average is None else Price(average),
            mark=None if mark is None else Price(mark),
            mark_stale=symbol == "ESZ6",
            realised=Money(booked),
            unrealised=None if opened is None else Money(opened),
            fees=Money(fees),
            currency="USD",
            limit_pct=limit,
        )
        for symbol, qty, average, mark, booked, opened, fees, limit in rows
    )


def _log() -> tuple[LogLine, ...]:
    rows = (
        (330, "START", "", "clean start", "info"),
        (329, "RISK", "", "policy 5f1d22a07c41 in force", "info"),
        (46, "ACK", "P105", "sell 100 MSFT limit 421.5 day", "info"),
        (27, "WARN", "", "EXPOSURE gross exposure at 61% of its limit", "warn"),
        (12, "UNKN", "P106", "no answer from the venue within 5 s", "critical"),
        (9, "DENY", "P108", "NOTIONAL_MAX 1,537,500 USD in one order; the most is 250,000 (policy.yaml:27)", "warn"),
        (4, "FILL", "C211", "buy 100 AAPL 189.05 XSIM", "info"),
        (1, "SEND", "C212", "buy 200 AAPL limit 189.05 day slice 7 of 20", "info"),
    )
    return tuple(
        LogLine(
            seq=41_190 + n,
            ts_ns=NOW_NS - ago * NS_PER_S + 114_000_000,
            word=word,
            order_id=oid,
            text=text,
            severity=level,
        )
        for n, (ago, word, oid, text, level) in enumerate(rows)
    )


def _fills() -> tuple[FillView, ...]:
    rows = (("P98", "C208", "BTCUSD", "0.1", "61188.5", 300, "maker"), ("P104", "C209", "AAPL", "600", "189.02", 420, "maker"),
            ("P104", "C210", "AAPL", "500", "189.11", 190, "taker"), ("P104", "C211", "AAPL", "100", "189.05", 4, "maker"))  # fmt: skip
    return tuple(
        FillView(
            seq=41_150 + number,
            order_id=order_id,
            parent_id=parent_id,
            symbol=symbol,
            side=Side.BUY,
            qty=Qty(qty),
            price=Price(price),
            venue="XSIM",
            liquidity=liquidity,
            fee=Money("0.35"),
            fee_currency="USD",
            ts_ns=NOW_NS - ago * NS_PER_S,
            fill_key=f"x{number}",
        )
        for number, (parent_id, order_id, symbol, qty, price, ago, liquidity) in enumerate(rows)
    )


def bid_of(symbol: str) -> Price | None:
    """Best bid of a working day."""
    return next(quote.bid for quote in working_day().quotes if quote.symbol == symbol)
