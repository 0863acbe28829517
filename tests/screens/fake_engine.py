"""A hand-written engine for the desk: it shows the picture it is given, keeps every command, answers as it is told."""

from __future__ import annotations

import asyncio
import threading
from decimal import Decimal

import msgspec

from engine.domain import commands as co
from engine.domain.clock import NS_PER_S, SimClock
from engine.domain.money import EXACT, text
from engine.views import DeskView, HaltView, OrderView, QuoteView
from tests.screens import frozen


class FakeEngine:
    """Counts and keeps; decides nothing."""

    def __init__(self, view: DeskView | None = None, clock: SimClock | None = None) -> None:
        self.clock = clock or SimClock(frozen.NOW_NS)
        self.picture = view or frozen.empty()
        self.commands: list[co.AnyCommand] = []
        self.halts: list[tuple[str, str]] = []
        """Who asked, and in which thread."""
        self.questions: list[co.Preview] = []
        self.answer = co.CommandResult(ok=True, text="taken")
        self.preview = frozen.PASSED
        self.is_deaf = False
        """Questions have no answer."""
        self.connected = True
        self.link_text = ""
        self.gate: asyncio.Event | None = None
        """Where set, answers wait for it."""
        self._number = 1

    def view(self) -> DeskView:
        return self.picture

    def version(self) -> int:
        return self._number

    async def submit(self, command: co.AnyCommand) -> co.CommandResult:
        self.commands.append(command)
        if self.gate is not None:
            await self.gate.wait()
        return self._previewed(command) if isinstance(command, co.Preview) else self.answer

    async def what_if(self, question: co.Preview) -> co.CommandResult | None:
        self.questions.append(question)
        if self.gate is not None:
            await self.gate.wait()
        return None if self.is_deaf else self._previewed(question)

    def _previewed(self, question: co.Preview) -> co.CommandResult:
        """The set answer, at the middle of the symbol that is asked about."""
        quote = next((one for one in self.picture.quotes if one.symbol == question.spec.symbol), None)
        if quote is None or quote.bid is None or quote.ask is None or "mid" not in self.preview.preview:
            return self.preview
        mid = text(EXACT.multiply(EXACT.add(quote.bid, quote.ask), Decimal("0.5")))
        return msgspec.structs.replace(self.preview, preview={**self.preview.preview, "mid": mid})

    def halt_now(self, who: str) -> None:
        self.halts.append((who, threading.current_thread().name))

    # -- what a test changes -------------------------------------------------------------------------------------------------

    def show(self, **changes: object) -> None:
        """A new picture with other rows."""
        self.picture = msgspec.structs.replace(self.picture, **changes)
        self._number += 1

    def show_orders(self, *orders: OrderView) -> None:
        self.show(orders=orders)

    def show_halt(self, halt: HaltView) -> None:
        self.show(status=msgspec.structs.replace(self.picture.status, halt=halt))

    def age_quotes(self, seconds: int) -> None:
        """Quotes that old."""
        old = tuple(_aged(quote, self.clock.now_ns() - seconds * NS_PER_S) for quote in self.picture.quotes)
        self.show(quotes=old)

    def wait(self, seconds: float) -> None:
        """Time passes; quotes stay fresh."""
        self.clock.set_ns(self.clock.now_ns() + int(seconds * NS_PER_S))
        self.age_quotes(0)

    # -- what a test asks ----------------------------------------------------------------------------------------------------

    def sent(self) -> list[co.NewOrder]:
        return [command for command in self.commands if isinstance(command, co.NewOrder)]

    def cancelled(self) -> list[str]:
        return [command.order_id for command in self.commands if isinstance(command, co.CancelOrder)]

    def previews(self) -> int:
        return sum(1 for command in self.commands if isinstance(command, co.Preview))


def _aged(quote: QuoteView, ts_ns: int) -> QuoteView:
    return msgspec.structs.replace(quote, ts_ns=ts_ns)
