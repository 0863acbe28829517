"""What the paper venue books over time: dividends to longs and from shorts, splits, funding of perpetuals, interest overnight.

Each booking happens at its stated moment, between the rows of the feed, and is reported like an execution. What fell due while
the venue did not run is booked at its next start; positions did not change meanwhile.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from brokers.paper.combos import is_leg
from brokers.paper.orders import Working
from engine.domain.clock import NS_PER_S, iso
from engine.domain.instrument import Instrument, InstrumentKind
from engine.domain.money import EXACT, Money, Price, Qty, Rounding, ratio, round_to
from engine.domain.movements import CashLeg, MovementKind
from engine.domain.order import Side
from engine.ledger.ledger import MARGINED
from engine.market.carry_file import CarryFile, Dividend, Funding, SplitRow

if TYPE_CHECKING:
    from brokers.paper.venue import VenueCore

CENT = Decimal("0.01")
_HUNDRED = Decimal(100)


class Carry:
    """The bookings of one venue by one file."""

    def __init__(self, core: VenueCore, file: CarryFile) -> None:
        self._core = core
        self.file = file

    def start(self, since_ns: int) -> None:
        """Plan everything that lies after ``since_ns``."""
        core, file = self._core, self.file
        for one in file.dividends:
            if one.ex > since_ns:
                core.plan(one.ex, self._entitle, one)
            if one.pay > since_ns:
                core.plan(one.pay, self._pay, one)
        for split in file.splits:
            if split.at > since_ns:
                core.plan(split.at, self._split, split)
        for funding in file.funding:
            if funding.at > since_ns:
                core.plan(funding.at, self._fund, funding)
        if file.interest:
            self._plan_night(since_ns)

    # -- dividends -----------------------------------------------------------------------------------------------------

    def _entitle(self, one: Dividend) -> None:
        """Note who holds now."""
        for account in self._core.accounts.values():
            held = account.position(one.symbol)
            if held:
                account.due[_name(one)] = held
        self._core.changed_silently()

    def _pay(self, one: Dividend) -> None:
        for account in self._core.accounts.values():
            held = account.due.pop(_name(one), None)
            if held is None:
                continue
            gross = EXACT.multiply(held, one.per_share)
            kept = EXACT.divide(EXACT.multiply(gross, one.withheld_pct), _HUNDRED) if held > 0 else Decimal(0)
            net = Money(round_to(EXACT.subtract(gross, kept), CENT, Rounding.HALF_UP))
            tax = f", {one.withheld_pct} % withheld" if kept else ""
            words = f"{held} held before {iso(one.ex)[:19]}Z, {one.per_share} {one.currency} a share{tax}"
            self._core.teller.book(
                account.name, MovementKind.DIVIDEND, CashLeg(one.currency, net), symbol=one.symbol, text=words
            )

    # -- splits --------------------------------------------------------------------------------------------------------

    def _split(self, one: SplitRow) -> None:
        listings = [listing for listing in self._core.listings.values() if listing.symbol == one.symbol]
        if not listings or listings[0].instrument.kind in MARGINED:
            return
        core = self._core
        made, last = listings[0].instrument, listings[0].last_price
        price = None if last is None else ratio(EXACT.multiply(made.price_of(last), one.old), Decimal(one.new))
        orders = [order for listing in listings for order in self._core.open_at(listing.key)]
        for listing in listings:
            listing.forget_book()
            if listing.last_price is not None:
                listing.last_price = listing.last_price * one.old // one.new
        for account in self._core.accounts.values():
            held = account.position(one.symbol)
            if held:
                self._split_held(account.name, held, one, made, price)
        for member in self._core.linked_in(one.symbol):
            member.asked = member.asked * one.new // one.old
            member.base = member.done * one.new // one.old - member.filled
        for order in orders:
            if is_leg(order):
                core.end_order(
                    order, f"{one.new} for {one.old}: the net price of its combination means nothing any more"
                )
            else:
                self._rescale(order, one, made)

    def _split_held(self, account: str, held: Qty, one: SplitRow, made: Instrument, price: Decimal | None) -> None:
        """New units in whole lots; the fraction is paid out at the last price, where there is one."""
        exact = ratio(EXACT.multiply(held, one.new), Decimal(one.old))
        qty = Qty(round_to(exact, made.lot, Rounding.DOWN))
        rest = EXACT.subtract(exact, qty)
        legs = []
        words = f"{one.new} for {one.old}: {held} became {qty}"
        if rest and price is not None:
            paid = Money(round_to(EXACT.multiply(EXACT.multiply(rest, price), made.multiplier), CENT, Rounding.HALF_UP))
            legs = [CashLeg(made.currency, paid)]
            words += f", the fraction of {round_to(rest, Decimal('0.000001'), Rounding.HALF_EVEN)} was paid out"
        self._core.teller.book(
            account, MovementKind.SPLIT, *legs, symbol=one.symbol, qty=qty, ratio=(one.new, one.old), text=words
        )

    def _rescale(self, order: Working, one: SplitRow, made: Instrument) -> None:
        """What is left of an order in new units and at new prices, on the safe side of the tick; nothing of it fills here."""
        core, spec = self._core, order.spec
        left = rescaled_qty(made.qty_of(order.qty - order.filled), one.new, one.old, made)
        if left <= 0:
            core.end_order(order, f"{one.new} for {one.old}: nothing of it is left in whole lots")
            return
        listing = core.listings[order.key]
        was_waiting = order.is_waiting
        listing.remove(order)
        limit, stop = (
            None if price is None else rescaled_price(price, one, made, spec.side)
            for price in (spec.limit, None if order.stop is None else made.price_of(order.stop))
        )
        order.qty = order.filled + made.qty_units(left)
        order.held = order.held * one.new // one.old
        order.limit = None if limit is None else made.price_units(limit)
        order.stop = None if stop is None else made.price_units(stop)
        if order.trail is not None:
            order.trail = max(1, order.trail * one.old // one.new)
        order.display = None if order.display is None else min(order.qty, order.display * one.new // one.old or 1)
        order.spec = replace(spec, qty=made.qty_of(order.qty), limit=limit, stop=None if spec.stop is None else stop)
        core.requeue(order)
        core.told_amended(order)
        if was_waiting:
            listing.wait(order)
        elif order.limit is not None:
            listing.rest(order)

    # -- funding and interest --------------------------------------------------------------------------------------------

    def _fund(self, one: Funding) -> None:
        listing = next((one_ for one_ in self._core.listings.values() if one_.symbol == one.symbol), None)
        if listing is None or listing.instrument.kind is not InstrumentKind.PERPETUAL or listing.last_price is None:
            return
        made, mark = listing.instrument, listing.instrument.price_of(listing.last_price)
        for account in self._core.accounts.values():
            held = account.position(one.symbol)
            if not held:
                continue
            value = made.notional(mark, held)
            paid = Money(round_to(EXACT.multiply(EXACT.minus(value), one.rate), Decimal("0.00000001"), Rounding.FLOOR))
            words = f"{held} at {mark}, rate {one.rate} at {iso(one.at)[:19]}Z"
            self._core.teller.book(
                account.name, MovementKind.FUNDING, CashLeg(made.currency, paid), symbol=one.symbol, text=words
            )

    def _plan_night(self, after_ns: int) -> None:
        at_ns = self.file.next_night(after_ns)
        self._core.plan(at_ns, self._night, at_ns)

    def _night(self, at_ns: int) -> None:
        """Interest of one night on every currency; the night before a weekend or holiday is one, as is each day of it."""
        core, file = self._core, self.file
        day = datetime.fromtimestamp(at_ns // NS_PER_S, UTC).date()
        for account in core.accounts.values():
            for currency, amount in sorted(account.cash.items()):
                row = file.interest_at(currency, day)
                if row is None or not amount:
                    continue
                pct = row.credit_pct if amount > 0 else row.debit_pct
                exact = EXACT.multiply(EXACT.multiply(amount, pct), Decimal("0.01"))
                booked = Money(round_to(ratio(exact, Decimal(file.nights.year_days)), CENT, Rounding.FLOOR))
                if booked:
                    words = (
                        f"{amount} {currency} over the night of {day}, {pct} % a year of {file.nights.year_days} days"
                    )
                    core.teller.book(account.name, MovementKind.INTEREST, CashLeg(currency, booked), text=words)
        self._plan_night(at_ns)


def _name(one: Dividend) -> str:
    return f"{one.symbol}:{one.ex}"


def rescaled_qty(qty: Qty, new: int, old: int, made: Instrument) -> Qty:
    """A quantity in new units, in whole lots, never more than the exact one."""
    return Qty(round_to(ratio(EXACT.multiply(qty, new), Decimal(old)), made.lot, Rounding.DOWN))


def rescaled_price(price: Price, one: SplitRow, made: Instrument, side: Side) -> Price:
    """A price in new units: a buy's is never higher than the exact one, a sell's never lower."""
    exact = ratio(EXACT.multiply(price, one.old), Decimal(one.new))
    return made.round_price(exact, Rounding.FLOOR if side is Side.BUY else Rounding.CEILING)
