"""What the gate promises beyond single rows: no unpriced order, worst-case exposure, reducing, exits, confirmation."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from engine.domain.commands import HaltScope, HaltScopeKind
from engine.domain.day_events import RiskDayBegan
from engine.domain.events import (
    AmendIntent,
    AmendRejected,
    Decision,
    OrderAmended,
    OrderCancelled,
    OrderRejected,
    TradingState,
    TradingStateChanged,
)
from engine.domain.money import Money, Price, Qty
from engine.domain.order import (
    AlgoSpec,
    Combo,
    Link,
    LinkRole,
    OrderSpec,
    OrderState,
    OrderType,
    Side,
    Source,
    SourceKind,
    Tif,
)
from engine.risk.controls_history import shape
from engine.risk.exposure import OpenOrder, ParentView, RiskView
from engine.risk.policy import load
from engine.risk.risk_manager import Candidate, Role
from tests.risk.world import CLI, NOW, SECOND, SHIPPED, STRATEGY, World, nan_price, nan_qty, order, quote

BROKEN_QUOTES = {
    "absent": None,
    "stale": quote("99.99", "100.01", last="100", ts_ns=NOW - 16 * SECOND),
    "future": quote("99.99", "100.01", last="100", ts_ns=NOW + 16 * SECOND),
    "zero": quote("0", "0", last="100"),
    "zero bid": quote("0", "100.01", last="100"),
    "nan": msgspec.structs.replace(quote("99.99", "100.01"), bid=nan_price()),
    "no offer": quote("99.99", None, last="100"),
    "no bid": quote(None, "100.01", last="100"),
    "crossed": quote("100.02", "100.01", last="100"),
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def trip(world: World, state: TradingState, kind: HaltScopeKind = HaltScopeKind.GLOBAL, name: str = "") -> None:
    world.on(TradingStateChanged(scope=HaltScope(kind, name), state=state, code="MANUAL", who="anna", why="test"))


@pytest.mark.parametrize("name", BROKEN_QUOTES)
@pytest.mark.parametrize("kind", [OrderType.MARKET, OrderType.STOP])
@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("role", [Role.PARENT, Role.CHILD, Role.AMEND])
def test_an_order_that_cannot_be_priced_is_denied(
    world: World, name: str, kind: OrderType, side: Side, role: Role
) -> None:
    world.use(role)
    world.set_limit("price.max_quote_age_s", Decimal(15))
    world.spec = order(limit=None, side=side, type=kind, stop=Price(101) if kind is OrderType.STOP else None)
    found = BROKEN_QUOTES[name]
    if found is None:
        world.quotes.clear()
    else:
        world.quotes["AAPL"] = found
    assert {"C07", "C09", "C10"} <= {denial.control for denial in world.check().denials}


def test_a_sell_limit_far_below_counts_at_the_market(world: World) -> None:
    """A sell at 0.01 is done near the bid: counted at its limit it would slip under any amount."""
    world.set_limit("order.max_notional", Decimal(99_999))
    world.spec = order("1000", "0.01", Side.SELL)
    assert "NOTIONAL_MAX" in world.codes()


def test_a_market_buy_counts_at_its_collar(world: World) -> None:
    world.set_limit("price.collar_pct", Decimal(5))
    world.set_limit("order.max_notional", Decimal(105_000))
    world.spec = order("1000", None)
    assert world.check().ok
    world.spec = order("1001", None)
    assert world.codes() == {"NOTIONAL_MAX"}


def test_a_market_order_into_a_wide_quote_breaks_the_collar(world: World) -> None:
    world.set_limit("price.collar_pct", Decimal(5))
    world.quotes["AAPL"] = quote("90", "110", last="100")
    world.spec = order(limit=None)
    assert world.codes() == {"COLLAR"}


@pytest.mark.parametrize("price", [nan_price(), Price(0), Price(-1), 100.0])
def test_a_price_that_is_none_is_denied(world: World, price: Price) -> None:
    world.spec = msgspec.structs.replace(order(), limit=price)
    assert world.codes() == {"NUMBER_BAD"}


@pytest.mark.parametrize("qty", [nan_qty(), Qty(0), Qty(-5), Decimal("Infinity"), 10, 10.0])
def test_a_quantity_that_is_none_is_denied(world: World, qty: Qty) -> None:
    world.spec = msgspec.structs.replace(order(), qty=qty)
    assert world.codes() == {"NUMBER_BAD"}


def test_a_price_too_many_or_too_few_is_denied(world: World) -> None:
    for spec in (
        msgspec.structs.replace(order(), limit=None),
        msgspec.structs.replace(order("10"), type=OrderType.MARKET),
        msgspec.structs.replace(order(), type=OrderType.STOP),
        msgspec.structs.replace(order(), stop=Price(99)),
    ):
        world.spec = spec
        assert world.codes() == {"NUMBER_BAD"}


TRAIL = {"type": OrderType.TRAILING_STOP, "limit": None, "trail": Price(1)}
TOUCH = {"type": OrderType.LIMIT_IF_TOUCHED, "stop": Price(99)}


@pytest.mark.parametrize(
    ("terms", "codes"),
    [
        (TRAIL, set()),
        ({**TRAIL, "trail": None}, {"NUMBER_BAD"}),
        ({**TRAIL, "trail": Price(0)}, {"NUMBER_BAD"}),
        ({**TRAIL, "trail": nan_price()}, {"NUMBER_BAD"}),
        ({**TRAIL, "limit": Price(100)}, {"NUMBER_BAD"}),
        ({**TRAIL, "trail": Price("0.001")}, {"TICK"}),
        ({**TRAIL, "trail": Price(999)}, {"FAR"}),
        ({"trail": Price(1)}, {"NUMBER_BAD"}),
        (TOUCH, set()),
        ({**TOUCH, "stop": None}, {"NUMBER_BAD"}),
        ({**TOUCH, "stop": Price(10)}, {"COLLAR"}),
        ({"type": OrderType.MARKET_TO_LIMIT, "limit": None}, set()),
        ({"type": OrderType.MARKET_TO_LIMIT}, {"NUMBER_BAD"}),
        ({"display": Qty(10)}, set()),
        ({"display": Qty(11)}, {"NUMBER_BAD"}),
        ({"display": Qty(0)}, {"NUMBER_BAD"}),
        ({"display": nan_qty()}, {"NUMBER_BAD"}),
        ({"display": Qty("1.5")}, {"LOT"}),
        ({"display": Qty(5), "tif": Tif.IOC}, {"NUMBER_BAD"}),
        ({"display": Qty(5), "type": OrderType.MARKET, "limit": None}, {"NUMBER_BAD"}),
        ({"tif": Tif.GTD, "expires_ns": NOW + 1}, set()),
        ({"tif": Tif.GTD, "expires_ns": NOW}, {"NUMBER_BAD"}),
        ({"tif": Tif.GTD}, {"NUMBER_BAD"}),
        ({"expires_ns": NOW + 1}, {"NUMBER_BAD"}),
        ({"link": Link(LinkRole.PEER)}, set()),
        ({"reduce_only": True, "side": Side.SELL}, {"NOT_REDUCING"}),
        ({"reduce_only": True, "side": Side.SELL, "link": Link(LinkRole.LEG)}, set()),
    ],
)
def test_terms_beyond_price_and_size_are_judged(world: World, terms: dict[str, object], codes: set[str]) -> None:
    world.spec = msgspec.structs.replace(order(), **terms)
    assert world.codes() == codes


def test_what_waits_for_its_trigger_crosses_nothing_of_ours(world: World) -> None:
    world.orders = [
        OpenOrder(
            order_id="C9", account="PAPER", symbol="AAPL", side=Side.SELL, leaves=Qty(5), type=OrderType.LIMIT_IF_TOUCHED,
            limit=Price(100), stop=Price(101),
        )
    ]  # fmt: skip
    world.spec = order()
    assert world.codes() == set()


@pytest.mark.parametrize(
    ("tif", "session", "code"),
    [(Tif.OPG, False, ""), (Tif.OPG, True, "SESSION_CLOSED"), (Tif.CLS, True, ""), (Tif.CLS, False, "SESSION_CLOSED")],
)
@pytest.mark.parametrize("full", [True, False])
def test_an_order_for_an_auction_comes_at_its_time(
    world: World, tif: Tif, session: bool, code: str, full: bool
) -> None:
    world.source, world.session = STRATEGY, session
    assert world.caps is not None
    world.caps.types |= {(OrderType.LIMIT, tif)}
    world.spec = msgspec.structs.replace(order(), tif=tif)
    assert [denial.code for denial in world.check(full=full).denials] == ([code] if code else [])
    world.caps.types = frozenset({(OrderType.LIMIT, Tif.DAY)})
    assert "TYPE_UNSUPPORTED" in world.codes(), "a broker that does not list it"


def test_an_order_for_the_open_of_what_never_closes_is_told_so(world: World) -> None:
    assert world.caps is not None
    world.caps.types |= {(OrderType.LIMIT, Tif.OPG)}
    world.spec = msgspec.structs.replace(order(), tif=Tif.OPG)
    (denial,) = world.check().denials
    assert (denial.code, "never closes, so it has no opening auction" in denial.text) == ("SESSION_CLOSED", True)


NOT_JUDGED = {
    "brokers", "session_words", "session_close_ns", "pnl_words", "equity_words", "side_count", "version", "standing",
}  # fmt: skip
"""Read by monitors, for words, by algorithms and by the short way (which asks the table where it breaks); no control decides on them."""
METHODS = [name for name in vars(RiskView) if not name.startswith("_") and name not in NOT_JUDGED]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("full", [True, False])
def test_a_view_that_breaks_denies(world: World, name: str, full: bool) -> None:
    def broken(*_: object) -> object:
        raise LookupError(name)

    world.use(Role.CHILD)
    if name == "intent_owner":
        world.role = Role.PARENT
    if name == "short_used":  # asked for a short sale of what is not free of locates, and for no other order
        world.set_limit("short.locate_free", ())
        world.spec = order(side=Side.SELL)
    if name == "rate_age":
        world.rates["USD"] = Decimal("1.1")  # the age is asked for a currency that needs a rate, and for no other
    setattr(world, name, broken)
    asked = world.risk.check(world.candidate(), NOW, full=full, dry=True)
    assert not asked.ok
    assert not world.risk.failures, "a question counts nothing"
    verdict = world.check(full=full)
    assert not verdict.ok
    assert world.risk.failures


def test_a_machine_gets_the_first_denial_and_a_person_all(world: World) -> None:
    world.is_healthy = False
    world.session = False
    assert [denial.code for denial in world.check(full=False).denials] == ["LEDGER_UNHEALTHY"]
    assert world.codes() == {"LEDGER_UNHEALTHY", "SESSION_CLOSED"}


def test_the_decision_carries_policy_hash_and_quote(world: World) -> None:
    decision = world.check(full=False).decision
    assert world.holder.policy is not None
    assert decision.policy_hash == world.holder.policy.hash
    assert decision.quote is not None
    assert (decision.quote.bid, decision.quote.tape_row) == (Price("99.99"), 7)


def test_checking_changes_nothing(world: World) -> None:
    world.set_limit("duplicate.window_s", Decimal(10))
    world.set_limit("rate.max_per_s_source", Decimal(1))
    assert all(world.check().ok for _ in range(5))


def test_working_orders_count_at_their_worst_on_their_side(world: World) -> None:
    world.set_limit("position.max_qty", Decimal(100))
    world.held["AAPL"] = Qty(60)
    world.opened["AAPL", Side.BUY] = Qty(30)
    world.opened["AAPL", Side.SELL] = Qty(1000)
    world.spec = order("10")
    assert world.check().ok
    world.spec = order("11")
    assert world.codes() == {"POSITION_MAX"}


def test_the_short_side_is_limited_alike(world: World) -> None:
    world.set_limit("position.max_qty", Decimal(100))
    world.held["AAPL"] = Qty(-60)
    world.opened["AAPL", Side.SELL] = Qty(30)
    world.spec = order("10", side=Side.SELL)
    assert world.check().ok
    world.spec = order("11", side=Side.SELL)
    assert world.codes() == {"POSITION_MAX"}


def test_an_amendment_counts_what_it_adds(world: World) -> None:
    world.set_limit("position.max_qty", Decimal(100))
    world.use(Role.AMEND)
    world.opened["AAPL", Side.BUY] = Qty(51)
    world.spec = order("50")
    assert world.check().ok
    world.spec = order("51")
    assert world.codes() == {"POSITION_MAX"}


def test_a_parents_unsent_rest_is_not_counted_twice(world: World) -> None:
    """The parent passed with 100; its children may use exactly that room."""
    world.set_limit("position.max_qty", Decimal(100))
    world.use(Role.CHILD)
    world.parents["P1"] = ParentView(qty=Qty(100), committed=Qty(60), state=OrderState.NEW)
    world.opened["AAPL", Side.BUY] = Qty(60)
    world.spec = order("40")
    assert world.check().ok
    world.spec = order("41")
    assert world.codes() == {"POSITION_MAX", "PARENT_OVER"}


def test_children_are_counted_by_what_was_sent_too(world: World) -> None:
    """The order store forgets a child; the gate's own count does not."""
    world.use(Role.CHILD)
    world.accept(order("100"), NOW)
    world.parents["P1"] = ParentView(qty=Qty(100), committed=Qty(0), state=OrderState.NEW)
    send_child(world, "C1", "60")
    world.spec = order("41")
    assert world.codes() == {"PARENT_OVER"}
    world.on(OrderRejected(order_id="C1", code="X", text="", ts_ns=NOW))
    assert world.check().ok


