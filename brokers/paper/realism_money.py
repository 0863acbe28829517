"""The lines of the realism report that concern money: currencies, carry, margin, borrow, and who else acts on the account."""

from __future__ import annotations

import msgspec

from brokers.paper.lifecycle import Lifecycle
from engine.domain.movements import MovementKind


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One effect of a real market."""

    code: str
    name: str
    state: str
    """``on``, ``estimated`` or ``off``."""
    text: str


def money_effects(core: Lifecycle) -> list[Effect]:
    """One line for each effect."""
    return [_carry(core), _currencies(core)]


def _carry(core: Lifecycle) -> Effect:
    file, counts = core.config.carry, core.teller.counts
    if file is None:
        return Effect(
            code="P11", name="carry", state="off", text="no funding, dividends, splits, interest or settlement dates"
        )
    kinds = (MovementKind.DIVIDEND, MovementKind.SPLIT, MovementKind.FUNDING, MovementKind.INTEREST)
    booked = ", ".join(f"{counts.get(kind, 0)} {kind}" for kind in kinds)
    example = " (an example)" if file.example else ""
    return Effect(
        code="P11",
        name="carry",
        state="on",
        text=f"by {file.name}{example}: {booked}; settlement dates in the statement",
    )


def _currencies(core: Lifecycle) -> Effect:
    terms, counts = core.config.exchange, core.teller.counts
    if terms is None:
        text = "cash is kept per currency, without conversion; nothing is owed for a currency that is below zero"
        return Effect(code="P25", name="currencies", state="off", text=text)
    missing = f"; {core.teller.no_rate} stayed in their currency for want of a rate" if core.teller.no_rate else ""
    how = f"changed into {terms.base} at once" if terms.is_automatic else "changed when somebody asks"
    text = f"cash per currency, {how} at stated rates less {terms.bps} bp: {counts.get('conversion', 0)} conversions{missing}"
    return Effect(code="P25", name="currencies", state="on", text=text)
