"""What the broker does by its house rules: refuses in its own words, keeps its pace, lends and recalls shares, wants margin, liquidates.

Orders of the broker's own (a buy-in, a liquidation) and of the owner in another terminal are foreign to every engine: no
acknowledgement of them is told, their executions are, and a comparison shows those that rest.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from brokers.paper.checks import Refusal
from brokers.paper.combos import is_leg
from brokers.paper.config import OwnFlow, Report, VenueConfig
from brokers.paper.house_file import Borrow, House
from brokers.paper.lifecycle import Lifecycle
from brokers.paper.matching import Listing
from brokers.paper.orders import Working
from brokers.paper.profiles import PROFILES, Pace
from brokers.paper.tallies import Message
from engine.domain.clock import NS_PER_S, iso
from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, Money, Price, Qty, Rounding, ratio, round_to
from engine.domain.movements import CashLeg, MovementKind
from engine.domain.order import Liquidity, OrderSpec, OrderType, Side, Tif
from engine.ledger.ledger import MARGINED
from engine.oms.broker_interface import (
    AmendRefused,
    BrokerEvent,
    CancelRefused,
    Filled,
    Rejected,
    WireOrder,
)

FOREIGN = "EXT-"
"""How the wire ids of orders begin that no engine has sent."""
NIGHT_NS = 86_400 * NS_PER_S
LOOK_NS = 10 * NS_PER_S
"""How often margin is looked at."""
_HUNDRED, _ZERO = Decimal(100), Decimal(0)


def may_fill(order: Working) -> int:
    """What may still fill of an order; of a leg of a combination all that is left, though it rests nowhere."""
    return order.qty - order.filled if is_leg(order) else order.leaves


_RENAMED = (Rejected, CancelRefused, AmendRefused)


class HouseRules(Lifecycle):
    """The life of an order under the rules of a house; without a file there are none."""

    def __init__(self, config: VenueConfig, report: Report, own_flow: OwnFlow | None) -> None:
        super().__init__(config, report, own_flow)
        self.house = config.house or House(name="none")
        self.profile = PROFILES[self.house.profile]
        self.pace = Pace(self.profile) if self.profile.is_paced else None
        self.foreign = 0
        """Orders that no engine sent."""
        if config.house is not None:
            self._begin_house()

    def _begin_house(self) -> None:
        """Put the rules in the way of messages; without a house they cost nothing."""
        # Methods of this object alone take the place of its class's: mypy knows no such thing.
        self._tell = self._tell_by_house  # type: ignore[method-assign]
        self._judge_new = self._judge_by_house  # type: ignore[method-assign]
        self._arrive_cancel = self._cancel_by_house  # type: ignore[method-assign]
        self._arrive_amend = self._amend_by_house  # type: ignore[method-assign]
        self.execute = self._execute_by_house  # type: ignore[method-assign]

    # -- words ---------------------------------------------------------------------------------------------------------

    def _tell_by_house(self, account: str, event: BrokerEvent) -> None:
        """Refusals in the broker's own words; of foreign orders only what they traded."""
        wire_id = getattr(event, "wire_id", "")
        if wire_id and wire_id.startswith(FOREIGN) and not isinstance(event, Filled):
            return
        if self.profile.words and isinstance(event, _RENAMED):
            code, text = self.profile.word(event.code, event.text)
            event = replace(event, code=code, text=text)
        super()._tell(account, event)

    # -- what is not taken -----------------------------------------------------------------------------------------------

    def _judge_by_house(self, account: str, order: WireOrder, group: str, is_swept: bool) -> Working | Refusal:
        is_foreign = order.wire_id.startswith(FOREIGN)
        slow = None if self.pace is None or is_foreign else self.pace.refusal(account, self.now_ns)
        if slow is not None:
            self.counters.orders += 1
            return slow
        found = super()._judge_new(account, order, group, is_swept)
        if isinstance(found, Refusal) or order.wire_id.startswith(f"{FOREIGN}HOUSE"):
            return found
        found = self._lending_refusal(found) or self._money_refusal(found) or found
        if self.pace is not None and not is_foreign and isinstance(found, Working):
            self.pace.placed(account, self.now_ns)
        return found

    def _execute_by_house(
        self,
        listing: Listing,
        order: Working,
        qty: int,
        price: int,
        liquidity: Liquidity,
        guessed: bool,
        note: str = "",
    ) -> None:
        """Book one execution; an order's first may give its count back."""
        super().execute(listing, order, qty, price, liquidity, guessed, note)
        if self.pace is not None and order.executions == 1 and not order.wire_id.startswith(FOREIGN):
            self.pace.filled(order.account, self.now_ns)

    def _cancel_by_house(self, account: str, wire_id: str) -> None:
        slow = None if self.pace is None else self.pace.refusal(account, self.now_ns, Message.CANCEL)
        if slow is None:
            super()._arrive_cancel(account, wire_id)
            return
        ts_ns, name = self._ack_ns(account), self.config.broker
        self._tell(account, CancelRefused(broker=name, ts_ns=ts_ns, wire_id=wire_id, code=slow.code, text=slow.text))

    def _amend_by_house(self, account: str, wire_id: str, qty: Qty, limit: Price | None, stop: Price | None) -> None:
        slow = None if self.pace is None else self.pace.refusal(account, self.now_ns, Message.AMEND)
        if slow is None:
            super()._arrive_amend(account, wire_id, qty, limit, stop)
            return
        ts_ns, name = self._ack_ns(account), self.config.broker
        self._tell(account, AmendRefused(broker=name, ts_ns=ts_ns, wire_id=wire_id, code=slow.code, text=slow.text))

    def _amend(self, order: Working, qty: Qty, limit: Price | None, stop: Price | None) -> Refusal | None:
        """As everywhere, as often as the broker allows."""
        most = self.profile.amends_max
        if most and order.amends >= most:
            return Refusal("AMENDS_MAX", f"order {order.wire_id} was amended {most} times; cancel it and place another")
        refusal = super()._amend(order, qty, limit, stop)
        order.amends += refusal is None
        if self.pace is not None and refusal is None:  # a cancel and a new order, in one message
            self.pace.placed(order.account, self.now_ns)
        return refusal

    def _working_qty(self, account: str, symbol: str, sign: int) -> Decimal:
        """What open orders of a side may still fill."""
        orders = self._working.get(account, {}).values()
        units = sum(may_fill(one) for one in orders if one.sign == sign and one.spec.symbol == symbol)
        made = next((one.instrument for one in self.listings.values() if one.symbol == symbol), None)
        return _ZERO if made is None else made.qty_of(units)

    def _lending_refusal(self, order: Working) -> Refusal | None:
        """A sale beyond what is held needs shares that can be borrowed (C25 of a broker: locate)."""
        symbol, made = order.spec.symbol, self.listings[order.key].instrument
        if self.house.borrow is None or order.sign > 0 or made.kind in MARGINED:
            return None
        sold = EXACT.add(self._working_qty(order.account, symbol, -1), order.spec.qty)
        short = EXACT.subtract(sold, self.account(order.account).position(symbol))
        row = self.lending(symbol)
        available = _ZERO if row is None else row.available
        if short <= available or short <= 0:
            return None
        return Refusal("LOCATE", f"{short} {symbol} would be short, {available} can be borrowed")

    def lending(self, symbol: str) -> Borrow | None:
        """The row in force for a symbol."""
        rows = [row for row in self.house.borrow or () if row.symbol == symbol and row.from_ <= self.now_ns]
        return max(rows, key=lambda row: row.from_, default=None)

    def _money_refusal(self, order: Working) -> Refusal | None:
        listing = self.listings[order.key]
        price = self._price_of(listing, order)
        if price is None:
            return None
        if self.house.margin is not None:
            return self._margin_refusal(order, listing.instrument, price)
        if not self.house.funds or order.sign < 0 or listing.instrument.kind in MARGINED:
            return None
        needed = listing.instrument.notional(price, order.spec.qty)
        for other in (*self._working.get(order.account, {}).values(), *self._arriving):
            there = self.listings[other.key]
            at = self._price_of(there, other)
            if other.sign > 0 and at is not None and there.instrument.currency == listing.instrument.currency:
                needed = needed + there.instrument.notional(at, there.instrument.qty_of(may_fill(other)))
        currency = listing.instrument.currency
        has = self.account(order.account).cash.get(currency, Money(0))
        return None if needed <= has else Refusal("FUNDS", f"{needed} {currency} needed, {has} there")

    @staticmethod
    def _price_of(listing: Listing, order: Working) -> Price | None:
        """What an order may pay at worst: its limit, its trigger, else the other side of the market."""
        if order.limit is not None or order.stop is not None:
            return listing.instrument.price_of(order.limit or order.stop or 0)
        shown = listing.ask if order.sign > 0 else listing.bid
        return listing.instrument.price_of(shown) if shown else None

    # -- margin ----------------------------------------------------------------------------------------------------------

    def equity(self, account: str) -> tuple[Money, Money] | None:
        """Equity and gross value of positions at the last prices, in the account's own currency; None where a price or a rate is
        missing.
        """
        owned = self.account(account)
        worth: list[tuple[str, Decimal]] = [(currency, amount) for currency, amount in owned.cash.items() if amount]
        gross: list[tuple[str, Decimal]] = []
        for symbol, held in owned.holdings.items():
            if not held.qty:
                continue
            listing = next((one for one in self.listings.values() if one.symbol == symbol), None)
            if listing is None or listing.last_price is None:
                return None
            made, mark = listing.instrument, listing.instrument.price_of(listing.last_price)
            value = made.notional(mark, held.qty)
            gross.append((made.currency, abs(value)))
            if made.kind in MARGINED:
                value = value - Money(sum((made.notional(lot.price, lot.qty) for lot in held.lots), Money(0)))
            worth.append((made.currency, value))
        equity, total = self._in_own(worth), self._in_own(gross)
        return None if equity is None or total is None else (equity, total)

    def _in_own(self, amounts: list[tuple[str, Decimal]]) -> Money | None:
        """Amounts in the account's own currency, as far as rates are stated."""
        terms, own = self.config.exchange, next(iter(self.config.cash), "")
        own = own if terms is None else terms.base
        total = Money(0)
        for currency, amount in amounts:
            rate = Decimal(1)
            if currency != own:
                found = None if terms is None else terms.rate_at(currency, own, self.now_ns)
                if found is None:
                    return None
                rate = found[0]
            total = total + EXACT.multiply(amount, rate)
        return total

    def _margin_refusal(self, order: Working, made: Instrument, price: Price) -> Refusal | None:
        """Equity must cover the initial margin of everything, with this order filled; an order that shrinks needs none."""
        margin = self.house.margin
        assert margin is not None
        held = self.account(order.account).position(order.spec.symbol)
        if held * order.sign < 0 and abs(held) >= order.spec.qty:
            return None
        found = self.equity(order.account)
        if found is None:
            return Refusal("MARGIN", "a position has no price yet, so its margin is not known")
        equity, gross = found
        added = self._in_own([(made.currency, made.notional(price, order.spec.qty))])
        if added is None:
            return Refusal("MARGIN", f"there is no rate of {made.currency}, so its margin is not known")
        after = gross + added
        needed = Money(EXACT.divide(EXACT.multiply(after, margin.initial_pct), _HUNDRED))
        if needed <= equity:
            return None
        return Refusal("MARGIN", f"initial margin {needed}, equity {equity}")

    def start_house(self, since_ns: int) -> None:
        """Plan what the house does over time; once, when everything is listed."""
        if self.house.margin is not None:
            self._schedule(max(since_ns, self.now_ns) + LOOK_NS, self._look)
        for row in self.house.borrow or ():
            if row.from_ > since_ns:
                self._schedule(int(row.from_), self._recall, row.symbol)
        if self.house.borrow is not None:
            self._schedule((since_ns // NIGHT_NS + 1) * NIGHT_NS, self._charge_night, since_ns // NIGHT_NS + 1)

    def _look(self) -> None:
        """Call, or liquidate where a call has run out."""
        self._schedule(self.now_ns + LOOK_NS, self._look)
        margin = self.house.margin
        assert margin is not None
        for name in list(self.accounts):
            found = self.equity(name)
            if found is None:
                continue
            equity, gross = found
            needed = Money(EXACT.divide(EXACT.multiply(gross, margin.maintenance_pct), _HUNDRED))
            if equity >= needed:
                self.account(name).called_ns = 0
                continue
            until_ns = self.account(name).called_ns
            words = f"equity {equity}, maintenance margin {needed}"
            if not until_ns:
                until_ns = self.account(name).called_ns = self.now_ns + margin.call_s * NS_PER_S
                self.teller.book(name, MovementKind.MARGIN_CALL, text=f"{words}; to be met by {iso(until_ns)[:19]}Z")
            if self.now_ns >= until_ns:
                self._liquidate(name, words)

    def _liquidate(self, account: str, words: str) -> None:
        """Cancel what works, then close the largest position: one at a time, the next look sees whether it was enough."""
        for order in list(self._working.get(account, {}).values()):
            self._cancelled(order, "the broker liquidates")
        sizes = []
        for symbol, held in self.account(account).holdings.items():
            listing = next((one for one in self.listings.values() if one.symbol == symbol), None)
            if held.qty and listing is not None and listing.last_price is not None and not listing.is_halted:
                value = abs(listing.instrument.notional(listing.instrument.price_of(listing.last_price), held.qty))
                sizes.append((value, symbol, held.qty))
        if sizes:
            _, symbol, qty = max(sizes)
            self.teller.book(account, MovementKind.LIQUIDATION, symbol=symbol, text=words)
            self.place_foreign(account, symbol, Qty(-qty), "HOUSE")

    def place_foreign(self, account: str, symbol: str, qty: Qty, who: str) -> str:
        """A market order that no engine sent: the broker's own, or the owner's in another terminal. Its wire id."""
        side = Side.BUY if qty > 0 else Side.SELL
        spec = OrderSpec(
            symbol=symbol, side=side, qty=Qty(abs(qty)), type=OrderType.MARKET, tif=Tif.IOC,
            broker=self.config.broker, account=account,
        )  # fmt: skip
        self._tell = self._tell_by_house  # type: ignore[method-assign]  # of this object alone: from now on something is foreign
        self.foreign += 1
        wire_id = f"{FOREIGN}{who}{self.teller.next_number():09d}"
        self._arrive_new(account, WireOrder(wire_id=wire_id, spec=spec), is_swept=False)
        return wire_id

    # -- lending -----------------------------------------------------------------------------------------------------------

    def _recall(self, symbol: str) -> None:
        """The row that begins now may lend less than is short: the rest is bought in."""
        row = self.lending(symbol)
        for name in list(self.accounts):
            short = -self.account(name).position(symbol)
            over = EXACT.subtract(short, _ZERO if row is None else row.available)
            if over > 0:
                self.teller.book(
                    name, MovementKind.RECALL, symbol=symbol, text=f"{over} of {short} recalled, bought in"
                )
                self.place_foreign(name, symbol, Qty(over), "HOUSE")

    def _charge_night(self, night: int) -> None:
        """Borrow fees of one calendar night; weekends have theirs."""
        self._schedule((night + 1) * NIGHT_NS, self._charge_night, night + 1)
        for name in list(self.accounts):
            for symbol in sorted(self.account(name).holdings):
                short = -self.account(name).position(symbol)
                row = self.lending(symbol)
                listing = next((one for one in self.listings.values() if one.symbol == symbol), None)
                if short <= 0 or row is None or listing is None or listing.last_price is None:
                    continue
                made, mark = listing.instrument, listing.instrument.price_of(listing.last_price)
                year = EXACT.multiply(EXACT.multiply(made.notional(mark, Qty(short)), row.fee_pct), Decimal("0.01"))
                fee = Money(round_to(ratio(year, Decimal(self.house.year_days)), Decimal("0.01"), Rounding.CEILING))
                if fee:
                    words = f"{short} short at {mark}, {row.fee_pct} % a year of {self.house.year_days} days, one night"
                    legs = CashLeg(made.currency, -fee)
                    self.teller.book(name, MovementKind.BORROW_FEE, legs, symbol=symbol, text=words)