def send_child(world: World, order_id: str, qty: str) -> None:
    from engine.domain.events import OrderIntent  # beside its only use

    event = OrderIntent(
        order_id=order_id,
        parent_id="P1",
        wire_id=order_id,
        spec=order(qty),
        source=CLI,
        decision=Decision(policy_hash="x"),
    )
    world.on(event, NOW - 5 * SECOND)


def test_what_a_cancelled_child_filled_stays_counted(world: World) -> None:
    world.use(Role.CHILD)
    world.accept(order("100"), NOW)
    world.parents["P1"] = ParentView(qty=Qty(100), committed=Qty(0), state=OrderState.NEW)
    send_child(world, "C1", "60")
    world.fill("C1", Qty(20))
    world.on(OrderCancelled(order_id="C1", ts_ns=NOW))
    world.spec = order("80")
    assert world.check().ok
    world.fill("C1", Qty(1))  # late
    assert world.codes() == {"PARENT_OVER"}


def test_a_pending_amendment_counts_the_larger_terms(world: World) -> None:
    world.accept(order("100"), NOW)
    send_child(world, "C1", "60")
    history = world.risk.history
    world.on(AmendIntent(order_id="C1", qty=Qty(80), decision=Decision(policy_hash="x")))
    assert history.committed("P1") == 80
    world.on(AmendRejected(order_id="C1", code="X", text="", ts_ns=NOW))
    assert history.committed("P1") == 60
    world.on(AmendIntent(order_id="C1", qty=Qty(50), decision=Decision(policy_hash="x")))
    assert history.committed("P1") == 60
    world.on(OrderAmended(order_id="C1", qty=Qty(50), ts_ns=NOW))
    assert history.committed("P1") == 50


