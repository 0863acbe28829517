"""The paper broker: the broker port over the paper venue's socket. It can reach nothing else.

:class:`PaperBroker` serves the engine, :class:`PaperSession` the kill procedure, each with a connection of its own.
:func:`ensure_venue` and :func:`stop_venue` start and end the venue process, which outlives both.
"""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from brokers.paper.home import venue_folder
from brokers.paper.line import STOP_S, IsHalted, Mailbox, PaperLine
from brokers.paper.process import ensure_venue, is_venue_running, stop_venue
from brokers.paper.protocol import Amend, AskOrder, AskState, Cancel, New
from brokers.paper.replay_broker import PAPER_CAPABILITIES
from brokers.paper.session import PaperSession
from brokers.paper.session_plan import planned_listings
from engine.domain.clock import Clock, SystemClock
from engine.domain.instrument import Instrument
from engine.domain.money import Price, Qty
from engine.domain.resets import DailyReset
from engine.market.own_sessions import OWN_NAME, read_plan
from engine.oms.broker_interface import MarketSink, Sink, WireOrder

__all__ = ["PaperBroker", "PaperSession", "ensure_venue", "is_venue_running", "stop_venue"]

ANSWER_S = 5.0
"""An order, cancel or amend without an answer for so long is Uncertain."""
SILENCE_S = 5.0
"""A venue that says nothing for so long, asked for its health, hangs: the line is given up."""


class PaperBroker:
    """The ``Broker`` of one account at the paper venue of a home.

    Sink and market callback are called from this adapter's thread. While there is no line, orders, cancels and amends are
    refused with NOT_SENT (certain: they never left), and questions get no answer.

    Args:
        home: the state folder; :func:`ensure_venue` starts its venue.
        answer_s: how long an answer may take before the outcome is called unknown.
        silence_s: how long the venue may say nothing before the line is given up.
        reset: when the venue lets go of engines each day, as it was started with.
        is_halted: asked in this adapter's thread right before an order or amend goes to the line; those it holds back are refused as
            NOT_SENT. Cancels and questions always go.
    """

    name = "paper"

    def __init__(
        self,
        home: Path,
        account: str = "PAPER",
        *,
        clock: Clock | None = None,
        answer_s: float = ANSWER_S,
        silence_s: float = SILENCE_S,
        reset: DailyReset | None = None,
        is_halted: IsHalted = lambda _: False,
    ) -> None:
        self.account = account
        self._listed = tuple(one.instrument for one in planned_listings(read_plan(home / OWN_NAME)))
        self.capabilities = PAPER_CAPABILITIES
        if reset is not None:
            self.capabilities = msgspec.structs.replace(PAPER_CAPABILITIES, resets=(reset,))
        self._mailbox = Mailbox()
        self._line = PaperLine(
            self.name,
            account,
            venue_folder(home),
            self._mailbox,
            clock or SystemClock(),
            answer_s,
            silence_s,
            is_halted,
        )
        self._thread = threading.Thread(target=self._line.run, name="bolt-paper", daemon=True)

    @property
    def trades_dropped(self) -> int:
        """Prints that never reached the market callback because it, or we, were too slow."""
        return self._line.trades_dropped

    @property
    def callback_failures(self) -> int:
        """Times that the engine's own callback failed; each gives up the line, so that the state is asked for again."""
        return self._line.callback_failures

    def start(self, sink: Sink, market: MarketSink) -> None:
        """Connect; ChannelChanged(RESYNCING) follows when the line stands, (DOWN) where it does not."""
        self._line.sink, self._line.market = sink, market
        self._thread.start()

    def stop(self) -> None:
        """Send what waits (at most two seconds), then let go. Orders stay where they are; nothing is reported any more."""
        self._mailbox.is_closing = True
        self._mailbox.ring()
        if self._thread.is_alive():
            self._thread.join(3 * STOP_S)
        if not self._thread.is_alive():
            self._mailbox.close()

    def instruments(self) -> tuple[Instrument, ...]:
        """What the venue lists; before the first connection, what the simulated market does."""
        return self._line.instruments or self._listed

    def send_new(self, order: WireOrder) -> None:
        """Hand over one new order, once."""
        self._mailbox.put(New(order=order))

    def send_cancel(self, wire_id: str, venue_order_id: str) -> None:
        """Ask for a cancel, ahead of everything queued."""
        self._mailbox.put(Cancel(wire_id=wire_id, venue_order_id=venue_order_id))

    def send_amend(self, wire_id: str, venue_order_id: str, qty: Qty, limit: Price | None, stop: Price | None) -> None:
        """Ask for new terms (``qty`` is the new total)."""
        self._mailbox.put(Amend(wire_id=wire_id, venue_order_id=venue_order_id, qty=qty, limit=limit, stop=stop))

    def query_order(self, wire_id: str) -> None:
        """Ask for one order; two OrderAnswers."""
        self._mailbox.put(AskOrder(id=self._mailbox.number(), wire_id=wire_id))

    def query_state(self, request_id: int, since_ns: int) -> None:
        """Ask for a Snapshot."""
        self._mailbox.put(AskState(id=self._mailbox.number(), request_id=request_id, since_ns=since_ns))
