"""A door without a gate, over the real order store: what strategies ask becomes orders that the test fills."""

from __future__ import annotations

import msgspec

from engine.domain import events as ev
from engine.domain.clock import NS_PER_MS, NS_PER_S
from engine.domain.commands import AnyCommand, CancelOrder, CommandResult, Denial, NewOrder, SetStrategy
from engine.domain.instrument import Instrument, make_instrument
from engine.domain.money import Price, Qty
from engine.domain.order import OrderState, Side, Source, SourceKind, Tif
from engine.domain.strategy_events import StrategyChanged, StrategySaved
from engine.intake.strategy_base import Strategy
from engine.intake.strategy_host import StrategyHost
from engine.market.feed import QuoteTick, TradeTick
from engine.store.order_store import OrderStore

AAPL = make_instrument("AAPL", "equity", "XSIM", "USD", "0.01")
PERSON = Source(SourceKind.DESK, "anna")
DECISION = ev.Decision(policy_hash="test")


class TestClock:
    """Wall and monotonic time, moved apart."""

    def __init__(self) -> None:
        self.wall_ns = 1_000 * NS_PER_S
        self.mono_ns = 0

    def now_ns(self) -> int:
        return self.wall_ns

    def monotonic_ns(self) -> int:
        return self.mono_ns


class Desk:
    """An engine in small: journal, store, host, and a venue that the test plays."""

    def __init__(self, *kinds: type[Strategy], journal: list[ev.AnyEvent] | None = None) -> None:
        self.clock = TestClock()
        self.journal: list[ev.AnyEvent] = []
        self.commands: list[AnyCommand] = []
        self.store = OrderStore()
        self.deny = ""
        self.fill_iocs = True
        self.row = 0
        self.host = StrategyHost(
            {kind.name or kind.__name__: kind for kind in kinds},
            self.store,
            self.instrument,
            self.submit,
            self.record,
            self.clock,
        )
        for event in journal or []:
            self.journal.append(event)
            self.store.apply(len(self.journal), self.clock.now_ns(), event)
            self.host.apply(len(self.journal), self.clock.now_ns(), event)

    def instrument(self, symbol: str) -> Instrument | None:
        return AAPL if symbol == "AAPL" else None

    def record(self, event: ev.AnyEvent) -> int:
        self.journal.append(event)
        seq, now_ns = len(self.journal), self.clock.now_ns()
        self.store.apply(seq, now_ns, event)
        self.host.follow(seq, now_ns, event)
        return seq

    def submit(self, command: AnyCommand) -> CommandResult:
        self.commands.append(command)
        if isinstance(command, NewOrder):
            return self._new(command)
        if isinstance(command, CancelOrder):
            self.record(ev.ParentStopping(order_id=command.order_id, why="asked"))
        return CommandResult(ok=True)

    def _new(self, command: NewOrder) -> CommandResult:
        number = self.store.next_counter()
        order_id = f"P{number}"
        terms = {"intent_id": command.intent_id, "spec": command.spec, "source": command.source}
        decision = msgspec.structs.replace(DECISION, why=command.why)
        if self.deny:
            denial = Denial("NO", "C00", "", "", "", self.deny)
            self.record(ev.OrderDenied(order_id=order_id, denials=(denial,), decision=decision, **terms))  # type: ignore[arg-type]
            return CommandResult(ok=False, order_id=order_id)
        self.record(ev.ParentAccepted(order_id=order_id, decision=decision, **terms))  # type: ignore[arg-type]
        child = f"C{number + 1}"
        self.record(
            ev.OrderIntent(
                order_id=child,
                parent_id=order_id,
                wire_id=child,
                spec=command.spec,
                source=command.source,
                decision=decision,
            )
        )
        if command.spec.tif is Tif.IOC:
            if self.fill_iocs:
                self.fill(order_id)
            else:
                self.end(order_id)
        return CommandResult(ok=True, order_id=order_id)

    # -- what a test does

    def start(self, name: str, **params: str) -> CommandResult:
        result = self.host.set(SetStrategy(source=PERSON, name=name, on=True, params=params))
        self.host.pump()
        return result

    def stop(self, name: str) -> CommandResult:
        return self.host.set(SetStrategy(source=PERSON, name=name, on=False))

    def fill(self, parent_id: str, qty: int | None = None) -> None:
        parent = self.store.get(parent_id)
        child = parent.children[-1]
        amount = child.qty - child.qty_filled if qty is None else Qty(qty)
        fill = ev.Fill(
            broker="paper",
            account="PAPER",
            fill_key=f"f{len(self.journal)}",
            symbol=parent.spec.symbol,
            side=parent.spec.side,
            qty=amount,
            price=parent.spec.limit or Price(100),
            ts_ns=self.clock.now_ns(),
        )
        self.record(ev.OrderFilled(order_id=child.order_id, fill=fill))
        if parent.qty_filled >= parent.qty:
            self.record(ev.ParentEnded(order_id=parent_id, state=OrderState.FILLED))
        self.host.pump()

    def end(self, parent_id: str, state: OrderState = OrderState.CANCELLED) -> None:
        child = self.store.get(parent_id).children[-1]
        self.record(ev.OrderCancelled(order_id=child.order_id, ts_ns=self.clock.now_ns()))
        self.record(ev.ParentEnded(order_id=parent_id, state=state))
        self.host.pump()

    def quote(self, bid: str, ask: str, *, after_ms: int = 1000, symbol: str = "AAPL") -> None:
        self.clock.wall_ns += after_ms * NS_PER_MS
        self.row += 1
        bid_units, ask_units = AAPL.price_units(Price(bid)), AAPL.price_units(Price(ask))
        self.host.on_tick(QuoteTick(symbol, "XSIM", self.clock.wall_ns, self.row, bid_units, 100, ask_units, 100))

    def trade(self, price: str) -> None:
        self.clock.wall_ns += NS_PER_S
        self.row += 1
        units = AAPL.price_units(Price(price))
        self.host.on_tick(TradeTick("AAPL", "XSIM", self.clock.wall_ns, self.row, units, 100, "B"))

    @property
    def orders(self) -> list[str]:
        """Every order asked for, in words, with its reason."""
        return [f"{c.spec.words()}: {c.why}" for c in self.commands if isinstance(c, NewOrder)]

    @property
    def cancels(self) -> list[str]:
        return [c.order_id for c in self.commands if isinstance(c, CancelOrder)]

    @property
    def changes(self) -> list[tuple[str, str]]:
        return [(e.state, e.why) for e in self.journal if isinstance(e, StrategyChanged)]

    @property
    def saves(self) -> list[dict[str, str]]:
        return [e.data for e in self.journal if isinstance(e, StrategySaved)]


BUY, SELL = Side.BUY, Side.SELL