def test_reducing_lets_only_shrinking_orders_through(world: World) -> None:
    trip(world, TradingState.REDUCING)
    world.held["AAPL"] = Qty(50)
    world.opened["AAPL", Side.SELL] = Qty(20)
    world.spec = order("30", side=Side.SELL)
    assert world.check().ok
    for spec in (order("31", side=Side.SELL), order("1", side=Side.BUY)):
        world.spec = spec
        assert world.codes() == {"REDUCE_STATE"}


def test_reducing_counts_what_buys_a_short_position_back_already(world: World) -> None:
    trip(world, TradingState.REDUCING)
    world.held["AAPL"] = Qty(-50)
    world.opened["AAPL", Side.BUY] = Qty(20)
    world.opened["AAPL", Side.SELL] = Qty(10)
    world.spec = order("30", side=Side.BUY)
    assert world.check().ok
    for spec in (order("31", side=Side.BUY), order("1", side=Side.SELL)):
        world.spec = spec
        assert world.codes() == {"REDUCE_STATE"}


def test_nothing_shrinks_a_position_that_was_never_verified(world: World) -> None:
    trip(world, TradingState.REDUCING)
    world.held["AAPL"] = Qty(50)
    world.verified = None
    world.spec = order("30", side=Side.SELL)
    assert world.codes() == {"REDUCE_STATE", "RECON_NEVER"}


