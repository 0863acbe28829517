"""A long day of trading as journal rows: parents, children, acknowledgements, executions and ends, as an engine writes them."""

from __future__ import annotations

from collections.abc import Iterator

from engine.domain import events as ev
from engine.domain.ledger_events import InstrumentDefined
from engine.domain.money import Money, Price, Qty
from engine.domain.order import OrderSpec, OrderState, OrderType, Side, Source, SourceKind
from engine.store.journal import Journal
from engine.store.place import Place
from tests.store.shop import AAPL, START_NS

EVENTS_PER_ORDER = 5
GROUP = 2_000
_SOURCE = Source(SourceKind.STRATEGY, "Day")


def events(orders: int) -> Iterator[ev.AnyEvent]:
    """The rows of so many orders."""
    yield InstrumentDefined(instrument=AAPL)
    decision = ev.Decision(
        policy_hash="0" * 64, quote=ev.QuoteSeen(bid=Price("189.10"), ask=Price("189.11")), why="day"
    )
    for number in range(1, orders + 1):
        side = Side.BUY if number % 2 else Side.SELL
        price = Price("189.00") + Price("0.01") * (number % 100)
        spec = OrderSpec(symbol="AAPL", side=side, qty=Qty(10), type=OrderType.LIMIT, limit=price)
        parent, child, wire = f"P{2 * number}", f"C{2 * number + 1}", f"TEST0{number:09d}"
        yield ev.ParentAccepted(order_id=parent, intent_id=f"i{number}", spec=spec, source=_SOURCE, decision=decision)
        yield ev.OrderIntent(
            order_id=child, parent_id=parent, wire_id=wire, spec=spec, source=_SOURCE, decision=decision
        )
        yield ev.OrderAcked(order_id=child, venue_order_id=f"v{number}", ts_ns=START_NS + number)
        yield ev.OrderFilled(
            order_id=child,
            fill=ev.Fill(
                broker="paper",
                account="PAPER",
                fill_key=f"k{number}",
                symbol="AAPL",
                side=side,
                qty=Qty(10),
                price=price,
                ts_ns=START_NS + number,
                fee=Money("0.35"),
                wire_id=wire,
            ),
        )
        yield ev.ParentEnded(order_id=parent, state=OrderState.FILLED)


def write_day(place: Place, rows: int) -> None:
    """A ledger of at least so many rows, its tables still to be made."""
    journal = Journal.open(place, START_NS, lambda: "TEST0", "USD")
    for number, event in enumerate(events(-(-rows // EVENTS_PER_ORDER))):
        journal.append(START_NS + number, event)
        if number % GROUP == 0:
            journal.commit()
    journal.close()
