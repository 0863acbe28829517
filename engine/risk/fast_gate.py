"""The gate's short way for the plain order: all rows of the control table at once, for an order that surely passes them.

It never denies. In any doubt (an input that is missing or strange, a limit that is passed, a kind of order that is not plain) it
says nothing, and the table judges row by row. So it makes one promise, held by tests over every row: what passes here passes the
table. A row that the table has and :data:`COVERED` has not shuts the short way altogether.

Why: a schedule's order is judged as a parent and again as each child, and walking the rows costs ten times what is done here. What
depends on policy, instrument and broker alone is worked out once and kept while those stay the same objects; shares of the
market's middle are compared as prices, so that nothing is divided.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.domain.clock import NS_PER_S
from engine.domain.events import BrokerState, Decision, TradingState
from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, Price, Qty
from engine.domain.order import OrderSpec, OrderType, Side, SourceKind, Tif
from engine.risk.controls import ROWS, Row
from engine.risk.controls_case import MARKED_SHORT, SHARES, Candidate, Case, Role, crosses
from engine.risk.controls_history import strategy_of
from engine.risk.controls_rules import AUTHORITY_PATHS
from engine.risk.controls_sizes import ENDLESS, venue_messages_max
from engine.risk.exposure import OPEN, Abilities, Quote
from engine.risk.policy import AUTHORITY, MARGIN_RATES, Limit, Policy

if TYPE_CHECKING:
    from engine.risk.risk_manager import RiskManager

COVERED = frozenset(
    """POLICY_NONE NUMBER_BAD INSTRUMENT_UNKNOWN HALTED REDUCE_STATE RECOVERING ACCOUNT_NOT_ARMED LIVE_NOT_ARMED
    INTENT_USED UNKNOWN_COUNT UNKNOWN_AGE CHANNEL_NOT_UP CLOCK_JUMP CLOCK_OFFSET LEDGER_UNHEALTHY
    INSTRUMENT_EXPIRED RATE_NONE RATE_STALE TICK LOT QTY_MIN QTY_VENUE_MAX NOTIONAL_MIN TYPE_UNSUPPORTED
    FLAG_UNSUPPORTED SHORT_UNSUPPORTED SYMBOL_RESTRICTED SYMBOL_NOT_ALLOWED SESSION_UNKNOWN SESSION_CLOSED
    SYMBOL_HALTED SOURCE_NOT_ALLOWED SOURCE_NOTIONAL QUOTE_NONE QUOTE_ONE_SIDED QUOTE_UNUSABLE QUOTE_CROSSED
    QUOTE_STALE QUOTE_OUTLIER COLLAR FAR QTY_MAX NOTIONAL_MAX ADV_PCT ADV_NONE SELF_CROSS SHORT_LOCATE
    SHORT_PRICE_TEST PARENT_GONE PARENT_OVER UNITS_CONFIRM FOUR_EYES NOT_REDUCING POSITION_MAX POSITION_NOTIONAL
    GROSS_MAX NET_MAX SECTOR_MAX CURRENCY_MAX LEVERAGE_MAX MARGIN_MAX OPEN_COUNT OPEN_COUNT_SYMBOL OPEN_NOTIONAL
    OPEN_NOTIONAL_SYMBOL TURNOVER_MAX DAY_ORDERS DAY_CANCELS OTR_MAX LOSS_MAX DRAWDOWN_MAX RECON_STALE DUPLICATE
    RATE_BROKER RATE_VENUE RATE_ACCOUNT RATE_SOURCE REPEAT""".split()  # noqa: SIM905 - as a list it takes seventy lines
)
"""The rows that are looked at here."""

PLANS_MAX = 512
"""Kinds of order whose standing answers are kept; beyond it all are forgotten and worked out anew."""

_add, _subtract, _multiply, _abs, _minus = EXACT.add, EXACT.subtract, EXACT.multiply, EXACT.abs, EXACT.minus
_ZERO, _ONE, _HALF, _HUNDRED, _HUNDREDTH = Decimal(0), Decimal(1), Decimal("0.5"), Decimal(100), Decimal("0.01")
_BUY, _MARKET, _LIMIT = Side.BUY, OrderType.MARKET, OrderType.LIMIT
_PARENT, _CHILD, _AMEND, _FLATTEN = Role.PARENT, Role.CHILD, Role.AMEND, Role.FLATTEN
_UP, _ACTIVE = BrokerState.UP, TradingState.ACTIVE
_PATHS = tuple(row.path for row in ROWS if row.measure is not None and row.bound is None and "{" not in row.path)
_FOREVER_NS = 1 << 62


class Doubt(Exception):
    """An order is not plain."""


class _Prices:
    """What follows from one pair of best prices and the last trade: computed once, used until one of them changes."""

    __slots__ = (
        "ask", "bid", "buy_least", "buy_most", "half_spread_ok", "last", "mid", "sell_least", "sell_most", "taken_at",
    )  # fmt: skip

    def __init__(self, bid: Price, ask: Price, last: Price | None, plan: _Plan) -> None:
        self.bid, self.ask, self.last = bid, ask, last
        if not (bid.is_finite() and ask.is_finite()) or bid <= 0 or ask <= 0 or bid > ask:
            raise Doubt
        mid = self.mid = _multiply(_add(bid, ask), _HALF)
        if last is not None:
            if not last.is_finite() or last <= 0:
                raise Doubt
            if _multiply(_abs(_subtract(mid, last)), _HUNDRED) > _multiply(plan.outlier, last):
                raise Doubt
        reach = _multiply(_multiply(mid, plan.collar), _HUNDREDTH)
        away = _multiply(_multiply(mid, plan.far), _HUNDREDTH)
        self.half_spread_ok = _subtract(ask, mid) <= reach
        self.buy_most, self.buy_least = _add(mid, reach), _subtract(mid, away)
        self.sell_least, self.sell_most = _subtract(mid, reach), _add(mid, away)
        self.taken_at = self.buy_most
        """What a market order to buy counts at."""


class _Plan:
    """What holds for one kind of order while policy, instrument, daily volume and broker stay the same."""

    __slots__ = (
        "adv", "amount_max", "caps", "collar", "day_cancels_max", "day_orders_max", "drawdown_max", "duplicate_ns",
        "expires_ns", "exposure_max", "fallbacks", "far", "instrument", "jump_ns", "leverage_max", "loss_max", "lot",
        "multiplier", "offset_ns", "open_max", "open_symbol_max", "otr_max", "outlier", "policy",
        "position_amount_max", "position_max", "prices", "qty_max", "qty_min", "quote_ns", "rate_account",
        "rate_broker", "rate_source", "rate_venue", "ratio_from", "recon_ns", "repeat_max", "repeat_ns", "short_free",
        "strategy", "tick", "turnover_max", "working_max",
    )  # fmt: skip

    def __init__(
        self, candidate: Candidate, policy: Policy, made: Instrument, caps: Abilities, adv: Decimal | None
    ) -> None:
        spec, source = candidate.spec, candidate.source
        self.policy, self.instrument, self.caps, self.adv = policy, made, caps, adv
        self.prices: _Prices | None = None
        self.strategy = strategy_of(source)
        self.short_free = policy.allows("short.locate_free", spec.symbol) and not policy.allows(
            "short.price_test", spec.symbol
        )
        """Whether a short sale needs no more than its mark."""
        limits = policy.limits(spec.account, self.strategy, spec.symbol)
        if any(path not in limits for path in _PATHS):
            raise Doubt
        self.tick, self.lot, self.multiplier = made.ticks[0].tick, made.lot, made.multiplier
        self.expires_ns = _FOREVER_NS if made.expiry_ns is None else made.expiry_ns
        self._take_order(limits, source.kind)
        self._take_account(limits)
        self._take_rates(limits, policy, caps)

    def _take_order(self, limits: Mapping[str, Limit], kind: SourceKind) -> None:
        made, adv = self.instrument, self.adv
        self.qty_min = made.lot if made.qty_min is None else made.qty_min
        self.qty_max: Decimal = min(limits["order.max_qty"].value, ENDLESS if made.qty_max is None else made.qty_max)
        amounts = (limits[path].value for path in ("order.max_notional", "order.four_eyes_notional", AUTHORITY[kind]))
        self.amount_max = min(amounts)
        self.fallbacks: tuple[str, ...] = ()
        if adv is None:
            self.amount_max = min(self.amount_max, limits["order.max_notional_without_adv"].value)
            self.fallbacks = ("ADV_NONE",)
        elif adv.is_finite() and adv > 0:
            share = _multiply(_multiply(limits["order.max_adv_pct"].value, adv), _HUNDREDTH)
            self.qty_max = min(self.qty_max, share)
        else:
            raise Doubt
        self.quote_ns = limits["price.max_quote_age_s"].ns
        self.outlier = limits["price.max_outlier_pct"].value
        self.collar, self.far = limits["price.collar_pct"].value, limits["price.far_pct"].value

    def _take_account(self, limits: Mapping[str, Limit]) -> None:
        self.position_max = limits["position.max_qty"].value
        self.position_amount_max = limits["position.max_notional"].value
        self.exposure_max = min(limits[f"portfolio.max_{word}"].value for word in ("gross", "net", "sector"))
        # The highest rate for everything, and rounded down: what passes so passes the table's own sum.
        rate = max(self.policy.number(path) for path in MARGIN_RATES.values()) or _ONE
        most = EXACT.divide_int(_multiply(limits["margin.max_used_pct"].value, _HUNDRED), rate)
        self.leverage_max = min(limits["portfolio.max_leverage_pct"].value, most)
        self.otr_max, self.ratio_from = limits["day.max_order_to_trade"].value, self.policy.number("day.ratio_from")
        self.open_max = limits["open_orders.max_count"].value
        self.open_symbol_max = limits["open_orders.max_count_per_symbol"].value
        amounts = (limits["open_orders.max_notional"].value, limits["open_orders.max_notional_per_symbol"].value)
        self.working_max = min(amounts)
        self.turnover_max = limits["day.max_turnover"].value
        self.day_orders_max, self.day_cancels_max = limits["day.max_orders"].value, limits["day.max_cancels"].value
        self.loss_max, self.drawdown_max = limits["loss.max_day"].value, limits["loss.max_drawdown"].value
        self.recon_ns = limits["reconcile.max_age_s"].ns

    def _take_rates(self, limits: Mapping[str, Limit], policy: Policy, caps: Abilities) -> None:
        self.jump_ns, self.offset_ns = limits["clock.max_jump_s"].ns, limits["clock.max_offset_s"].ns
        self.duplicate_ns = limits["duplicate.window_s"].ns
        self.rate_broker = limits["rate.max_per_s_broker"].value
        self.rate_account = limits["rate.max_per_s_account"].value
        self.rate_source = limits["rate.max_per_s_source"].value
        self.rate_venue = venue_messages_max(caps)
        self.repeat_max, self.repeat_ns = limits["repeat.max_orders"].value, policy.ns("repeat.window_s")


def _is_plain(candidate: Candidate, policy: Policy, made: Instrument, caps: Abilities) -> bool:
    """Whether nothing that stands still denies this kind of order, or makes it one for the table."""
    spec, source = candidate.spec, candidate.source
    paths = AUTHORITY_PATHS.get(source.kind)
    return (
        bool(policy.hash)
        and paths is not None
        and policy.switch(paths[0])
        and policy.allows(paths[1], spec.account)
        and policy.allows(paths[2], spec.symbol)
        and policy.allows("arm.accounts", spec.account)
        and (spec.broker in policy.names("arm.paper_brokers") or policy.switch("arm.live"))
        and not policy.allows("symbols.restricted", spec.symbol)
        and policy.allows("symbols.allowed", spec.symbol)
        and policy.word("currency") == made.currency
        and made.notional_min is None
        and not made.price_negative
        and len(made.ticks) == 1
        and (spec.type, spec.tif) in caps.types
        and (caps.post_only or not spec.post_only)
        and (caps.amend or candidate.role is not _AMEND)
        and caps.short_sale
        and spec.tif not in (Tif.GTD, Tif.OPG, Tif.CLS)
    )


def covers(rows: Iterable[Row]) -> bool:
    """Whether these are the very rows that are looked at here."""
    return {row.code for row in rows} == COVERED


class FastGate:
    """Says of plain orders that they pass. ``decide`` is its one question."""

    def __init__(self, gate: RiskManager) -> None:
        self._gate = gate
        self._view, self._history = gate.view, gate.history
        self._plans: dict[tuple[object, ...], _Plan] = {}
        self.is_on = covers(ROWS)
        self._fallbacks: tuple[str, ...] = ()
        self._is_short = False
        self.passed = 0
        self.doubts = 0

    def decide(self, candidate: Candidate, now_ns: int) -> Decision | None:
        """The decision on an order that surely passes every row at ``now_ns``; None where the table must judge."""
        try:
            quote = self._pass(candidate, now_ns).seen()
        except Exception:  # loop edge: what breaks here is judged, counted and named by the table
            self.doubts += 1
            return None
        self.passed += 1
        policy = self._gate.policy.policy
        assert policy is not None
        why = candidate.why
        if self._is_short:
            why = f"{why}; {MARKED_SHORT}" if why else MARKED_SHORT
        return Decision(policy.hash, quote, why, self._fallbacks)

    def _pass(self, candidate: Candidate, now_ns: int) -> Quote:
        spec, role = candidate.spec, candidate.role
        is_person = candidate.source.kind.is_person and role is not _CHILD
        if not self.is_on or role is _FLATTEN or is_person or spec.reduce_only or candidate.confirmed:
            raise Doubt
        plan = self._plan(candidate)
        self._state(candidate, plan, now_ns)
        quote = self._view.quote(spec.symbol)
        if quote is None:
            raise Doubt
        prices = self._price(spec, plan, quote, now_ns)
        amount = self._size(spec, plan, prices)
        self._parent(candidate)
        equity, result = self._view.standing(spec.account)
        self._is_short = self._position(candidate, plan, prices, self._added(candidate), now_ns, equity)
        self._day(spec, plan, amount, now_ns, result)
        self._rates(candidate, plan, now_ns)
        self._fallbacks = plan.fallbacks
        return quote

    def _plan(self, candidate: Candidate) -> _Plan:
        view, spec = self._view, candidate.spec
        policy, made, caps = self._gate.policy.policy, view.instrument(spec.symbol), view.capabilities(spec.broker)
        adv = view.adv(spec.symbol)
        source = candidate.source
        key = (
            spec.symbol, spec.account, source.kind, source.name, spec.type, spec.tif, spec.post_only, spec.broker, candidate.role,
        )  # fmt: skip
        plan = self._plans.get(key)
        if (
            plan is None
            or plan.policy is not policy
            or plan.instrument is not made
            or plan.caps is not caps
            or plan.adv is not adv
        ):
            if policy is None or made is None or caps is None or not _is_plain(candidate, policy, made, caps):
                raise Doubt
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
            plan = self._plans[key] = _Plan(candidate, policy, made, caps, adv)
        return plan

    def _state(self, candidate: Candidate, plan: _Plan, now_ns: int) -> None:
        """C01, C03, C12, C13, C24, C33, C34, C35."""
        view, spec = self._view, candidate.spec
        strategy, algo = plan.strategy, spec.algo.name
        if candidate.parent_id:
            parent = view.parent(candidate.parent_id)
            if parent is None:
                raise Doubt
            strategy, algo = strategy or parent.strategy, parent.algo
        if candidate.role is not _CHILD:
            owner = view.intent_owner(candidate.intent_id)
            if not candidate.intent_id or not (owner is None or owner == candidate.order_id):
                raise Doubt
        jump_ns, offset_ns = self._gate.signals.clock_jump_ns, view.clock_offset(spec.broker)
        if (
            self._gate.kill.state_for(spec.account, strategy, spec.symbol, "" if algo == "direct" else algo)
            is not _ACTIVE
            or view.recovering()
            or view.unknown_orders()[0]
            or view.channel(spec.broker) is not _UP
            or not view.ledger_healthy()
            or jump_ns is None
            or abs(jump_ns) > plan.jump_ns
            or offset_ns is None
            or abs(offset_ns) > plan.offset_ns
            or now_ns >= plan.expires_ns
            or view.session_open(spec.symbol, now_ns) is not True
            or view.currency_rate(plan.instrument.currency) != _ONE
            or view.rate_age(plan.instrument.currency) != 0
        ):
            raise Doubt

    def _price(self, spec: OrderSpec, plan: _Plan, quote: Quote, now_ns: int) -> _Prices:
        """C02, C04, C09, C10, C24 of the prices."""
        bid, ask, limit = quote.bid, quote.ask, spec.limit
        if bid is None or ask is None or quote.status != OPEN or spec.stop is not None:
            raise Doubt
        if spec.trail is not None or spec.display is not None or spec.expires_ns or spec.link is not None:
            raise Doubt
        if abs(now_ns - quote.ts_ns) > plan.quote_ns:
            raise Doubt
        prices = plan.prices
        if prices is None or prices.bid is not bid or prices.ask is not ask or prices.last is not quote.last:
            prices = plan.prices = _Prices(bid, ask, quote.last, plan)
        if limit is None:
            if spec.type is not _MARKET or not prices.half_spread_ok:
                raise Doubt
            return prices
        if spec.type is not _LIMIT or limit.__class__ is not Price or not limit.is_finite() or limit <= 0:
            raise Doubt
        least, most = (
            (prices.buy_least, prices.buy_most) if spec.side is _BUY else (prices.sell_least, prices.sell_most)
        )
        if limit < least or limit > most or EXACT.remainder(limit, plan.tick):
            raise Doubt
        return prices

    @staticmethod
    def _size(spec: OrderSpec, plan: _Plan, prices: _Prices) -> Decimal:
        """C02, C04, C06, C07, C08, C30 of quantity and amount; the amount."""
        qty, limit = spec.qty, spec.limit
        if qty.__class__ is not Qty or not qty.is_finite() or qty <= 0 or qty < plan.qty_min or qty > plan.qty_max:
            raise Doubt
        if EXACT.remainder(qty, plan.lot):
            raise Doubt
        if spec.side is _BUY:
            price: Decimal = prices.taken_at if limit is None else limit
        else:
            price = prices.mid if limit is None or limit < prices.mid else limit
        amount = _multiply(_multiply(price, qty), plan.multiplier)
        if amount > plan.amount_max:
            raise Doubt
        return amount

    def _parent(self, candidate: Candidate) -> None:
        """C27."""
        parent_id = candidate.parent_id
        if not parent_id:
            if candidate.role is not _PARENT:
                raise Doubt  # a child without a parent, or an amendment of a parent itself
            return
        parent = self._view.parent(parent_id)
        if parent is None or parent.state.is_terminal or (parent.stopping and candidate.role is _CHILD):
            raise Doubt
        new: Decimal = candidate.spec.qty
        if candidate.role is _AMEND:
            original = candidate.original
            if original is None:
                raise Doubt
            new = max(_ZERO, _subtract(new, _add(candidate.qty_filled, original.leaves)))
        held = max(parent.committed, self._history.committed(parent_id))
        total = _add(held, new)
        if not total.is_finite() or total > parent.qty:
            raise Doubt

    @staticmethod
    def _added(candidate: Candidate) -> Decimal:
        """What the order adds to the live orders of its side."""
        if candidate.role is not _AMEND:
            return candidate.spec.qty
        original = candidate.original
        assert original is not None
        return max(_ZERO, _subtract(_subtract(candidate.spec.qty, candidate.qty_filled), original.leaves))

    def _position(
        self, candidate: Candidate, plan: _Plan, prices: _Prices, added: Decimal, now_ns: int, equity: Decimal | None
    ) -> bool:
        """C16, C17, C19, C25, C26; whether it is a short sale."""
        view, spec = self._view, candidate.spec
        account, symbol = spec.account, spec.symbol
        if view.side_count(symbol, spec.side.other):
            worst = prices.buy_most if spec.side is _BUY else prices.sell_least
            for other in view.open_orders(None, symbol):
                if crosses(spec, other, worst):
                    raise Doubt
        held = view.position(account, symbol)
        buys: Decimal = view.open_qty(account, symbol, _BUY)
        sells: Decimal = view.open_qty(account, symbol, Side.SELL)
        if spec.side is _BUY:
            buys = _add(buys, added)
        else:
            sells = _add(sells, added)
        up, down = _add(held, buys), _subtract(held, sells)
        if not (up.is_finite() and down.is_finite()):
            raise Doubt
        worst = up if spec.side is _BUY else _minus(down)
        is_short = worst > 0 and spec.side is not _BUY and plan.instrument.kind in SHARES
        if is_short and not plan.short_free:
            raise Doubt
        unit = prices.mid if plan.multiplier == _ONE else _multiply(prices.mid, plan.multiplier)
        if worst > plan.position_max or (worst > 0 and _multiply(worst, unit) > plan.position_amount_max):
            raise Doubt
        gross = _multiply(max(_abs(up), _abs(down)), unit)
        working = _multiply(_add(buys, sells), unit)
        for name, _ in view.positions(account):
            if name != symbol:
                gross, working = self._whole_book(candidate, now_ns, gross)
                break
        one_more = 0 if candidate.role is _AMEND else 1
        if (
            gross > plan.exposure_max
            or working > plan.working_max
            or equity is None
            or not equity.is_finite()
            or equity <= 0
            or _multiply(gross, _HUNDRED) > _multiply(plan.leverage_max, equity)
            or view.open_count(account, None) + one_more > plan.open_max
            or view.open_count(account, symbol) + one_more > plan.open_symbol_max
        ):
            raise Doubt
        return is_short

    def _whole_book(self, candidate: Candidate, now_ns: int, own: Decimal) -> tuple[Decimal, Decimal]:
        """Largest exposure and open amount of an account that has other symbols too."""
        gate = self._gate
        case = Case(candidate, now_ns, gate.view, gate.policy.policy, gate.kill, gate.history, gate.signals)
        book = case.book
        if book is None:
            raise Doubt
        return max(own, book.gross, book.net, book.sector, book.currency), max(book.working, book.working_symbol)

    def _day(self, spec: OrderSpec, plan: _Plan, amount: Decimal, now_ns: int, pnl: Decimal | None) -> None:
        """C20, C21, C32."""
        view, account = self._view, spec.account
        for currency, traded in self._history.day_turnover(account).items():
            if currency != plan.instrument.currency:
                raise Doubt
            amount = _add(amount, traded)
        verified_ns = view.position_verified(spec.broker, account)
        if (
            not amount.is_finite()
            or amount > plan.turnover_max
            or self._history.day_orders(account) + 1 > plan.day_orders_max
            or self._history.day_cancels(account) > plan.day_cancels_max
            or self._history.order_to_trade(account, plan.ratio_from) > plan.otr_max
            or verified_ns is None
            or now_ns - verified_ns > plan.recon_ns
            or pnl is None
            or not pnl.is_finite()
            or _minus(pnl) > plan.loss_max
            or _subtract(max(pnl, view.peak_day(account), _ZERO), pnl) > plan.drawdown_max
        ):
            raise Doubt

    def _rates(self, candidate: Candidate, plan: _Plan, now_ns: int) -> None:
        """C11, C14, C15."""
        history, spec = self._history, candidate.spec
        if plan.duplicate_ns and candidate.role is _PARENT:
            seen_ns = history.seen_ns(spec)
            if seen_ns is not None and now_ns - seen_ns < plan.duplicate_ns:
                raise Doubt
        of_broker, of_venue, of_account, of_source = history.windows(spec, candidate.source)
        if (
            not of_broker.leaves_room(now_ns, NS_PER_S, plan.rate_broker)
            or not of_venue.leaves_room(now_ns, NS_PER_S, plan.rate_venue)
            or not of_account.leaves_room(now_ns, NS_PER_S, plan.rate_account)
            or not of_source.leaves_room(now_ns, NS_PER_S, plan.rate_source)
        ):
            raise Doubt
        strategy, algo = history.algo_of(candidate.parent_id)
        if not algo and spec.algo.name != "direct":
            algo = f"algo:{spec.algo.name}"
        for name in (strategy or plan.strategy, algo):
            if name and history.repeats(name, spec.symbol, spec.side, now_ns, plan.repeat_ns) > plan.repeat_max:
                raise Doubt
