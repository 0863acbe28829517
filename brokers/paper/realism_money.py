"""The lines of the realism report that concern money: currencies, carry, margin, borrow, and who else acts on the account."""

from __future__ import annotations

import msgspec

from brokers.paper.house import HouseRules
from engine.domain.movements import MovementKind


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One effect of a real market."""

    code: str
    name: str
    state: str
    """``on``, ``estimated`` or ``off``."""
    text: str


def money_effects(core: HouseRules) -> list[Effect]:
    """One line for each effect."""
    return [_carry(core), _currencies(core), *_house(core)]


def _carry(core: HouseRules) -> Effect:
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


def _currencies(core: HouseRules) -> Effect:
    terms, counts = core.config.exchange, core.teller.counts
    if terms is None:
        text = "cash is kept per currency, without conversion; nothing is owed for a currency that is below zero"
        return Effect(code="P25", name="currencies", state="off", text=text)
    missing = f"; {core.teller.no_rate} stayed in their currency for want of a rate" if core.teller.no_rate else ""
    how = f"changed into {terms.base} at once" if terms.is_automatic else "changed when somebody asks"
    text = f"cash per currency, {how} at stated rates less {terms.bps} bp: {counts.get('conversion', 0)} conversions{missing}"
    return Effect(code="P25", name="currencies", state="on", text=text)


def _house(core: HouseRules) -> list[Effect]:
    house, counts = core.house, core.teller.counts
    profile = core.profile
    lends = "no locate, no borrow fee, no recall: any short sale is filled"
    if house.borrow is not None:
        lends = f"short sales need shares to borrow; {counts.get('borrow_fee', 0)} nights charged, {counts.get('recall', 0)} recalls"
    margin = "no margin call and no liquidation; futures and perpetuals move only realised results"
    if house.margin is not None:
        wanted = f"{house.margin.initial_pct} % initial, {house.margin.maintenance_pct} % maintenance"
        margin = f"{wanted}: {counts.get('margin_call', 0)} calls, {counts.get('liquidation', 0)} liquidations"
    checks = (
        "tick, lot, size, session, halt, duplicate id"
        + (", funds" if house.funds else "")
        + (", margin" if house.margin is not None else "")
    )
    words = f"in the words of {profile.name}" if profile.words else "in the venue's own words"
    funds = "" if house.funds or house.margin is not None else "; not funds"
    pace = "the venue takes any number of messages"
    if core.pace is not None:
        pace = f"limits of {profile.name}: {core.pace.refused} messages refused"
    hand = counts.get("transfer", 0)
    return [
        _line("P09", "borrow", house.borrow is not None, lends),
        _line("P10", "margin", house.margin is not None, margin),
        _line("P18", "refusals", True, f"{checks}: {core.counters.rejected} orders, {words}{funds}"),
        _line("P19", "rate limits", core.pace is not None, pace),
        _line(
            "P23", "foreign activity", core.foreign > 0 or hand > 0, f"{core.foreign} foreign orders, {hand} transfers"
        ),
    ]


def _line(code: str, name: str, is_on: bool, text: str) -> Effect:
    return Effect(code=code, name=name, state="on" if is_on else "off", text=text)
