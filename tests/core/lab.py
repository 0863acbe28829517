"""An engine on a scripted broker, in simulated time: every message is seen, every answer is the test's."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from pathlib import Path

from brokers.paper.replay_broker import PAPER_CAPABILITIES
from engine.api import Engine, EngineParts
from engine.api.parts import Halter
from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S, SimClock
from engine.domain.instrument import Instrument, make_instrument
from engine.domain.money import Money, Price, Qty
from engine.domain.order import OrderSpec, OrderType, Side, Source, SourceKind
from engine.intake.strategies.buy_the_dip import BuyTheDip
from engine.market.feed import QuoteTick
from engine.market.fees import FeeSchedule
from engine.market.sessions import Sessions
from engine.market.volume import flat_weights
from engine.oms import broker_interface as bi
from engine.risk.latch import Latch, TripNote
from engine.risk.policy import PolicyHolder
from engine.store.journal import Journal
from tests.risk.world import shipped_policy

START_NS = 1_700_000_000 * NS_PER_S
AAPL = make_instrument("AAPL", "equity", "XSIM", "USD", "0.01")
ME = Source(SourceKind.CLI, "anna")
POLICY = Path(__file__).parents[2] / "policy.yaml"


class ScriptedBroker:
    """Keeps what was sent; says only what the test says."""

    name = "paper"
    account = "PAPER"
    capabilities = PAPER_CAPABILITIES

    def __init__(self, clock: SimClock, listed: tuple[Instrument, ...] = (AAPL,)) -> None:
        self.clock = clock
        self.listed = listed
        self.sent: list[bi.WireOrder] = []
        self.cancels: list[str] = []
        self.amends: list[str] = []
        self.asked: list[tuple[int, int]] = []
        self.sink: bi.Sink | None = None

    def start(self, sink: bi.Sink, market: bi.MarketSink) -> None:
        self.sink = sink
        del market

    def stop(self) -> None:
        self.sink = None

    def instruments(self) -> tuple[Instrument, ...]:
        return self.listed

    def send_new(self, order: bi.WireOrder) -> None:
        self.sent.append(order)

    def send_cancel(self, wire_id: str, venue_order_id: str) -> None:
        del venue_order_id
        self.cancels.append(wire_id)

    def send_amend(self, wire_id: str, venue_order_id: str, qty: Qty, limit: Price | None, stop: Price | None) -> None:
        del venue_order_id, qty, limit, stop
        self.amends.append(wire_id)

    def query_order(self, wire_id: str) -> None:
        del wire_id

    def query_state(self, request_id: int, since_ns: int) -> None:
        self.asked.append((request_id, since_ns))


def _let_go(journal: Journal) -> None:
    """As a killed process lets go: nothing is written any more."""
    journal._connection.close()
    if journal._reader is not None:
        journal._reader.close()
    if journal._lock is not None:
        journal._lock.release()


class Lab:
    """The engine, its broker and its clock."""

    def __init__(
        self,
        folder: Path,
        *,
        ledger: Path | None = None,
        listed: tuple[Instrument, ...] = (AAPL,),
        sessions: Sessions | None = None,
        start_ns: int = START_NS,
        policy: Path = POLICY,
        journal: Journal | None = None,
        take_notes: Callable[[], list[TripNote]] = list,
        fees: Mapping[str, FeeSchedule] | None = None,
        halter: Halter | None = None,
    ) -> None:
        self.clock = SimClock(start_ns)
        self.broker = ScriptedBroker(self.clock, listed)
        if journal is not None:
            self.journal = journal
        elif ledger is None:
            self.journal = Journal.open_memory(start_ns, "TEST0", "USD")
        else:
            self.journal = Journal.open(ledger, start_ns, lambda: "TEST0", "USD")
        # A connection that is only forgotten is a warning, and a warning fails the build.
        weakref.finalize(self, _let_go, self.journal)
        self.latch = Latch.open(folder / "latch", ledger_used=not self.journal.is_new)
        self.engine = Engine(
            EngineParts(
                journal=self.journal,
                clock=self.clock,
                brokers={"paper": self.broker},
                policy=PolicyHolder(shipped_policy(), policy) if policy == POLICY else PolicyHolder.from_file(policy),
                latch=self.latch,
                take_notes=take_notes,
                halter=halter,
                mode="paper",
                strategies={"BuyTheDip": BuyTheDip},
                sessions=sessions or Sessions(),
                fees=fees or {},
                weights=lambda _symbol, _start, _end, bins: flat_weights(bins),
            )
        )
        self.engine.start()
        self.settle()

    def connect(self, snapshot: bi.Snapshot | None = None) -> None:
        """The channel comes up and the first comparison is clean."""
        now = self.clock.now_ns()
        self.engine.on_broker(bi.ChannelChanged(broker="paper", ts_ns=now, state=ev.BrokerState.RESYNCING))
        self.answer(snapshot or self.snapshot())
        self.quote()

    def snapshot(self, **parts: object) -> bi.Snapshot:
        held: dict[str, object] = {"orders": (), "fills": (), "positions": (), "cash": {"USD": Money("1000000")}}
        held.update(parts)
        return bi.Snapshot(
            broker="paper",
            account="PAPER",
            ts_ns=self.clock.now_ns(),
            request_id=self.broker.asked[-1][0],
            **held,  # type: ignore[arg-type] # the parts a test gives
        )

    def answer(self, event: bi.BrokerEvent) -> None:
        self.engine.on_broker(event)
        self.settle()

    def quote(self, bid: int = 18900, ask: int = 18902) -> None:
        now = self.clock.now_ns()
        self.engine.on_market(QuoteTick("AAPL", "XSIM", now, 1, bid, 500, ask, 500))

    def pass_time(self, seconds: float) -> None:
        """Time passes in steps that the monitors expect; the market stays alive."""
        end = self.clock.now_ns() + int(seconds * NS_PER_S)
        while self.clock.now_ns() < end:
            self.clock.set_ns(min(end, self.clock.now_ns() + NS_PER_S // 2))
            self.quote()
            self.engine.on_time(self.clock.now_ns(), self.clock.now_ns())
            self.settle()

    def settle(self) -> None:
        while not self.journal.failed and (self.journal.pending or self.engine.orders.waiting):
            self.engine.release(self.journal.commit())

    def submit(self, command: co.AnyCommand) -> co.CommandResult:
        result = self.engine.submit(command)
        self.settle()
        return result

    def buy(self, qty: int, limit: str | None = None, intent: str = "i1", **more: object) -> co.CommandResult:
        return self.order(Side.BUY, qty, limit, intent, **more)

    def sell(self, qty: int, limit: str | None = None, intent: str = "i1", **more: object) -> co.CommandResult:
        return self.order(Side.SELL, qty, limit, intent, **more)

    def order(self, side: Side, qty: int, limit: str | None, intent: str, **more: object) -> co.CommandResult:
        spec = OrderSpec(
            symbol="AAPL",
            side=side,
            qty=Qty(qty),
            type=OrderType.MARKET if limit is None else OrderType.LIMIT,
            limit=None if limit is None else Price(limit),
            **more,  # type: ignore[arg-type] # the fields a test gives
        )
        return self.submit(co.NewOrder(source=ME, intent_id=intent, spec=spec, why=""))

    def fill(self, wire_id: str, qty: int, key: str, price: str = "189.02", side: Side = Side.BUY) -> bi.Filled:
        now = self.clock.now_ns()
        made = ev.Fill(
            broker="paper",
            account="PAPER",
            fill_key=key,
            symbol="AAPL",
            side=side,
            qty=Qty(qty),
            price=Price(price),
            ts_ns=now,
            venue="XSIM",
            wire_id=wire_id,
        )
        return bi.Filled(broker="paper", ts_ns=now, fill=made)

    def ack(self, wire_id: str) -> bi.Acked:
        return bi.Acked(broker="paper", ts_ns=self.clock.now_ns(), wire_id=wire_id, venue_order_id=f"V{wire_id}")

    def state(self, order_id: str) -> str:
        return self.engine.store.get(order_id).state.value

    def kinds(self) -> list[str]:
        return [row.kind for row in self.journal.read()]