@pytest.mark.parametrize("path", ["loss.max_day", "reconcile.max_age_s", "portfolio.max_gross", "position.max_qty"])
def test_shrinking_orders_pass_where_others_are_held_back(world: World, path: str) -> None:
    world.set_limit(path, Decimal(1))
    world.held["AAPL"] = Qty(50)
    world.verified = NOW - 2 * SECOND
    world.pnl = Money(-5)
    assert not world.check().ok
    world.spec = order("30", side=Side.SELL)
    assert world.check().ok


def test_an_unknown_result_of_the_day_leaves_only_exits(world: World) -> None:
    world.pnl = None
    assert world.codes() == {"PNL_UNKNOWN"}
    world.held["AAPL"] = Qty(50)
    world.spec = order("50", side=Side.SELL)
    assert world.check().ok


def flatten(world: World, qty: str, source: Source, *, reduce_only: bool = True) -> Candidate:
    spec = order(qty, "99.99", Side.SELL, reduce_only=reduce_only)
    return Candidate(order_id="P9", role=Role.FLATTEN, spec=spec, source=source, intent_id="h-1")


def test_in_a_halt_only_exits_of_the_kill_procedure_pass(world: World) -> None:
    trip(world, TradingState.HALTED)
    world.held["AAPL"] = Qty(50)
    world.set_limit("order.max_qty", Decimal(1))
    halt = Source(SourceKind.HALT)

    def passes(candidate: Candidate) -> bool:
        return world.risk.check(candidate, NOW, full=False).ok

    assert passes(flatten(world, "50", halt))
    assert not passes(flatten(world, "51", halt))
    beyond = world.risk.check(flatten(world, "51", halt), NOW, full=False).denials
    assert [item.code for item in beyond] == ["HALTED"], "an exit that does not shrink is an order like any other"
    assert not passes(flatten(world, "50", CLI))
    assert not passes(flatten(world, "50", halt, reduce_only=False))
    world.spec = order("50", side=Side.SELL, reduce_only=True)
    assert not world.check().ok


