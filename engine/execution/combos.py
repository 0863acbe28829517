"""Combinations: two to four legs of different symbols, priced as one by the sum of what they cost.

Every leg is judged by the gate as a market order of its own, so that each counts at its worst case, as if it alone were filled, and
with the legs before it counted as sent, since all of them may be. The amount of the order is that of all legs, asked with the first.
What the gate cannot see leg by leg is judged here: that the legs belong together, and the net price.

A combo is refused where its net price would mean nothing: legs in several currencies or of several multipliers. Options stay refused with
their kind (:data:`engine.domain.instrument.REFUSED_KINDS`): greeks and assignment are not modelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from math import gcd
from typing import NamedTuple

from engine.domain.commands import Denial
from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, Price, Qty, is_multiple, ratio, text
from engine.domain.order import Combo, LinkRole, OrderSpec, OrderType, Tif
from engine.risk.controls_case import mark_of
from engine.risk.exposure import RiskView
from engine.risk.policy import Limit

LEGS_MIN, LEGS_MAX = 2, 4
UNITS_MAX = 1_000_000
TIFS = (Tif.DAY, Tif.GTC, Tif.IOC, Tif.FOK)
LEGGED_TIFS = (Tif.DAY, Tif.GTC)
_DIGITS = 12
"""Decimals that a leg's part of a unit may have, as the lot of an instrument may."""
_ZERO, _HUNDRED = Decimal(0), Decimal(100)


def combo_of(spec: OrderSpec) -> Combo | None:
    """The terms that a leg shares with the others; None for every other order."""
    return None if spec.link is None else spec.link.combo


def combo_fault(specs: Sequence[OrderSpec]) -> str | None:
    """Why these orders are no combination; None where they are."""
    first, combo = specs[0], combo_of(specs[0])
    if combo is None or any(spec.link != first.link for spec in specs):
        return "the legs of a combo have the same number of units, net price and guarantee, and go with nothing else"
    if not LEGS_MIN <= len(specs) <= LEGS_MAX:
        return f"a combo has {LEGS_MIN} to {LEGS_MAX} legs; this one has {len(specs)}"
    if len({spec.symbol for spec in specs}) < len(specs):
        return "each leg of a combo is another symbol; one symbol twice is one leg"
    if not 1 <= combo.units <= UNITS_MAX:
        return f"a combo is asked for 1 to {UNITS_MAX} times; it was {combo.units}"
    known = LEGGED_TIFS if combo.legged else TIFS
    if first.tif not in known:
        kind = "a combo that is not guaranteed" if combo.legged else "a combo"
        return f"{kind} is {', '.join(known)}; it was {first.tif}"
    return next((why for spec in specs if (why := _leg_fault(spec, first, combo))), None)


def _leg_fault(leg: OrderSpec, first: OrderSpec, combo: Combo) -> str | None:
    plain = OrderSpec(
        symbol=leg.symbol, side=leg.side, qty=leg.qty, type=OrderType.MARKET, tif=first.tif,
        broker=first.broker, account=first.account, venue=leg.venue, link=first.link,
    )  # fmt: skip
    if leg != plain:
        return f"{leg.words()}: a leg has no price or terms of its own, and all legs have one broker, account and time in force"
    if leg.qty <= 0:
        return f"{leg.words()}: a leg's quantity is above zero; it was {leg.qty}"
    if not is_multiple(EXACT.scaleb(leg.qty, _DIGITS), Decimal(combo.units)):
        return f"{leg.words()}: {leg.qty} is not the same part of each of {combo.units} units"
    return None


def ratio_of(leg: OrderSpec) -> Qty:
    """The leg's quantity in one unit."""
    combo = combo_of(leg)
    assert combo is not None, "asked of a leg only"
    return Qty(EXACT.scaleb(EXACT.divide_int(EXACT.scaleb(leg.qty, _DIGITS), Decimal(combo.units)), -_DIGITS))


def net_tick(legs: Sequence[tuple[Instrument, Qty]]) -> Price:
    """The step of a net price: the largest that every net of the legs' prices is a multiple of."""
    steps = [EXACT.multiply(band.tick, ratio) for made, ratio in legs for band in made.ticks]
    scale = max(0, *(-int(step.normalize(EXACT).as_tuple().exponent) for step in steps))
    return Price(EXACT.scaleb(Decimal(gcd(*(int(EXACT.scaleb(step, scale)) for step in steps))), -scale))


def net_denials(
    specs: Sequence[OrderSpec], view: RiskView, limits: Callable[[OrderSpec], Mapping[str, Limit]]
) -> tuple[Denial, ...]:
    """What the gate says of the combination as a whole, for legs that are sound as such (:func:`combo_fault`).

    Args:
        specs: the legs.
        view: terms and quotes.
        limits: the limits in force for a leg.
    """
    made = [view.instrument(spec.symbol) for spec in specs]
    known = [one for one in made if one is not None]
    if len(known) < len(specs):
        return ()  # the gate has denied that leg
    for field, values in (
        ("currency", sorted({one.currency for one in known})),
        ("multiplier", sorted({text(one.multiplier) for one in known})),
    ):
        if len(values) > 1:
            said = f"legs of several {field} values have no common net price; place them as orders of their own"
            return (_denial("COMBO_MIXED", "C03", ", ".join(values), f"one {field}", said),)
    off_lot = next((s for s, one in zip(specs, known, strict=True) if not one.is_on_lot(ratio_of(s))), None)
    if off_lot is not None:
        said = f"one unit has {text(ratio_of(off_lot))} {off_lot.symbol}, which is no whole number of its lots"
        return (_denial("COMBO_LOT", "C04", text(ratio_of(off_lot)), "whole lots", said),)
    combo = combo_of(specs[0])
    return () if combo is None or combo.net is None else _price_denials(specs, known, combo.net, view, limits)


