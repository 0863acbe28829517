"""Price bands of the paper venue: prices that it does not take, and the pause that a print beyond them sets off.

The reference of a symbol is its first print, and after a pause the last one (drawn to the visible quote) or that of the reopening. Limits beyond the band are
refused, a market order takes nothing beyond it, and a print there halts the symbol: what must trade at once is refused, stops do not trigger,
resting orders stand; what can wait is parked. After the pause the symbol reopens with an auction (``reopening``), around the last print.
References and pauses outlive the venue's process: one that was due while it did not run ends when it is back.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from brokers.paper.checks import Refusal
from brokers.paper.matching import Listing
from engine.domain.clock import NS_PER_S
from engine.domain.errors import SettingsError
from engine.domain.order import OrderSpec

if TYPE_CHECKING:
    from brokers.paper.lifecycle import Lifecycle

BANDS_NAME = "bands.json"


class Band(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a symbol may go from its reference, and for how long it then pauses."""

    pct: Decimal
    """Percent, above 0 and below 100."""
    pause_s: int = 300


def read_bands(path: Path) -> dict[str, Band]:
    """Bands by symbol, as ``{"AAPL": {"pct": "5", "pause_s": 300}}``; none where there is no such file.

    Raises:
        SettingsError: with the file, the value and the rule.
    """
    if not path.exists():
        return {}
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, Band])
    except (OSError, msgspec.DecodeError, ValueError) as error:
        raise SettingsError(f"{path} is no table of price bands: {error}") from None
    for symbol, band in found.items():
        if not (0 < band.pct < 100 and 0 < band.pause_s <= 86_400):
            said = f"{band.pct} percent and {band.pause_s} s"
            raise SettingsError(
                f"{path}: the band of {symbol} was {said}; it is above 0 and below 100, for 1 to 86400 s"
            )
    return found


class BandState(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue remembers of bands, by listing."""

    reference: dict[str, int] = msgspec.field(default_factory=dict)
    paused: dict[str, int] = msgspec.field(default_factory=dict)
    """End of each pause that runs."""


class Bands:
    """References and pauses, by listing."""

    def __init__(self, host: Lifecycle, rules: dict[str, Band]) -> None:
        self._host, self._rules = host, rules
        self._reference: dict[str, int] = {}
        self._paused: dict[str, int] = {}
        self.pauses = 0
        self.on_pause: Callable[[str, bool], None] | None = None
        """Told of each listing that pauses or goes on: a simulated market keeps still there."""

    def covers(self, symbol: str) -> bool:
        """Whether a symbol has a band."""
        return symbol in self._rules

    def limits(self, listing: Listing) -> tuple[int, int] | None:
        """Lowest and highest price; None where there is no band, or no reference yet."""
        band, reference = self._rules.get(listing.symbol), self._reference.get(listing.key)
        if band is None or reference is None:
            return None
        away = int(abs(reference) * band.pct / 100)
        return reference - away, reference + away

    def refusal(self, listing: Listing, spec: OrderSpec) -> Refusal | None:
        """A limit that could only trade beyond the band."""
        found = self.limits(listing)
        if found is None or spec.limit is None:
            return None
        made = listing.instrument
        limit, (low, high) = made.price_units(spec.limit), found
        if (limit > high) if spec.side.sign > 0 else (limit < low):
            between = f"{made.price_of(low)} to {made.price_of(high)}"
            return Refusal("PRICE_BAND", f"{spec.side} limit {spec.limit} is outside the price band {between}")
        return None

    def cap(self, listing: Listing, sign: int) -> int | None:
        """The worst price an order without a limit may take."""
        found = self.limits(listing)
        return None if found is None else found[1 if sign > 0 else 0]

    def printed(self, listing: Listing, price: int) -> None:
        """A print: the first one is the reference, one beyond the band halts the symbol."""
        found = self.limits(listing)
        if found is None:
            self._reference[listing.key] = price
            self._host.changed_silently()
        elif not found[0] <= price <= found[1] and not listing.is_halted:
            self.pauses += 1
            self._pause(listing, self._host.now_ns + self._rules[listing.symbol].pause_s * NS_PER_S)

    def state(self) -> BandState:
        """All that must outlive the process."""
        return BandState(reference=dict(self._reference), paused=dict(self._paused))

    def load_state(self, state: BandState, listings: dict[str, Listing]) -> None:
        """Take over a state, once, before orders come back. What has no band any more is left out."""
        for key, listing in listings.items():
            if not self.covers(listing.symbol):
                continue
            if key in state.reference:
                self._reference[key] = state.reference[key]
            if key in state.paused:
                self._pause(listing, state.paused[key])

    def _pause(self, listing: Listing, until_ns: int) -> None:
        self._paused[listing.key] = until_ns
        self._host.changed_silently()
        if self.on_pause is not None:
            self.on_pause(listing.key, True)
        listing.set_halt(True)
        listing.is_paused = True
        self._host.at(until_ns, self._resume, listing)

    def _resume(self, listing: Listing) -> None:
        if listing.last_price is not None:
            self._reference[listing.key] = _drawn_to_book(listing, listing.last_price)
        del self._paused[listing.key]
        self._host.changed_silently()
        if self.on_pause is not None:
            self.on_pause(listing.key, False)
        listing.ts_ns = max(listing.ts_ns, self._host.now_ns)
        listing.is_paused = False
        listing.set_halt(False)
        if self._host.reopening.printed == (listing.key, self._host.now_ns) and not listing.is_halted:
            self._reference[listing.key] = listing.last_price or self._reference[listing.key]


def _drawn_to_book(listing: Listing, price: int) -> int:
    """The last print, or the quote that it lies beyond by now: during a pause the market moves on without prints."""
    if listing.bid_qty and price < listing.bid:
        return listing.bid
    return listing.ask if listing.ask_qty and price > listing.ask else price