def test_an_exit_still_needs_a_price_and_an_open_session(world: World) -> None:
    world.held["AAPL"] = Qty(50)
    candidate = flatten(world, "50", Source(SourceKind.HALT))
    world.session = False
    assert [item.code for item in world.risk.check(candidate, NOW, full=False).denials] == ["SESSION_CLOSED"]
    world.session = True
    world.quotes.clear()
    assert [item.code for item in world.risk.check(candidate, NOW, full=False).denials] == ["QUOTE_NONE"]


def test_a_duplicate_is_confirmed_by_a_person_and_denied_to_a_machine(world: World) -> None:
    world.set_limit("duplicate.window_s", Decimal(2))
    world.accept(world.spec, NOW - SECOND)
    (denial,) = world.check().denials
    assert (denial.code, denial.confirmable) == ("DUPLICATE", True)
    verdict = world.check(confirmed=frozenset({"DUPLICATE"}))
    assert verdict.ok
    assert verdict.decision.why == "confirmed: DUPLICATE"
    world.source = STRATEGY
    (denial,) = world.check(confirmed=frozenset({"DUPLICATE"})).denials
    assert not denial.confirmable


@pytest.mark.parametrize(
    ("change", "is_same"),
    [({"venue": "XNAS"}, True), ({"qty": Qty(99)}, False), ({"limit": Price("99.99")}, False), ({"symbol": "MSFT"}, False)],
)  # fmt: skip
def test_the_same_order_is_the_same_account_symbol_side_quantity_and_prices(
    world: World, change: dict[str, object], is_same: bool
) -> None:
    """At another venue it is the same order: who asks again elsewhere may have lost sight of the first."""
    world.set_limit("duplicate.window_s", Decimal(2))
    world.accept(msgspec.structs.replace(world.spec, **change), NOW - SECOND)
    assert ("DUPLICATE" in {item.code for item in world.check().denials}) is is_same


def test_trailing_stops_at_other_distances_are_other_orders() -> None:
    near = OrderSpec(symbol="AAPL", side=Side.SELL, qty=Qty(10), type=OrderType.TRAILING_STOP, trail=Price("0.50"))
    assert shape(near) != shape(msgspec.structs.replace(near, trail=Price("0.60")))