def _price_denials(
    specs: Sequence[OrderSpec],
    made: Sequence[Instrument],
    net: Price,
    view: RiskView,
    limits: Callable[[OrderSpec], Mapping[str, Limit]],
) -> tuple[Denial, ...]:
    tick = net_tick([(one, ratio_of(spec)) for one, spec in zip(made, specs, strict=True)])
    if not is_multiple(net, tick):
        said = f"net price {text(net)} is no multiple of the net tick of these legs, {text(tick)}"
        return (_denial("NET_TICK", "C04", text(net), text(tick), said),)
    marks = [mark_of(view.quote(spec.symbol)) for spec in specs]
    collars = [limits(spec).get("price.collar_pct") for spec in specs]
    priced = [(s, m, c) for s, m, c in zip(specs, marks, collars, strict=True) if m is not None and c is not None]
    if len(priced) < len(specs):
        said = "a leg has no usable quote or no price.collar_pct, so that nobody can say what its net price means"
        return (_denial("NET_NONE", "C09", text(net), "a quote of each leg", said),)
    middle, gross, reaches = _ZERO, _ZERO, []
    for spec, mark, collar in priced:
        value = EXACT.multiply(mark, ratio_of(spec))
        middle, gross = EXACT.add(middle, EXACT.multiply(value, Decimal(spec.side.sign))), EXACT.add(gross, value)
        reaches.append((EXACT.divide(EXACT.multiply(EXACT.abs(value), collar.value), _HUNDRED), collar.line))
    # The smallest leg's: a spread of two large prices would else take any net price at all.
    reach, line = min(reaches)
    most = EXACT.add(middle, reach)
    if net <= most:
        return _far_denial(net, middle, gross, limits(specs[0]).get("price.far_pct"))
    said = f"net price {text(net)} pays more than {text(most)}: the middle {text(middle)} and the collar of the smallest leg"
    return (Denial("NET_COLLAR", "C09", text(net), text(most), line, said),)


def _far_denial(net: Price, middle: Decimal, gross: Decimal, far: Limit | None) -> tuple[Denial, ...]:
    if far is None:
        return ()  # the gate has denied each leg for that
    least = EXACT.subtract(middle, EXACT.divide(EXACT.multiply(EXACT.abs(gross), far.value), _HUNDRED))
    if net >= least:
        return ()
    said = (
        f"net price {text(net)} is absurdly far from the middle {text(middle)}; it would wait for {text(least)} at most"
    )
    return (Denial("NET_FAR", "C09", text(net), text(least), far.line, said),)


def _denial(code: str, control: str, value: str, limit: str, said: str) -> Denial:
    return Denial(code, control, value, limit, "", said)


# -- what stands bare --------------------------------------------------------------------------------------------------------


class LegDone(NamedTuple):
    """What a leg has done, in parts so small that a unit as ordered and a unit of now are both whole numbers of them."""

    spec: OrderSpec
    """As it was ordered."""
    parts: Decimal
    ordered: int = 1
    """Parts in a unit as ordered: the new units of its symbol's splits since then, multiplied."""
    now: int = 1
    """Parts in a unit of now: their old units."""

    @property
    def parts_each(self) -> Decimal:
        """Parts in the leg's share of one unit of the combination."""
        return EXACT.multiply(ratio_of(self.spec), Decimal(self.ordered))


def bare_legs(legs: Sequence[LegDone]) -> dict[str, Qty]:
    """By symbol: what was filled, signed and in units of now, beyond what every other leg has done too. Empty where the legs are even.

    ``legs``: all of one combination.
    """
    even = min((EXACT.divide_int(leg.parts, leg.parts_each) for leg in legs), default=_ZERO)
    found = {}
    for leg in legs:
        over = EXACT.subtract(leg.parts, EXACT.multiply(even, leg.parts_each))
        if over > 0:
            qty = over if leg.now == 1 else ratio(over, Decimal(leg.now))
            found[leg.spec.symbol] = Qty(EXACT.multiply(qty, Decimal(leg.spec.side.sign)))
    return found


def leg_risk_words(specs: Sequence[OrderSpec]) -> str:
    """What a preview says of the risk that a leg stays alone; empty for orders that are no combination."""
    combo = combo_of(specs[0])
    if combo is None or specs[0].link is None or specs[0].link.role is not LinkRole.COMBO:
        return ""
    if not combo.legged:
        return "none at the venue: all legs of a unit or none"
    first, *others = specs
    rest = ", ".join(f"{leg.side} {text(leg.qty)} {leg.symbol}" for leg in others)
    return f"up to {first.side} {text(first.qty)} {first.symbol} stands bare until {rest} follow, at any price the books show"
