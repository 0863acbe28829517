"""Going straight to the next tick that can matter gives every event, fill and hash of the run that looks at each tick."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.clock import NS_PER_S
from engine.domain.commands import AmendOrder, NewOrder
from engine.domain.errors import InputError
from engine.domain.events import OrderFilled, decode_event
from engine.domain.money import Price, Qty
from engine.domain.order import OrderSpec, OrderType, Side, Source, SourceKind, Tif
from engine.intake.strategy_base import Strategy, StrategyContext, StrategyEvent, TimerDue
from engine.market.columns import NAMES, TickColumns
from tests.bench.arrays import START_NS, SYMBOL
from tests.bench.bolt_workload import BENCHES, LIVE, Bench, Pegs, tick_columns

STEP_NS = NS_PER_S // 4
PLAIN = ("buy", "sell", "buy_stop", "sell_stop", "take", "cancel", "amend", "shrink")
TYPED = ("buy_touch", "sell_touch", "buy_trail", "sell_trail", "buy_iceberg", "sell_iceberg")
ACTS = PLAIN + TYPED
Act = tuple[str, int, int]
"""What, how many price units from the market, and how much."""


class Script(Strategy):
    """Does one thing after the other, by a timer; no tick is wanted."""

    wants_ticks = False
    acts: ClassVar[list[Act]] = []
    symbol: str = SYMBOL

    def on_start(self, ctx: StrategyContext) -> None:
        self.at = 0
        self.made: list[str] = []
        self.told: list[StrategyEvent] = []
        ctx.timer("next", ctx.now_ns() + STEP_NS)
        LIVE.append(self)

    def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
        self.told.append(event)
        if isinstance(event, TimerDue) and self.at < len(self.acts):
            self.act(ctx, *self.acts[self.at])
            self.at += 1
            ctx.timer("next", event.due_ns + STEP_NS)

    def act(self, ctx: StrategyContext, what: str, off: int, qty: int) -> None:
        quote = ctx.quote(SYMBOL)
        if quote is None:
            return
        side = Side.BUY if what.startswith("buy") else Side.SELL
        away = _price((quote.bid or 100) - side.sign * off)
        through = _price((quote.bid or 100) + side.sign * off)
        made: str | None = None
        if what in {"buy", "sell"}:
            made = ctx.order(SYMBOL, side, qty, limit=away, why="rests")
        elif what.endswith("stop"):
            made = ctx.order(SYMBOL, side, qty, stop=through, why="waits", tif=Tif.GTC)
        elif what in TYPED:
            made = self.typed(what.partition("_")[2], side, away, _price(1 + abs(off)), Qty(qty))
        elif what == "take":
            made = ctx.order(SYMBOL, Side.BUY if qty % 2 else Side.SELL, qty, why="takes")
        elif self.made:
            self.change(ctx, what, self.made[off % len(self.made)], away, qty)
        if made is not None:
            self.made.append(made)

    def typed(self, kind: str, side: Side, away: Price, trail: Price, qty: Qty) -> str | None:
        """An order of a type that the context does not make."""
        terms: dict[str, Any] = {
            "touch": {"type": OrderType.MARKET_IF_TOUCHED, "stop": away},
            "trail": {"type": OrderType.TRAILING_STOP, "trail": trail},
            "iceberg": {"type": OrderType.LIMIT, "limit": away, "display": Qty(1)},
        }[kind]
        spec = OrderSpec(symbol=SYMBOL, side=side, qty=qty, **terms)
        source = Source(SourceKind.STRATEGY, "Script")
        asked = NewOrder(source=source, intent_id=f"t{self.at}", spec=spec, why="typed")
        made = BENCHES[-1].engine.commander.submit(asked)
        TAKEN[kind] = TAKEN.get(kind, 0) + made.ok
        return made.order_id if made.ok else None

    def change(self, ctx: StrategyContext, what: str, order_id: str, limit: Price, qty: int) -> None:
        if what == "cancel":
            ctx.cancel(order_id)
        elif order_id in BENCHES[-1].engine.store.parents_open:
            terms: dict[str, Any] = {"qty": Qty(qty)} if what == "shrink" else {"limit": limit}
            source = Source(SourceKind.STRATEGY, "Script")
            asked = AmendOrder(source=source, intent_id=f"a{self.at}", order_id=order_id, **terms)
            BENCHES[-1].engine.commander.submit(asked)


TAKEN: dict[str, int] = {}
"""How many orders of the other types the gate let pass."""


def _price(units: int) -> Price:
    return Price(f"{units // 100}.{units % 100:02d}")


def facts(bench: Bench) -> dict[str, Any]:
    """Everything that must not depend on how the ticks were fed."""
    listing, market = bench.listing, bench.engine.market
    bench.journal.commit()  # what waits for the disk is not read yet
    own = {
        sign: [(one.wire_id, one.ahead, one.leaves, one.rests_from) for one in listing.own[sign]] for sign in (1, -1)
    }
    return {
        "hash": bench.journal.head_hash.hex(),
        "rows": bench.journal.head_seq,
        "listing": (listing.rows, listing.prints, listing.last_price, listing.bid, listing.ask, listing.bid_qty),
        "own": own,
        "stops": [one.wire_id for one in listing.stops],
        "market": (market.ticks, market.first_trade, market.trades, market.changed, market.quote(SYMBOL)),
        "bars": {
            name: [[getattr(bar, slot) for slot in bar.__slots__] for bar in bars]
            for name, bars in market.bars.of.items()
        },
        "traded": market.bars.traded(SYMBOL),
        "counters": bench.driver.core.counters,
        "position": bench.engine.ledger.qty("PAPER", SYMBOL),
        "ticks": bench.driver.ticks,
        "now": bench.clock.now_ns(),
        "told_late_ns": max(
            (
                row.ts_ns - event.fill.ts_ns
                for row in bench.journal.read()
                if isinstance(event := decode_event(row.payload), OrderFilled)
            ),
            default=0,
        ),
    }


def run(columns: TickColumns, strategy: type[Strategy], *, by_columns: bool) -> tuple[dict[str, Any], int]:
    """The facts of one run, and how many ticks the listing was handed one by one."""
    looked_at = 0
    with TemporaryDirectory() as folder:
        params = {"nearest_ticks": "4"} if strategy is Pegs else None  # near enough to be filled often
        bench = Bench(Path(folder), on_disk=False, strategy=strategy, params=params)
        if by_columns:
            handed = bench.listing.on_tick

            def count(tick: Any) -> None:
                nonlocal looked_at
                looked_at += 1
                handed(tick)

            vars(bench.listing)["on_tick"] = count
            bench.driver.feed_columns(bench.listing, columns)
        else:
            bench.driver.feed(bench.listing, (columns.tick(at) for at in range(columns.rows)))
        found = facts(bench)
        bench.close()
    return found, looked_at


@st.composite
def markets(draw: st.DrawFn) -> TickColumns:
    """A small market with gaps, crossed and missing sides, and prints anywhere near."""
    rows = draw(st.integers(1, 60))
    level = st.tuples(
        st.integers(95, 105), st.integers(0, 3), st.sampled_from((0, 1, 5, 20)), st.sampled_from((0, 3, 9, 40))
    )
    kinds = draw(st.lists(st.tuples(st.booleans(), level, st.integers(-1, 1)), min_size=rows, max_size=rows))
    gaps = draw(st.lists(st.sampled_from((0, 1, 1_000, STEP_NS, 7 * NS_PER_S)), min_size=rows, max_size=rows))
    made: dict[str, list[int]] = {name: [] for name in NAMES}
    for (is_trade, (bid, wide, bid_qty, ask_qty), sign), gap in zip(kinds, np.cumsum(gaps).tolist(), strict=True):
        values = (START_NS + 2 + gap, int(is_trade), bid, bid_qty, bid + wide, ask_qty, bid + wide, 1 + bid_qty, sign)
        for name, value in zip(NAMES, values, strict=True):
            made[name].append(value)
    return TickColumns(SYMBOL, "XSIM", made)


ASKED = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(-2, 6), st.integers(1, 30)), min_size=1, max_size=25)


@given(markets(), ASKED)
@settings(max_examples=12, deadline=None)
def test_random_markets_end_alike(columns: TickColumns, acts: list[Act]) -> None:
    Script.acts = acts
    by_tick, _ = run(columns, Script, by_columns=False)
    told = [repr(event) for event in LIVE[-1].told]
    by_columns, _ = run(columns, Script, by_columns=True)
    assert by_columns == by_tick
    assert [repr(event) for event in LIVE[-1].told] == told


def test_the_random_markets_saw_each_type() -> None:
    rows = {name: [0] * 8 for name in NAMES}
    for at, units in enumerate((100, 103, 98, 104, 97, 105, 99, 101)):
        rows["ts_ns"][at] = START_NS + 2 + at * STEP_NS
        rows["bid"][at], rows["ask"][at] = units, units + 1
        rows["bid_qty"][at] = rows["ask_qty"][at] = 50
        rows["price"][at], rows["qty"][at] = units, 40
        rows["is_trade"][at] = int(at in {2, 3, 4, 6})
    columns = TickColumns(SYMBOL, "XSIM", rows)
    TAKEN.clear()
    Script.acts = [(what, 2, 5) for what in TYPED]
    by_tick, _ = run(columns, Script, by_columns=False)
    assert sorted(TAKEN) == ["iceberg", "touch", "trail"]
    assert all(TAKEN.values())
    by_columns, _ = run(columns, Script, by_columns=True)
    assert by_columns == by_tick


def test_a_stop_that_trails_is_shown_each_print() -> None:
    units = (100, 100, 100, 107, 100, 100, 104, 100)
    rows = {name: [0] * 8 for name in NAMES}
    for at, price in enumerate(units):
        rows["ts_ns"][at] = START_NS + 2 + at * NS_PER_S
        rows["bid"][at], rows["ask"][at], rows["bid_qty"][at], rows["ask_qty"][at] = 100, 108, 50, 50
        rows["price"][at], rows["qty"][at] = price, 40
        rows["is_trade"][at] = int(at not in {0, 2, 5})
    columns = TickColumns(SYMBOL, "XSIM", rows)
    Script.acts = [("sell_trail", 1, 5)]
    by_tick, _ = run(columns, Script, by_columns=False)
    by_columns, _ = run(columns, Script, by_columns=True)
    assert by_columns == by_tick
    assert by_tick["counters"].fills == 1


def test_a_hundred_pegged_orders_fill_alike_and_few_ticks_are_looked_at() -> None:
    columns = tick_columns(25_000)
    by_tick, _ = run(columns, Pegs, by_columns=False)
    by_columns, looked_at = run(columns, Pegs, by_columns=True)
    assert by_columns == by_tick
    assert by_tick["counters"].fills > 5
    assert by_tick["told_late_ns"] == 0, "a resting order's execution waited for something else to fall due"
    assert looked_at < columns.rows // 4


def test_a_strategy_that_wants_ticks_is_told_each(tmp_path: Path) -> None:
    columns = tick_columns(500)
    seen: list[StrategyEvent] = []

    class Each(Script):
        wants_ticks = True

        def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
            seen.append(event)

    bench = Bench(tmp_path, on_disk=False, strategy=Each)
    bench.driver.feed_columns(bench.listing, columns)
    bench.close()
    assert [event for event in seen if not isinstance(event, TimerDue)] == [columns.tick(at) for at in range(500)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bid": [1]}, "bid has shape"),
        ({"ts_ns": [2, 1]}, "runs backwards after row 1"),
        ({"ask": None}, "ask is missing"),
    ],
)
def test_columns_that_cannot_be_used_are_refused(change: dict[str, Any], words: str) -> None:
    made = {name: [1, 1] for name in NAMES} | change
    with pytest.raises(InputError, match=words):
        TickColumns(SYMBOL, "XSIM", {name: column for name, column in made.items() if column is not None})
