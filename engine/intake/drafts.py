"""What a typed line became: a draft of one command, or the error that names the first wrong word.

A draft has no source and no intent id: the desk shows it first, and makes the command when the person sends it.
"""

from __future__ import annotations

import msgspec

from engine.domain.commands import AmendOrder, CancelAll, CancelOrder, NewOrder, ReleaseOrder
from engine.domain.events import QuoteSeen
from engine.domain.money import Price, Qty
from engine.domain.order import OrderSpec, Source
from engine.intake.presets import Default

NOT_READ = "NOT_READ"


class GrammarError(msgspec.Struct, frozen=True):
    """A line that cannot be read."""

    word: str
    """The first wrong word as typed; empty where the line ends too early."""
    position: int
    """Its first character in the line, counted from 0; the line's length where it ends too early."""
    expected: tuple[str, ...]
    text: str
    """The whole sentence for a person."""
    code: str = NOT_READ
    """Stable reason code, for scripts."""


class NewOrderDraft(msgspec.Struct, frozen=True, kw_only=True):
    """An order, not placed."""

    spec: OrderSpec
    linked: tuple[OrderSpec, ...] = ()
    """Orders that go with it: a bracket's exits, the other one of a pair."""
    echo: str
    """The order in words, with what each price and money word was turned into."""
    quote: QuoteSeen | None = None
    """The quote that price and money words were frozen on; None where none was needed."""
    defaults: tuple[Default, ...] = ()
    """What the line did not say, and where it is from."""

    def command(self, source: Source, intent_id: str, *, why: str = "", staged: bool = False) -> NewOrder:
        """The command that places it."""
        return NewOrder(source=source, intent_id=intent_id, spec=self.spec, linked=self.linked, why=why, staged=staged)


class CancelDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A cancel of one order; of all working orders (of ``symbol`` where given) where ``order_id`` is empty."""

    order_id: str = ""
    symbol: str = ""

    def command(self, source: Source) -> CancelOrder | CancelAll:
        """The command that asks for it."""
        if self.order_id:
            return CancelOrder(source=source, order_id=self.order_id)
        return CancelAll(source=source, symbol=self.symbol)


class AmendDraft(msgspec.Struct, frozen=True, kw_only=True):
    """New terms of one order; None leaves a term as it is."""

    order_id: str
    qty: Qty | None = None
    limit: Price | None = None
    stop: Price | None = None
    quote: QuoteSeen | None = None

    def command(self, source: Source, intent_id: str) -> AmendOrder:
        """The command that asks for it."""
        return AmendOrder(
            source=source, intent_id=intent_id, order_id=self.order_id, qty=self.qty, limit=self.limit, stop=self.stop
        )


class ReleaseDraft(msgspec.Struct, frozen=True, kw_only=True):
    """The release of a staged order."""

    order_id: str

    def command(self, source: Source) -> ReleaseOrder:
        """The command that asks for it."""
        return ReleaseOrder(source=source, order_id=self.order_id)


Draft = NewOrderDraft | CancelDraft | AmendDraft | ReleaseDraft
