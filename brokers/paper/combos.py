"""Combinations at the paper venue (effect P24): legs of different listings that are priced as one.

Guaranteed: units are done when the books of all legs show them, at once and at the prices shown, while no unit costs more than
the net price asked; all legs of a unit or none. Not guaranteed (``legged``): the first leg takes what the books would allow for all; each
next one follows as a market order, after the time that an order takes to arrive, and pays what its book shows by then. What its
book has not, it stays owing and takes later: until then the legs before it stand bare.

A leg rests nowhere: in the books of the feed nobody sees it. Nothing of it is done while a leg is closed, halted or has no
book, where an order of the same account stands in a leg's way, or beyond a price band. Refused: listings known by bars alone (they
have no book), symbols with an impact model (what a leg costs would depend on the others' order) and legs off the terms of
:func:`Combos.fault`. Where a leg ends, by a cancel, the end of its day or a split, the rest of all ends with it. A combo is not amended.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from brokers.paper.bars import BarListing
from brokers.paper.checks import Refusal
from brokers.paper.matching import Listing
from brokers.paper.orders import Working
from engine.domain.errors import InvariantError
from engine.domain.instrument import Instrument
from engine.domain.money import EXACT
from engine.domain.order import Combo, LinkRole, OrderSpec, OrderType, Tif
from engine.market.book import Levels

if TYPE_CHECKING:
    from brokers.paper.lifecycle import Lifecycle

DEPTH = 10
"""Levels of each leg that are looked at."""
LEGS_MIN, LEGS_MAX = 2, 4
ENDED = "another leg of its combo ended"
_ZERO = Decimal(0)

Key = tuple[str, str]
"""Account, and the name of the group."""


class LegBook(NamedTuple):
    """What one leg would meet."""

    sign: int
    ratio: int
    """Units of quantity in one unit of the combination."""
    levels: Levels
    """Best first, on the side that the leg takes from."""
    instrument: Instrument

    def worth(self, price: int, qty: int) -> Decimal:
        """Signed price times quantity."""
        value = EXACT.multiply(self.instrument.price_of(price), self.instrument.qty_of(qty))
        return EXACT.multiply(value, Decimal(self.sign))


def combo_of(order: Working) -> Combo | None:
    """The terms that a leg shares with the others; None for every other order."""
    return None if order.spec.link is None else order.spec.link.combo


def units_shown(legs: Sequence[LegBook], net: Decimal | None, most: int) -> int:
    """How many units the books show for all legs, each of them at ``net`` or better; at most ``most``.

    Units are taken best first, so that each later one costs as much or more: the first that is too dear ends it.
    """
    left = [list(leg.levels) for leg in legs]
    done = 0
    while done < most and all(left):
        chunk = min(most - done, *(rest[0][1] // leg.ratio for rest, leg in zip(left, legs, strict=True)))
        chunk = max(chunk, 1)  # none of a whole unit at the best levels: the next unit goes over several
        costs = [_walk(leg, rest, chunk) for leg, rest in zip(legs, left, strict=True)]
        known = [cost for cost in costs if cost is not None]
        if len(known) < len(legs):
            break
        total = _ZERO
        for cost in known:
            total = EXACT.add(total, cost)
        if net is not None and total > EXACT.multiply(net, Decimal(chunk)):
            break
        done += chunk
    return done


def _walk(leg: LegBook, rest: list[tuple[int, int]], chunk: int) -> Decimal | None:
    """Take so many units off the levels; what they cost, None where there are not so many."""
    wanted, cost = chunk * leg.ratio, _ZERO
    while wanted and rest:
        price, qty = rest[0]
        took = min(wanted, qty)
        cost = EXACT.add(cost, leg.worth(price, took))
        wanted -= took
        if took == qty:
            del rest[0]
        else:
            rest[0] = (price, qty - took)
    return None if wanted else cost


class Combos:
    """Works the combinations of a venue. Everything it knows follows from the legs, so that a restart loses nothing."""

    def __init__(self, host: Lifecycle) -> None:
        self._host = host
        self._open: dict[Key, list[Working]] = {}
        self._ready_ns: dict[Key, int] = {}
        """When the next leg of a combination that is not guaranteed has arrived."""
        self._is_asked = self._is_taking = False

    # -- taking them in --------------------------------------------------------------------------------------------------

    def fault(self, specs: Sequence[OrderSpec]) -> Refusal | None:
        """Why these orders are no combination."""
        link, combo = specs[0].link, None if specs[0].link is None else specs[0].link.combo
        if link is None or combo is None or any(spec.link != link or spec.tif is not specs[0].tif for spec in specs):
            return Refusal("COMBO", "the legs of a combination share one link, net price and time in force")
        if not LEGS_MIN <= len(specs) <= LEGS_MAX or len({spec.symbol for spec in specs}) < len(specs):
            return Refusal("COMBO", f"a combination has {LEGS_MIN} to {LEGS_MAX} legs of different symbols")
        if combo.units < 1 or (combo.legged and specs[0].tif not in {Tif.DAY, Tif.GTC}):
            return Refusal("COMBO", "a combination has at least one unit; one that is not guaranteed is day or gtc")
        return next((found for spec in specs if (found := self._leg_fault(spec, combo))), None)

    def _leg_fault(self, spec: OrderSpec, combo: Combo) -> Refusal | None:
        if (
            spec.type is not OrderType.MARKET
            or spec.reduce_only
            or spec.tif not in {Tif.DAY, Tif.GTC, Tif.IOC, Tif.FOK}
        ):
            return Refusal("COMBO", f"{spec.symbol}: a leg has no price, trigger or flag of its own")
        listings = [one for one in self._host.listings.values() if one.symbol == spec.symbol]
        if any(isinstance(one, BarListing) for one in listings):
            return Refusal("COMBO_BOOK", f"{spec.symbol} is known by bars alone, and a combination is priced on books")
        if spec.symbol in self._host.impacts:
            return Refusal("COMBO_IMPACT", f"{spec.symbol} has an impact model: no net price could be kept")
        if listings and listings[0].instrument.qty_units(spec.qty) % combo.units:
            return Refusal("LOT", f"{spec.qty} {spec.symbol} is not the same part of each of {combo.units} units")
        return None

    def begin(self, key: Key, legs: list[Working]) -> None:
        """Work an admitted combination, from now on."""
        if not any(leg.is_open for leg in legs):
            self._forget(key)
            return
        if any(not leg.is_open and leg.status != "filled" for leg in legs):
            self._end(legs)
            return
        self._open[key] = legs
        for leg in legs:
            self._host.listings[leg.key].watch_legs(1)
        self._look_at(key)

    def changed(self, order: Working) -> None:
        """A leg filled or ended: where it ended before it was filled, so do the others."""
        if order.is_open:
            return
        legs = self._host.groups.of(order)
        if order.status != "filled":
            self._end(legs)
        if not any(leg.is_open for leg in legs):
            self._forget((order.account, order.group))

    def _end(self, legs: Sequence[Working]) -> None:
        for leg in legs:
            if leg.is_open:
                self._host.end_order(leg, ENDED)

    def _forget(self, key: Key) -> None:
        self._ready_ns.pop(key, None)
        self._host.groups.forget(key)
        for leg in self._open.pop(key, ()):
            self._host.listings[leg.key].watch_legs(-1)

    # -- working them ----------------------------------------------------------------------------------------------------

    def quoted(self) -> None:
        """A book of some leg changed: look at all once this moment is over."""
        if not self._is_asked and not self._is_taking:  # what a leg takes makes no book better
            self._is_asked = True
            self._host.at(self._host.now_ns, self._look)

    def _look(self) -> None:
        self._is_asked = False
        for key in list(self._open):
            self._look_at(key)

    def _look_at(self, key: Key) -> None:
        legs = self._open.get(key)
        combo = None if legs is None else combo_of(legs[0])
        if legs is None or combo is None:
            return
        (self._work_legged if combo.legged else self._work_whole)(key, legs, combo)

    def _work_whole(self, key: Key, legs: list[Working], combo: Combo) -> None:
        rest = combo.units - self._units(legs[0], combo)
        units = self._units_now(legs, combo, rest)
        tif = legs[0].spec.tif
        if tif is Tif.FOK and units < rest:
            units = 0
        for leg in legs if units and self._is_free(legs, combo, units) else ():
            self._take(leg, units * _ratio(leg, combo))
            self._host.counters.combo_units += units if leg is legs[0] else 0
        if key in self._open and tif in {Tif.IOC, Tif.FOK}:
            for leg in legs:
                if leg.is_open:
                    self._host.end_order(leg, f"{tif}: not all books show it at its net price")

    def _work_legged(self, key: Key, legs: list[Working], combo: Combo) -> None:
        if self._host.now_ns < self._ready_ns.get(key, 0):
            return
        for before, leg in pairwise(legs):
            owed = self._units(before, combo) * _ratio(leg, combo) - leg.filled
            if owed > 0:
                if self._can_trade(leg) and not self._meets_own(leg, owed) and self._take(leg, owed, is_whole=False):
                    self._wait(key)
                return
        units = self._units_now(legs, combo, combo.units - self._units(legs[0], combo))
        if units and not self._meets_own(legs[0], units * _ratio(legs[0], combo)):
            self._take(legs[0], units * _ratio(legs[0], combo))
            self._host.counters.combo_units += units
            self._wait(key)

    def _wait(self, key: Key) -> None:
        """The next leg leaves now and takes its time."""
        if key in self._open:
            host = self._host
            self._ready_ns[key] = host.now_ns + host.latency.draw(host.config.latency.insert, host.now_ns)
            host.at(self._ready_ns[key], self._look_at, key)

    @staticmethod
    def _units(leg: Working, combo: Combo) -> int:
        """Whole units that a leg has done."""
        return leg.filled // _ratio(leg, combo)

    def _units_now(self, legs: Sequence[Working], combo: Combo, most: int) -> int:
        if most <= 0 or not all(self._can_trade(leg) for leg in legs):
            return 0
        return units_shown([self._book(leg, combo) for leg in legs], combo.net, most)

    def _can_trade(self, leg: Working) -> bool:
        listing = self._host.listings[leg.key]
        return listing.is_ready and not listing.is_halted and listing.calendar.is_open(self._host.now_ns)

    def _book(self, leg: Working, combo: Combo) -> LegBook:
        listing = self._host.listings[leg.key]
        cap = self._host.bands.cap(listing, leg.sign)
        levels = tuple(
            level for level in listing.levels(-leg.sign, DEPTH) if cap is None or (level[0] - cap) * leg.sign <= 0
        )
        return LegBook(leg.sign, _ratio(leg, combo), levels, listing.instrument)

    def _is_free(self, legs: Sequence[Working], combo: Combo, units: int) -> bool:
        """Whether no order of the same account stands in the way of any leg."""
        return not any(self._meets_own(leg, units * _ratio(leg, combo)) for leg in legs)

    def _meets_own(self, leg: Working, qty: int) -> bool:
        leg.held -= qty
        found = self._host.listings[leg.key].meets_own(leg)
        leg.held += qty
        return found

    def _take(self, leg: Working, qty: int, *, is_whole: bool = True) -> int:
        """Let a leg take so much of its book; how much it took.

        Raises:
            InvariantError: where ``is_whole`` and the book gave less than it had shown: a leg would stand alone.
        """
        listing: Listing = self._host.listings[leg.key]
        before = leg.filled
        leg.held -= qty
        leg.limit = self._host.bands.cap(listing, leg.sign)
        self._is_taking = True
        listing.take(leg)
        self._is_taking = False
        leg.limit, leg.held = None, leg.qty - leg.filled
        took = leg.filled - before
        if is_whole and took != qty:
            raise InvariantError(
                f"leg {leg.wire_id} of combination {leg.group} did {took} of the {qty} its book showed"
            )
        return took


def _ratio(leg: Working, combo: Combo) -> int:
    return leg.qty // combo.units


def is_leg(order: Working) -> bool:
    """Whether it is a leg of a combination."""
    return order.spec.link is not None and order.spec.link.role is LinkRole.COMBO