def test_nobody_confirms_what_is_not_confirmable(world: World) -> None:
    world.set_limit("order.max_qty", Decimal(1))
    assert not world.check(confirmed=frozenset({"QTY_MAX"})).ok


@pytest.mark.parametrize(
    ("mine", "theirs", "is_denied"),
    [
        (order(limit="100"), Price(100), True),
        (order(limit="99.99"), Price(100), False),
        (order(limit=None), Price(100), True),
        (order(limit=None), Price(199), True),
        (order(limit=None), Price("199.03"), False),
        (order(limit=None), None, True),
        (order(limit="50"), None, True),
        (order(limit="100", side=Side.SELL), Price(100), False),
    ],
)
def test_own_orders_do_not_meet(world: World, mine: object, theirs: Price | None, is_denied: bool) -> None:
    kind = OrderType.MARKET if theirs is None else OrderType.LIMIT
    other = OpenOrder(
        order_id="C7", account="OTHER", symbol="AAPL", side=Side.SELL, leaves=Qty(1), type=kind, limit=theirs
    )
    world.orders.append(other)
    world.spec = mine  # type: ignore[assignment]
    assert ("SELF_CROSS" in world.codes()) is is_denied


@pytest.mark.parametrize(
    ("mine", "theirs", "reaches", "way"),
    [
        (order(limit=None), "101", True, "give it a limit below 101 (`@take` is one), or cancel C7 first"),
        (order(limit=None), "100.01", True, "give it a limit below 100.01, or cancel C7 first"),
        (order(limit="100.01", side=Side.SELL), "100.02", False, "give it a limit above 100.02, or cancel C7 first"),
        (order(limit="50"), None, False, "cancel C7 first"),
        (order(limit=None, link=Link(LinkRole.COMBO, combo=Combo(1))), "101", True, "cancel C7 first"),
    ],
)
def test_who_would_meet_an_own_order_is_told_which_and_both_ways_out(
    world: World, mine: OrderSpec, theirs: str | None, reaches: bool, way: str
) -> None:
    """A market order is judged as far as its collar lets it go: the book that is seen now is no promise of where it ends."""
    other = OpenOrder(
        order_id="C7", account="OTHER", symbol="AAPL", side=mine.side.other, leaves=Qty(1),
        type=OrderType.MARKET if theirs is None else OrderType.LIMIT, limit=None if theirs is None else Price(theirs),
    )  # fmt: skip
    world.orders.append(other)
    world.spec = mine
    (denial,) = [denial for denial in world.check().denials if denial.code == "SELF_CROSS"]
    policy = world.holder.policy
    assert policy is not None
    collar = policy.limits(mine.account, "", "AAPL")["price.collar_pct"]
    reach = f", as an order without a price may be done up to {collar.value} % from the market ({collar.line})"
    met = f"C7 {other.side} 1{f' at {theirs}' if theirs else ''}"
    assert denial.text == f"it could trade with our own order {met}{reach * reaches}; {way}"


def test_an_untriggered_stop_of_ours_is_no_counterparty(world: World) -> None:
    stop = OpenOrder(
        order_id="C7",
        account="PAPER",
        symbol="AAPL",
        side=Side.SELL,
        leaves=Qty(1),
        type=OrderType.STOP,
        stop=Price(90),
    )
    world.orders.append(stop)
    assert world.check().ok


def test_a_scope_below_global_holds_only_its_own(world: World) -> None:
    trip(world, TradingState.HALTED, HaltScopeKind.SYMBOL, "MSFT")
    assert world.check().ok
    trip(world, TradingState.HALTED, HaltScopeKind.STRATEGY, "algo:vwap")
    assert world.check().ok
    world.spec = order(algo=AlgoSpec(name="vwap"))
    assert world.codes() == {"HALTED"}


def test_the_algorithm_of_the_parent_counts_for_its_child(world: World) -> None:
    world.use(Role.CHILD)
    world.parents["P1"] = msgspec.structs.replace(world.parents["P1"], algo="vwap")
    trip(world, TradingState.HALTED, HaltScopeKind.STRATEGY, "algo:vwap")
    assert world.codes() == {"HALTED"}


def test_the_latch_alone_is_enough(world: World) -> None:
    world.kill.latch.trip()
    assert world.codes() == {"HALTED"}


