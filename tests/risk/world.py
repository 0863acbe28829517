"""A desk that exists for the gate alone: every input can be set, and nothing else is in the way."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import cache
from pathlib import Path

import msgspec

from engine.domain.events import (
    AnyEvent,
    BrokerState,
    CancelIntent,
    Decision,
    Fill,
    OrderFilled,
    OrderIntent,
    ParentAccepted,
)
from engine.domain.instrument import Instrument, make_instrument
from engine.domain.ledger_events import InstrumentDefined
from engine.domain.money import Money, Price, Qty
from engine.domain.order import OrderSpec, OrderState, OrderType, Side, Source, SourceKind, Tif
from engine.domain.resets import DailyReset
from engine.risk.exposure import OpenOrder, ParentView, Quote
from engine.risk.kill_switch import KillSwitch
from engine.risk.latch import Latch
from engine.risk.policy import BY_PATH, LIMITS, Policy, PolicyHolder, Value, load
from engine.risk.risk_manager import Candidate, RiskManager, Role, Verdict

SHIPPED = Path(__file__).resolve().parents[2] / "policy.yaml"
NOW = 1_340_285_400_000_000_000  # 2012-06-21T13:30:00Z
SECOND = 1_000_000_000
CLI = Source(SourceKind.CLI, "anna")
STRATEGY = Source(SourceKind.STRATEGY, "Dip")
WIDE = Decimal(10**12)
NAN = Decimal("NaN")


def nan_price() -> Price:
    """A price that slipped past its constructor."""
    return Decimal.__new__(Price, "NaN")


def nan_qty() -> Qty:
    return Decimal.__new__(Qty, "NaN")


class FakeCaps:
    def __init__(self) -> None:
        self.types: frozenset[tuple[OrderType, Tif]] = frozenset((kind, tif) for kind in OrderType for tif in Tif)
        self.post_only = True
        self.reduce_only = True
        self.amend = True
        self.messages_per_s = 10**9
        self.short_sale = True
        self.links = True
        self.resets: tuple[DailyReset, ...] = ()


class World:
    """The view, with an order in front of it. Defaults pass every control."""

    def __init__(self, tmp: Path) -> None:
        self.instruments = {"AAPL": make_instrument("AAPL", "equity", "XNAS", "USD", "0.01")}
        self.quotes: dict[str, Quote] = {"AAPL": quote("99.99", "100.01", last="100")}
        self.session: bool | None = True
        self.opened_ns = 0
        """Before it, no session."""
        self.volume: Decimal | None = Decimal(10**12)
        self._adv: Qty | None = None
        self.rates: dict[str, Decimal] = {"USD": Decimal(1)}
        self.rate_ages: dict[str, int] = {}
        self.held: dict[str, Qty] = {}
        self.shorted: dict[str, Qty] = {}
        self.opened: dict[tuple[str, Side], Qty] = {}
        self.orders: list[OpenOrder] = []
        self.counts: dict[str | None, int] = {None: 0, "AAPL": 0}
        self.parents: dict[str, ParentView] = {}
        self.intents: dict[str, str] = {}
        self.unknown: tuple[int, int] = (0, 0)
        self.state = BrokerState.UP
        self.caps: FakeCaps | None = FakeCaps()
        self.verified: int | None = NOW
        self.pnl: Money | None = Money(0)
        self.peak = Money(0)
        self.offset: int | None = 0
        self.capital: Money | None = Money("1e12")
        self.is_recovering = False
        self.is_healthy = True
        self.holder = PolicyHolder(wide_policy())
        self.kill = KillSwitch(Latch.open(tmp / "latch", ledger_used=False))
        self.risk = RiskManager(self, self.holder, self.kill)
        self.spec = order()
        self.source, self.why = CLI, ""
        self.intent_id = "i-1"
        self.seq = 0
        self.on(InstrumentDefined(instrument=self.instruments["AAPL"]))

    # -- the view --------------------------------------------------------------------------------------------------------

    def instrument(self, symbol: str) -> Instrument | None:
        return self.instruments.get(symbol)

    def quote(self, symbol: str) -> Quote | None:
        return self.quotes.get(symbol)

    def session_open(self, symbol: str, ts_ns: int) -> bool | None:
        return self.session if ts_ns >= self.opened_ns else False

    def session_words(self, symbol: str, ts_ns: int) -> str:
        return "as the test says"

    def session_close_ns(self, symbol: str, ts_ns: int) -> int | None:
        return None

    def adv(self, symbol: str) -> Qty | None:
        if self.volume is None:
            return None
        if self._adv is None or self._adv != self.volume:
            self._adv = Decimal.__new__(Qty, self.volume)
        return self._adv  # the same object while nothing changes, as of an instrument

    def currency_rate(self, currency: str) -> Decimal | None:
        return self.rates.get(currency)

    def rate_age(self, currency: str) -> int | None:
        return self.rate_ages.get(currency, 0) if currency in self.rates or currency in self.rate_ages else None

    def position(self, account: str, symbol: str) -> Qty:
        return self.held.get(symbol, Qty(0))

    def short_used(self, account: str, symbol: str) -> Qty:
        return self.shorted.get(symbol, Qty(0))

    def positions(self, account: str) -> Iterable[tuple[str, Qty]]:
        return [
            (symbol, self.held.get(symbol, Qty(0))) for symbol in dict.fromkeys([*self.held, *self._open_symbols()])
        ]

    def _open_symbols(self) -> list[str]:
        return [symbol for symbol, _ in self.opened]

    def open_qty(self, account: str, symbol: str, side: Side) -> Qty:
        return self.opened.get((symbol, side), Qty(0))

    def open_orders(self, account: str | None, symbol: str | None) -> Iterable[OpenOrder]:
        return [item for item in self.orders if account in (None, item.account) and symbol in (None, item.symbol)]

    def side_count(self, symbol: str, side: Side) -> int:
        return sum(item.side is side for item in self.open_orders(None, symbol))

    def open_count(self, account: str, symbol: str | None) -> int:
        return self.counts[symbol]

    def parent(self, order_id: str) -> ParentView | None:
        return self.parents.get(order_id)

    def intent_owner(self, intent_id: str) -> str | None:
        return self.intents.get(intent_id)

    def unknown_orders(self) -> tuple[int, int]:
        return self.unknown

    def channel(self, broker: str) -> BrokerState:
        return self.state

    def capabilities(self, broker: str) -> FakeCaps | None:
        return self.caps

    def brokers(self) -> Iterable[tuple[str, str]]:
        return [("paper", "PAPER")]

    def position_verified(self, broker: str, account: str) -> int | None:
        return self.verified

    def standing(self, account: str) -> tuple[Money | None, Money | None]:
        return self.equity(account), self.pnl_day(account)

    def pnl_day(self, account: str) -> Money | None:
        return self.pnl

    def pnl_words(self, account: str) -> str:
        return "AAPL has no fresh price" if self.pnl is None else ""

    def peak_day(self, account: str) -> Money:
        return self.peak

    def equity(self, account: str) -> Money | None:
        return self.capital

    def equity_words(self, account: str) -> str:
        return "there is no rate from EUR to USD" if self.capital is None else ""

    def clock_offset(self, broker: str) -> int | None:
        return self.offset

    def recovering(self) -> bool:
        return self.is_recovering

    def ledger_healthy(self) -> bool:
        return self.is_healthy

    # -- the policy ------------------------------------------------------------------------------------------------------

    def set_limit(self, path: str, value: Value | None) -> None:
        """Change one value of the policy; None takes it out."""
        assert self.holder.policy is not None
        self.holder.policy = with_value(self.holder.policy, path, value)

    # -- the order -------------------------------------------------------------------------------------------------------

    def use(self, role: Role) -> None:
        """Turn the order into a child of P1, an amendment of C9 (from 1 to the order's quantity), or leave it a parent."""
        self.role = role
        if role is Role.CHILD:
            self.parents["P1"] = ParentView(qty=Qty(10**9), committed=Qty(0), state=OrderState.NEW)
        if role is Role.AMEND:
            self.parents["P1"] = ParentView(qty=Qty(10**9), committed=Qty(1), state=OrderState.NEW)
            self.opened["AAPL", Side.BUY] = Qty(1)
            self.orders.append(self.original())

    role = Role.PARENT

    def original(self) -> OpenOrder:
        return OpenOrder(
            order_id="C9",
            account="PAPER",
            symbol="AAPL",
            side=self.spec.side,
            leaves=Qty(1),
            type=OrderType.LIMIT,
            limit=Price(100),
            parent_id="P1",
        )

    def added(self) -> Qty:
        """What the order adds to what is open already."""
        return self.spec.qty - (Qty(1) if self.role is Role.AMEND else Qty(0))

    def candidate(self, confirmed: frozenset[str] = frozenset()) -> Candidate:
        is_part = self.role in {Role.CHILD, Role.AMEND}
        return Candidate(
            order_id={Role.CHILD: "C8", Role.AMEND: "C9"}.get(self.role, "P2"),
            role=self.role,
            spec=self.spec,
            source=self.source,
            intent_id="" if self.role is Role.CHILD else self.intent_id,
            parent_id="P1" if is_part else "",
            original=self.original() if self.role is Role.AMEND else None,
            confirmed=confirmed,
            why=self.why,
        )

    def check(self, *, full: bool = True, confirmed: frozenset[str] = frozenset()) -> Verdict:
        return self.risk.check(self.candidate(confirmed), NOW, full=full)

    def codes(self) -> set[str]:
        """Reason codes of every denial."""
        return {denial.code for denial in self.check().denials}

    # -- the journal -----------------------------------------------------------------------------------------------------

    def on(self, event: AnyEvent, ts_ns: int = NOW) -> None:
        self.seq += 1
        self.risk.on_event(self.seq, ts_ns, event)

    def send(self, count: int, ts_ns: int, *, spec: OrderSpec | None = None, source: Source | None = None) -> list[str]:
        """Journal some intents; returns their order ids."""
        ids = []
        for _ in range(count):
            order_id = f"C{1000 + self.seq}"
            self.on(
                OrderIntent(
                    order_id=order_id,
                    parent_id="",
                    wire_id=f"W{self.seq}",
                    spec=spec or self.spec,
                    source=source or self.source,
                    decision=Decision(policy_hash="x"),
                ),
                ts_ns,
            )
            ids.append(order_id)
        return ids

    def cancel(self, count: int, ts_ns: int) -> None:
        (order_id,) = self.send(1, ts_ns)
        for _ in range(count):
            self.on(CancelIntent(order_id=order_id), ts_ns)

    def fill(self, order_id: str, qty: Qty, ts_ns: int = NOW, price: str = "100", side: Side = Side.BUY) -> None:
        fill = Fill(
            broker="paper",
            account="PAPER",
            fill_key=f"k{self.seq}",
            symbol="AAPL",
            side=side,
            qty=qty,
            price=Price(price),
            ts_ns=ts_ns,
        )
        self.on(OrderFilled(order_id=order_id, fill=fill), ts_ns)

    def accept(self, spec: OrderSpec, ts_ns: int, order_id: str = "P1", source: Source = CLI) -> None:
        decision = Decision(policy_hash="x")
        event = ParentAccepted(order_id=order_id, intent_id="i-0", spec=spec, source=source, decision=decision)
        self.on(event, ts_ns)


def quote(bid: str | None, ask: str | None, *, last: str | None = None, ts_ns: int = NOW) -> Quote:
    return Quote(
        bid=None if bid is None else Price(bid),
        ask=None if ask is None else Price(ask),
        bid_qty=Qty(100),
        ask_qty=Qty(100),
        last=None if last is None else Price(last),
        ts_ns=ts_ns,
        venue="XNAS",
        tape_row=7,
    )


def order(qty: str = "10", limit: str | None = "100", side: Side = Side.BUY, **words: object) -> OrderSpec:
    made = OrderSpec(
        symbol="AAPL",
        side=side,
        qty=Qty(qty),
        type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        limit=None if limit is None else Price(limit),
    )
    return msgspec.structs.replace(made, **words)


def with_value(policy: Policy, path: str, value: Value | None) -> Policy:
    values = {name: item for name, item in policy.values.items() if name != path}
    if value is not None:
        values[path] = value
    return msgspec.structs.replace(policy, values=values, overrides={}, _resolved={}, _spans={})


@cache
def shipped_policy() -> Policy:
    """Read once for all worlds: reading it takes longer than most of their tests."""
    return load(SHIPPED)


def wide_policy() -> Policy:
    """The shipped policy with every limit out of the way, so that a test meets only the one it sets."""
    policy = shipped_policy()
    values = dict(policy.values)
    for path in LIMITS:
        values[path] = Decimal(0) if BY_PATH[path].is_floor else WIDE
    for path in ("price.collar_pct", "price.far_pct"):
        values[path] = Decimal(99)
    for path, value in policy.values.items():
        if path.endswith(".max_notional") and isinstance(value, Decimal):
            values[path] = WIDE
    return msgspec.structs.replace(policy, values=values, overrides={}, _resolved={}, _spans={})
