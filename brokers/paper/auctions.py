"""Opening and closing auctions: orders for them wait apart, and are done at one price or not at all.

A venue with sessions takes orders for its opening (``opg``) during a call phase before the open, and for its closing (``cls``) from
the open on; both until a cut-off, from which on they can neither be cancelled nor amended. The price is the official one: the print that a
recording marks as that of the listing's own exchange (:mod:`engine.market.official`), when it comes, which for a close is behind it; where none can be told, the
first print of the session, or its last. An order whose limit reaches that price is filled there, as far as there is quantity for it: the size of the
official print; else what the visible other side and the auction's own print (the first of a session, or one in its last nanosecond) hold.
Several of ours share that in proportion to their size. What is left over ends. What part of an auction would have been ours is not in
any feed, so such fills count as guessed. Each says which print it took. A venue that never closes has no auction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from brokers.paper.auction_rules import AuctionRules
from brokers.paper.checks import Refusal
from brokers.paper.matching import Listing
from brokers.paper.orders import Working
from engine.domain.clock import iso
from engine.domain.money import padded
from engine.domain.order import AUCTIONS, Liquidity, OrderSpec, Tif
from engine.market.calendar import ALWAYS
from engine.market.official import Official, Officials

if TYPE_CHECKING:
    from brokers.paper.lifecycle import Lifecycle


class Auctions:
    """Orders that wait for an auction, by listing."""

    def __init__(self, host: Lifecycle, rules: AuctionRules) -> None:
        self._host, self._rules = host, rules
        self._waiting: dict[str, list[Working]] = {}
        self.officials: dict[str, Officials] = {}
        """By listing: what its recording marks as official. One that is not named has nothing marked."""
        self.uncrossed = 0
        """Auctions in which orders of ours stood."""

    def refusal(self, listing: Listing, spec: OrderSpec) -> Refusal | None:
        """Why an auction does not take an order now; None where it does."""
        now_ns, rules = self._host.now_ns, self._rules
        if listing.calendar.name == ALWAYS:
            return Refusal("NO_AUCTION", f"{listing.key} never closes, so it has no auction for a {spec.tif} order")
        if listing.is_halted and listing.calendar.is_open(now_ns):
            return Refusal("HALTED", f"{listing.key} is halted")
        due_ns = self._due_ns(listing, spec.tif)
        if spec.tif is Tif.OPG and now_ns >= due_ns:
            return Refusal("AUCTION_OVER", f"the opening of {listing.key} was at {iso(due_ns)}")
        if spec.tif is Tif.OPG and now_ns < due_ns - rules.open_call_ns:
            return Refusal(
                "AUCTION_EARLY", f"orders for that opening are taken from {iso(due_ns - rules.open_call_ns)} on"
            )
        if spec.tif is Tif.CLS and not listing.calendar.is_open(now_ns):
            return Refusal("CLOSED", f"{listing.key} is closed")
        cut_ns = due_ns - rules.cut_off_ns(spec.tif)
        if now_ns >= cut_ns:
            return Refusal("CUT_OFF", f"orders for that auction were taken until {iso(cut_ns)}")
        return None

    def is_bound(self, order: Working) -> bool:
        """Whether it is too late to cancel or amend an order for an auction."""
        tif = order.spec.tif
        return tif in AUCTIONS and self._host.now_ns >= order.auction_ns - self._rules.cut_off_ns(tif)

    def collect(self, listing: Listing, order: Working) -> None:
        """Let an order wait for its auction, also one that comes back after a restart."""
        order.auction_ns = order.auction_ns or self._due_ns(listing, order.spec.tif)
        self._waiting.setdefault(listing.key, []).append(order)
        official = self._official(order)
        if official is not None:
            self._host.at(official.ts_ns, self._print, listing, order.spec.tif, order.auction_ns)
        else:
            listing.awaits_open = listing.awaits_open or order.spec.tif is Tif.OPG
        end_ns = order.auction_ns if order.spec.tif is Tif.CLS else listing.calendar.session(order.auction_ns)[1]
        self._host.at(end_ns, self._close, listing, end_ns)

    def opened(self, listing: Listing, price: int, qty: int) -> None:
        """A print while orders wait for an opening: the first one of the session is the official price."""
        due = self.due_now(listing)
        if due:
            self._uncross(listing, due, price, qty, self._own_print(due[0]))
        listing.awaits_open = any(self._official(one) is None for one in self._of(listing, Tif.OPG))

    def due_now(self, listing: Listing) -> list[Working]:
        """Orders for an opening that is due, and waits for no official print."""
        waiting = self._of(listing, Tif.OPG)
        return [one for one in waiting if one.auction_ns <= self._host.now_ns and self._official(one) is None]

    def _official(self, order: Working) -> Official | None:
        """The marked print that an order waits for; None where the feed's own first or last print is its price."""
        officials = self.officials.get(order.key)
        return None if officials is None else officials.of(order.auction_ns, is_close=order.spec.tif is Tif.CLS)

    def _own_print(self, order: Working) -> str:
        """Which print an auction without an official one took, and why."""
        is_close = order.spec.tif is Tif.CLS
        officials = self.officials.get(order.key)
        why = "" if officials is None else officials.why_not(order.auction_ns, is_close=is_close)
        return f"the session's {'last' if is_close else 'first'} print{', as ' * bool(why)}{why}"

    def _print(self, listing: Listing, tif: Tif, auction_ns: int) -> None:
        """The official print of an auction comes."""
        due = [one for one in self._of(listing, tif) if one.auction_ns == auction_ns]
        official = self._official(due[0]) if due else None
        if official is not None:
            self._uncross(listing, due, official.price, official.qty, official.words, is_official=True)

    def _of(self, listing: Listing, tif: Tif) -> list[Working]:
        return [one for one in self._waiting.get(listing.key, []) if one.is_open and one.spec.tif is tif]

    def _due_ns(self, listing: Listing, tif: Tif) -> int:
        opens_ns, closes_ns = listing.calendar.session(self._host.now_ns)
        return opens_ns if tif is Tif.OPG else closes_ns

    def _close(self, listing: Listing, end_ns: int) -> None:
        """The session ends: its last print is the closing price; an opening that never came ends its orders."""
        due = [one for one in self._of(listing, Tif.CLS) if one.auction_ns <= end_ns and self._official(one) is None]
        if due and listing.last_price is not None:
            printed = listing.last_qty if listing.ts_ns == end_ns - 1 else 0
            self._uncross(listing, due, listing.last_price, printed, self._own_print(due[0]))
        late = [one for one in self._of(listing, Tif.OPG) if one.auction_ns < end_ns]
        for order in late + [one for one in due if one.is_open]:
            self._host.end_auction(order, "no official price was printed")
        self._forget(listing)

    def _uncross(
        self, listing: Listing, orders: Sequence[Working], price: int, printed: int, words: str, *,
        is_official: bool = False,
    ) -> None:  # fmt: skip
        """Do what orders can have at one price. ``words``: which print that is; of an official one its size is all there is."""
        self.uncrossed += 1
        lot = listing.instrument.qty_units(listing.instrument.lot)
        for sign in (1, -1):
            side = [one for one in orders if one.sign == sign and _reaches(one, price)]
            wants = [min(one.leaves, self._host.room(one)) for one in side]
            there_is = printed + (0 if is_official else listing.visible(sign, price))
            shares = pro_rata(wants, there_is, lot)
            for order, share in zip(side, shares, strict=True):
                if share:
                    self._host.execute(listing, order, share, price, Liquidity.TAKER, guessed=True, note=words)
        at = padded(listing.instrument.price_of(price), listing.instrument.tick_digits)
        for order in orders:
            if order.is_open:
                self._host.end_auction(order, f"the auction at {at} left nothing more for it: {words}")
        self._forget(listing)

    def _forget(self, listing: Listing) -> None:
        self._waiting[listing.key] = [one for one in self._waiting.get(listing.key, []) if one.is_open]


def _reaches(order: Working, price: int) -> bool:
    return order.limit is None or (price - order.limit) * order.sign <= 0


def pro_rata(wants: Sequence[int], capacity: int, lot: int) -> list[int]:
    """What each gets of a quantity that may not be enough, in whole lots; what rounding leaves goes to the first ones."""
    total = sum(wants)
    if total <= capacity:
        return list(wants)
    shares = [want * capacity // total // lot * lot for want in wants]
    left = capacity // lot * lot - sum(shares)
    for at, want in enumerate(wants):
        more = min(lot, left, want - shares[at])
        if more == lot:
            shares[at] += lot
            left -= lot
    return shares