def test_limits_of_yesterday_do_not_count_today(world: World) -> None:
    world.set_limit("day.max_orders", Decimal(1))
    world.send(3, NOW - SECOND)
    assert world.codes() == {"DAY_ORDERS"}
    world.on(RiskDayBegan(account="OTHER", begins_ns=NOW, cut="00:00 UTC"))
    assert world.codes() == {"DAY_ORDERS"}, "each account has its own day"
    world.on(RiskDayBegan(account="PAPER", begins_ns=NOW, cut="00:00 UTC"))
    assert world.check().ok


@pytest.mark.parametrize("most", [1, 2, 5, 10])
def test_a_share_of_what_a_broker_takes_is_kept_for_cancels(world: World, most: int) -> None:
    """At the venue's own limit nothing new leaves, so that a cancel in the same second is not refused there."""
    assert world.caps is not None
    world.caps.messages_per_s = most
    allowed = {1: 1, 2: 1, 5: 4, 10: 8}[most]
    world.send(allowed - 1, NOW)
    assert world.check().ok
    world.send(1, NOW)
    assert world.codes() == {"RATE_VENUE"}


def test_cancels_count_at_the_venue_and_in_no_limit_of_ours(world: World) -> None:
    assert world.caps is not None
    world.caps.messages_per_s = 10
    for path in ("rate.max_per_s_broker", "rate.max_per_s_account", "rate.max_per_s_source"):
        world.set_limit(path, Decimal(2))
    world.cancel(7, NOW)
    assert world.codes() == {"RATE_VENUE"}
    world.caps.messages_per_s = 20
    assert world.check().ok


@pytest.mark.parametrize("status", ["auction", "pre-open", "stale", "", "halted"])
def test_a_phase_without_continuous_trading_is_denied(world: World, status: str) -> None:
    """Also one that nobody has heard of: a venue's new word must not open the gate."""
    world.quotes["AAPL"] = msgspec.structs.replace(world.quotes["AAPL"], status=status)
    assert world.codes() == {"SYMBOL_HALTED"}


def test_rejected_messages_count(world: World) -> None:
    world.set_limit("day.max_orders", Decimal(1))
    (order_id,) = world.send(1, NOW - 5 * SECOND)
    world.on(OrderRejected(order_id=order_id, code="X", text="", ts_ns=NOW))
    assert world.codes() == {"DAY_ORDERS"}


@pytest.fixture
def shipped(world: World) -> World:
    world.holder.policy = load(SHIPPED)
    world.capital = Money(10_000_000)
    world.quotes["AAPL"] = quote("585.70", "585.79", last="585.75")
    return world


def test_the_shipped_policy_passes_an_ordinary_large_order(shipped: World) -> None:
    shipped.volume = None
    shipped.spec = order("5000", None, algo=AlgoSpec(name="vwap", duration_ns=1800 * SECOND))
    verdict = shipped.check()
    assert verdict.ok, verdict.denials
    assert verdict.figures["notional"] == "3075161.25"
    assert verdict.figures["position_after"] == "5000"


def test_the_shipped_policy_denies_a_million_shares(shipped: World) -> None:
    shipped.spec = order("1000000", None)
    denial = next(item for item in shipped.check().denials if item.code == "QTY_MAX")
    assert denial.value == "1000000"
    assert denial.limit == "20000"
    assert denial.policy_line.startswith("policy.yaml:")
    line = int(denial.policy_line.rpartition(":")[2])
    assert "max_qty" in SHIPPED.read_text(encoding="utf-8").splitlines()[line - 1]


def test_a_shrinking_amendment_of_a_parent_adds_nothing(world: World) -> None:
    world.parents["P2"] = ParentView(qty=Qty(100), committed=Qty(40), state=OrderState.NEW)
    world.set_limit("position.max_qty", Decimal(60))
    world.opened["AAPL", Side.BUY] = Qty(40)
    spec = order("60")
    candidate = Candidate(order_id="P2", role=Role.AMEND, spec=spec, source=CLI, intent_id="i-2")
    assert world.risk.check(candidate, NOW, full=True).ok
    larger = msgspec.structs.replace(candidate, spec=order("61"))
    assert not world.risk.check(larger, NOW, full=True).ok
