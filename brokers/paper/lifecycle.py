"""The life of an order at the paper venue: arrival, checks, matching, reports, amendments, the end of its day."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappush

from msgspec.structs import replace

from brokers.paper.accounts import Account
from brokers.paper.auctions import Auctions
from brokers.paper.bands import Bands
from brokers.paper.checks import Refusal, terms_refusal, waits_for_reopening
from brokers.paper.combos import Combos, is_leg
from brokers.paper.config import Counters, OwnFlow, Report, VenueConfig
from brokers.paper.fills import fill_of
from brokers.paper.groups import Groups
from brokers.paper.impact import Impact
from brokers.paper.latency import Delay, Latency
from brokers.paper.links import link_role
from brokers.paper.matching import Listing, choose
from brokers.paper.orders import Working
from brokers.paper.reopening import Reopening
from brokers.paper.teller import Teller
from engine.domain.events import Fill
from engine.domain.ids import Random
from engine.domain.money import Price, Qty
from engine.domain.order import AUCTIONS, LinkRole, Liquidity, OrderSpec, OrderType, Tif
from engine.oms.broker_interface import (
    Acked,
    Amended,
    AmendRefused,
    BrokerEvent,
    Cancelled,
    CancelRefused,
    Expired,
    Filled,
    Rejected,
    VenueOrder,
    WireOrder,
)

Act = Callable[..., None]


def _is_combo(order: WireOrder) -> bool:
    return order.spec.link is not None and order.spec.link.role is LinkRole.COMBO


class Lifecycle:
    """Orders by account, what is due when, and every change of an order. The public face is ``VenueCore``."""

    teller: Teller

    def __init__(self, config: VenueConfig, report: Report, own_flow: OwnFlow | None) -> None:
        self.config = config
        self.now_ns = 0
        self.counters = Counters()
        self.listings: dict[str, Listing] = {}
        self.accounts: dict[str, Account] = {}
        self._report = report
        self._own_flow = own_flow
        self._random = Random(config.seed)
        self.latency = Latency(config.latency, self._random)
        self._orders: dict[str, dict[str, Working]] = {}
        self._refused: dict[str, dict[str, VenueOrder]] = {}
        self._fills: dict[str, list[Fill]] = {}
        self._working: dict[str, dict[str, Working]] = {}
        """By account: orders that are open, oldest first."""
        self._ended: deque[Working] = deque()
        """Orders that ended, in the order in which they did."""
        self._due: list[tuple[int, int, Act, tuple[object, ...]]] = []
        self.scheduled = self._numbered = 0
        """Things that were ever put down to happen at a time."""
        self._arrivals: dict[str, int] = {}
        self._reports: dict[str, int] = {}
        self.impacts: dict[str, Impact] = {}
        self._shrinking: list[Working] = []
        """Open reduce-only orders."""
        self.auctions, self.bands = Auctions(self, config.auctions), Bands(self, config.bands)
        self.reopening, self.combos = Reopening(self), Combos(self)
        self.groups = Groups(self)
        self._arriving: list[Working] = []
        """Legs of the combination that is judged just now: what they may cost counts for the later ones."""

    @property
    def reacts(self) -> bool:
        """Whether a market hears of our executions."""
        return self._own_flow is not None

    # -- time -------------------------------------------------------------------------------------------------------------

    def _schedule(self, due_ns: int, act: Act, *arguments: object) -> None:
        self.scheduled += 1
        heappush(self._due, (due_ns, self.scheduled, act, arguments))

    def _send(self, ts_ns: int, account: str, delay: Delay, act: Act, *arguments: object) -> None:
        """A message of an account leaves the engine; it does not overtake the one before it."""
        now_ns = max(ts_ns, self.now_ns)
        due_ns = max(now_ns + self.latency.draw(delay, now_ns), self._arrivals.get(account, 0))
        self._arrivals[account] = due_ns
        self._schedule(due_ns, act, *arguments)

    def _back_ns(self, account: str, delay: Delay) -> int:
        """When a report that leaves the matching now arrives; it does not overtake the one before it."""
        due_ns = max(self.now_ns + self.latency.draw(delay, self.now_ns), self._reports.get(account, 0))
        self._reports[account] = due_ns
        return due_ns

    def _tell(self, account: str, event: BrokerEvent) -> None:
        self._schedule(event.ts_ns, self._report, account, event)

    def _ack_ns(self, account: str) -> int:
        return self._back_ns(account, self.config.latency.ack)

    # -- new orders -------------------------------------------------------------------------------------------------------

    def account(self, name: str) -> Account:
        """An account, opened with the configured cash on first use."""
        found = self.accounts.get(name)
        if found is None:
            found = self.accounts[name] = Account(name=name)
            for currency, amount in self.config.cash.items():
                found.deposit(currency, amount)
        return found

    def _arrive_new(self, account: str, order: WireOrder, is_swept: bool) -> None:
        """An order arrives, alone or with those linked to it: all of them are admitted or none."""
        if not order.linked:
            alone = self._judge_new(account, order, "", is_swept)
            if isinstance(alone, Refusal):
                self._reject(account, order, alone)
                return
            self._orders.setdefault(account, {})[alone.wire_id] = alone
            self._working.setdefault(account, {})[alone.wire_id] = alone
            self._admit(self.listings[alone.key], alone)
            return
        self._arrive_group(account, order, is_swept)

    def _arrive_group(self, account: str, order: WireOrder, is_swept: bool) -> None:
        group = order.wire_id
        fault = self.combos.fault([one.spec for one in order.members]) if _is_combo(order) else None
        found: list[tuple[WireOrder, Working | Refusal]] = []
        self._arriving = []
        for one in order.members:
            got = fault or self._judge_new(account, one, group, is_swept)
            found.append((one, got))
            if isinstance(got, Working) and is_leg(got):
                self._arriving.append(got)
        self._arriving = []
        refused = next((f"{one.wire_id}: {got.text}" for one, got in found if isinstance(got, Refusal)), None)
        known, working = self._orders.setdefault(account, {}), self._working.setdefault(account, {})
        made = [got for _, got in found if isinstance(got, Working)]
        if refused is not None:
            for one, got in found:
                linked = Refusal("LINKED", f"an order of its group was refused ({refused})")
                self._reject(account, one, got if isinstance(got, Refusal) else linked)
            return
        for new in made:
            known[new.wire_id] = working[new.wire_id] = new
            self.groups.add(new)
        for new in made:
            self._admit(self.listings[new.key], new)
        if _is_combo(order):
            self.combos.begin((account, group), made)

    def _judge_new(self, account: str, order: WireOrder, group: str, is_swept: bool) -> Working | Refusal:
        """The order as it would be held here, or why it is not taken."""
        self.counters.orders += 1
        spec = order.spec
        if order.wire_id in self._orders.get(account, {}) or order.wire_id in self._refused.get(account, {}):
            self.counters.duplicates += 1
            return Refusal("DUPLICATE_ID", f"order id {order.wire_id} was used before")
        if is_swept:
            return Refusal("MASS_CANCEL", "a mass cancel came while it was on its way")
        listing = choose(self.listings.values(), spec.symbol, spec.venue, spec.side.sign)
        if listing is None:
            return Refusal("UNKNOWN_SYMBOL", f"{spec.symbol} is not listed at {spec.venue or 'any venue'}")
        listing.settle()
        is_auction = spec.tif in AUCTIONS
        refusal = self.auctions.refusal(listing, spec) if is_auction else self._venue_refusal(listing, spec)
        refusal = refusal or terms_refusal(spec, listing.instrument, self.now_ns) or self.bands.refusal(listing, spec)
        if refusal is not None:
            return refusal
        made = self._make(account, order, listing)
        made.group, made.asked = group, made.qty
        if spec.link is not None and spec.link.role is LinkRole.COMBO and not group:
            return Refusal("COMBO", "a leg of a combination comes with the others")
        if group and spec.link is not None and spec.link.role in {LinkRole.LEG, LinkRole.COMBO}:
            made.held = made.qty
            return made
        return self.standing_refusal(listing, made) or made

    def _venue_refusal(self, listing: Listing, spec: OrderSpec | None = None) -> Refusal | None:
        if not listing.calendar.is_open(self.now_ns):
            return Refusal("CLOSED", f"{listing.key} is closed")
        if listing.is_halted and not waits_for_reopening(spec):
            return Refusal("HALTED", f"{listing.key} is halted")
        schedule = self.config.fees.get(listing.mic)
        if schedule is not None and schedule.at(self.now_ns) is None:
            return Refusal("NO_FEE_RATE", schedule.missing_text(self.now_ns))
        return None

    def _make(self, account: str, order: WireOrder, listing: Listing) -> Working:
        self._numbered += 1
        spec, instrument = order.spec, listing.instrument
        return Working(
            account=account,
            wire_id=order.wire_id,
            venue_order_id=f"{listing.mic}{self._numbered:09d}",
            key=listing.key,
            spec=spec,
            sign=spec.side.sign,
            qty=instrument.qty_units(spec.qty),
            limit=None if spec.limit is None else instrument.price_units(spec.limit),
            stop=None if spec.stop is None else instrument.price_units(spec.stop),
            trail=None if spec.trail is None else instrument.price_units(spec.trail),
            display=None if spec.display is None else instrument.qty_units(spec.display),
            seq=self._numbered,
            updated_ns=self.now_ns,
        )

    def standing_refusal(self, listing: Listing, order: Working) -> Refusal | None:
        """Faults that depend on the position, the book and our other orders."""
        # A leg fills no more than the position; refused, the rest would stand bare.
        is_exit = link_role(order) is LinkRole.LEG
        if order.spec.reduce_only and not is_exit and order.leaves > self._reducible(listing, order):
            return Refusal("REDUCE_ONLY", "it is larger than the position it may reduce")
        if order.spec.tif in AUCTIONS or (order.is_stop and not order.triggered):
            return None
        if listing.meets_own(order):
            return Refusal("SELF_MATCH", "it would trade with an own resting order")
        if order.spec.post_only and listing.crosses(order):
            return Refusal("POST_ONLY", "it would take liquidity")
        return None

    def _reducible(self, listing: Listing, order: Working) -> int:
        """Position that no other reduce-only order of this side has claimed."""
        claimed = sum(
            other.leaves
            for other in self._shrinking
            if other is not order
            and not (order.group and other.group == order.group)
            and (other.account, other.spec.symbol, other.sign) == (order.account, order.spec.symbol, order.sign)
        )
        return self._position(listing, order) - claimed

    def _position(self, listing: Listing, order: Working) -> int:
        """Units of position on the side that ``order`` reduces, zero or below where there is none."""
        held = self.account(order.account).position(listing.symbol)
        return -order.sign * listing.instrument.qty_units(held)

    def _reject(self, account: str, order: WireOrder, refusal: Refusal) -> None:
        self.counters.rejected += 1
        refused = self._refused.setdefault(account, {})
        spec = order.spec
        if refusal.code != "DUPLICATE_ID":
            refused[order.wire_id] = VenueOrder(
                wire_id=order.wire_id, venue_order_id="", symbol=spec.symbol, side=spec.side, type=spec.type,
                tif=spec.tif, qty=spec.qty, qty_filled=Qty(0), limit=spec.limit, stop=spec.stop,
                reduce_only=spec.reduce_only, is_open=False, status="rejected", text=f"{refusal.code}: {refusal.text}",
            )  # fmt: skip
            while len(refused) > self.config.history_max:
                del refused[next(iter(refused))]
        ts_ns, name = self._ack_ns(account), self.config.broker
        told = Rejected(broker=name, ts_ns=ts_ns, wire_id=order.wire_id, code=refusal.code, text=refusal.text)
        self._tell(account, told)

    def _admit(self, listing: Listing, order: Working) -> None:
        """Acknowledge an order, then let it meet the book or wait for its trigger."""
        self._tell(
            order.account,
            Acked(
                broker=self.config.broker,
                ts_ns=self._ack_ns(order.account),
                wire_id=order.wire_id,
                venue_order_id=order.venue_order_id,
            ),
        )
        if order.spec.reduce_only:
            self._shrinking.append(order)
        if order.spec.tif is Tif.DAY:
            self._expire_at_day_end(listing, order)
        elif order.spec.tif is Tif.GTD:
            order.expires_ns = order.spec.expires_ns
            self._schedule(order.expires_ns, self._end_day, listing, order.expires_ns)
        if order.spec.tif in AUCTIONS:
            self.auctions.collect(listing, order)
        elif not order.held:
            self.start(listing, order)

    def start(self, listing: Listing, order: Working) -> None:
        """Let an order meet the book, or wait: for its trigger, or for trading to go on."""
        if order.triggered or not order.is_stop:
            (self.reopening.park if listing.is_halted else self._enter)(listing, order)
        elif not listing.is_halted and listing.is_passed(order, listing.last_price):
            self.triggered(listing, order)
        else:
            listing.wait(order)

    def _enter(self, listing: Listing, order: Working) -> None:
        """Match an order against the visible book; the rest comes to rest or ends, as its time in force says."""
        if order.spec.tif is Tif.FOK and listing.visible(order.sign, order.limit) < order.leaves:
            self._cancelled(order, "FOK: not enough visible quantity")
            return
        if order.is_converting and not self._convert(listing, order):
            return
        cap = None if order.limit is not None else self.bands.cap(listing, order.sign)
        order.limit = order.limit if cap is None else cap
        listing.take(order)
        order.limit = order.limit if cap is None else None
        if not order.is_open or not order.leaves:  # a leg that has done what its entry let it do so far
            return
        if order.is_immediate:
            self._cancelled(order, "no more quantity at its price" if order.limit is not None else "the book is empty")
        else:
            listing.rest(order)

    def _convert(self, listing: Listing, order: Working) -> bool:
        """A market-to-limit order becomes a limit order at the best opposing price; False where there is none."""
        best = listing.levels(-order.sign, 1)
        if not best:
            self._cancelled(order, "the book is empty")
            return False
        order.limit = best[0][0]
        order.spec = replace(order.spec, type=OrderType.LIMIT, limit=listing.instrument.price_of(order.limit))
        self._tell(order.account, self._amended(order, self._ack_ns(order.account)))
        return True

    # -- what listings ask for ----------------------------------------------------------------------------------------------

    def room(self, order: Working) -> int:
        """How much of an order may fill now; a reduce-only order never more than the position."""
        if not order.is_open:
            return 0
        if not order.spec.reduce_only:
            return order.leaves
        return max(0, min(order.leaves, self._position(self.listings[order.key], order)))

    def concession(self, listing: Listing, order: Working, qty: int) -> int:
        """Price units by which the impact model worsens a taking fill; it absorbs the flow."""
        impact = self.impacts.get(listing.symbol)
        if impact is None:
            return 0
        worse = impact.concession(self.now_ns, order.sign, qty)
        impact.absorb(self.now_ns, order.sign, qty)
        return worse

    def at(self, due_ns: int, act: Act, *arguments: object) -> None:
        """Do something at a time."""
        self._schedule(due_ns, act, *arguments)

    def printed(self, listing: Listing, price: int) -> None:
        """The print may leave its band."""
        self.bands.printed(listing, price)

    def opened(self, listing: Listing, price: int, qty: int) -> None:
        """The print may be the official one of an opening."""
        self.auctions.opened(listing, price, qty)

    def reopened(self, listing: Listing) -> None:
        """Trading goes on after a halt: with an auction."""
        self.reopening.uncross(listing, self.auctions.due_now(listing))

    def quoted(self) -> None:
        """A book that a leg of a combination hangs on has changed."""
        self.combos.quoted()

    def end_order(self, order: Working, why: str) -> None:
        """Cancel an order for a reason of the venue's own."""
        self._cancelled(order, why)

    def tell_amended(self, order: Working) -> None:
        """Tell the terms that an order has got without asking."""
        self._tell(order.account, self._amended(order, self._ack_ns(order.account)))

    def end_auction(self, order: Working, why: str) -> None:
        """End what an auction has left of an order."""
        self._cancelled(order, why)

    def requeue(self, order: Working) -> None:
        """Give an order its place behind all others of ours."""
        self._numbered += 1
        order.seq = self._numbered

    def changed_silently(self) -> None:
        """Nothing: who remembers orders over a restart overrides this."""

    def triggered(self, listing: Listing, order: Working) -> None:
        """A stop was passed: it becomes a market or limit order now, wherever the book is."""
        listing.remove(order)
        order.triggered = True
        self.counters.stops_triggered += 1
        self.groups.end_entry(order)
        refusal = self.standing_refusal(listing, order)
        if refusal is not None:
            self._cancelled(order, f"{refusal.code}: {refusal.text}")
        else:
            self._enter(listing, order)

    def execute(
        self,
        listing: Listing,
        order: Working,
        qty: int,
        price: int,
        liquidity: Liquidity,
        guessed: bool,
        note: str = "",
    ) -> None:
        """Book one execution: order, fee, account, report, and the flow the market sees. ``note``: what is to be said of it."""
        order.filled += qty
        order.executions += 1
        order.updated_ns = self.now_ns
        fill = fill_of(self.config, self.now_ns, listing, order, qty, price, liquidity, guessed=guessed, note=note)
        self.account(order.account).book(fill, listing.instrument)
        self._remember(order.account, fill)
        counters = self.counters
        counters.fills += 1
        counters.maker_fills += liquidity is Liquidity.MAKER
        counters.guessed += guessed
        is_stopped = order.triggered and order.stop is not None and not order.waits_for_touch
        if is_stopped and (price - (order.stop or 0)) * order.sign > 0:
            counters.stop_gaps += 1
        if order.qty > order.filled:
            order.status = "partially_filled"
        else:
            self._end(order, "filled", "")
        if order.group:
            self.groups.settle_later(order)
        ts_ns = self._back_ns(order.account, self.config.latency.report)
        self._tell(order.account, Filled(broker=self.config.broker, ts_ns=ts_ns, fill=fill))
        if self.config.exchange is not None:
            self.teller.sweep(order.account, listing.instrument.currency)
        if self._shrinking:
            self._trim(listing, order.account)
        if self._own_flow is not None:
            self._own_flow(listing.key, self.now_ns, order.sign * qty, liquidity)

    def _trim(self, listing: Listing, account: str) -> None:
        """End reduce-only orders whose position is gone."""
        for order in self._shrinking[:]:
            if (
                order.account == account
                and order.spec.symbol == listing.symbol
                and order.is_open
                and not order.held
                and self._position(listing, order) <= 0
            ):
                self._cancelled(order, "reduce-only: the position is gone")

    # -- cancels, amendments, the end of a day -----------------------------------------------------------------------------

    def _find(self, account: str, wire_id: str) -> Working | Refusal:
        order = self._orders.get(account, {}).get(wire_id)
        if order is None:
            return Refusal("UNKNOWN_ORDER", f"no order {wire_id} ever arrived")
        if not order.is_open:
            return Refusal("TOO_LATE", f"order {wire_id} is {order.status}")
        return order

    def _arrive_cancel(self, account: str, wire_id: str) -> None:
        self.counters.cancels += 1
        found = self._find(account, wire_id)
        if isinstance(found, Working) and self.auctions.is_bound(found):
            found = Refusal("NO_CANCEL", f"order {wire_id} is bound to its auction by now")
        if isinstance(found, Working):
            self._cancelled(found, "")
            return
        event = CancelRefused(
            broker=self.config.broker, ts_ns=self._ack_ns(account), wire_id=wire_id, code=found.code, text=found.text
        )
        self._tell(account, event)

    def _arrive_amend(self, account: str, wire_id: str, qty: Qty, limit: Price | None, stop: Price | None) -> None:
        self.counters.amends += 1
        found = self._find(account, wire_id)
        refusal = found if isinstance(found, Refusal) else self._amend(found, qty, limit, stop)
        if refusal is not None:
            event = AmendRefused(
                broker=self.config.broker,
                ts_ns=self._ack_ns(account),
                wire_id=wire_id,
                code=refusal.code,
                text=refusal.text,
            )
            self._tell(account, event)

    def _amend(self, order: Working, qty: Qty, limit: Price | None, stop: Price | None) -> Refusal | None:
        """Give an order new terms, or say why not. A new price or a larger size loses its place in the queue."""
        if self.auctions.is_bound(order):
            return Refusal("NO_CANCEL", f"order {order.wire_id} is bound to its auction by now")
        if is_leg(order):
            return Refusal("COMBO", "a combination is not amended; cancel it and place another")
        listing = self.listings[order.key]
        listing.settle()
        instrument = listing.instrument
        spec = order.spec
        if order.group:  # what its group has filled meanwhile stays off it
            qty = min(qty, instrument.qty_of(order.qty))
        if order.triggered and stop is not None and stop != spec.stop:
            return Refusal("TRIGGERED", f"order {order.wire_id} was triggered; its stop cannot be moved any more")
        new_spec = replace(
            spec, qty=qty, limit=spec.limit if limit is None else limit, stop=spec.stop if stop is None else stop
        )
        refusal = self._venue_refusal(listing) or terms_refusal(new_spec, instrument, self.now_ns)
        refusal = refusal or self.bands.refusal(listing, new_spec)
        if refusal is None and instrument.qty_units(qty) <= order.filled:
            refusal = Refusal("QTY_FILLED", f"{instrument.qty_of(order.filled)} are filled; ask for more, or cancel")
        if refusal is not None:
            return refusal
        old = (order.spec, order.qty, order.limit, order.stop)
        was_resting = order.is_resting
        order.spec, order.qty = new_spec, instrument.qty_units(qty)
        order.limit = None if new_spec.limit is None else instrument.price_units(new_spec.limit)
        if new_spec.trail is None:  # the trigger of a trailing stop is where the market has led it
            order.stop = None if new_spec.stop is None else instrument.price_units(new_spec.stop)
        refusal = self.standing_refusal(listing, order)
        if refusal is not None:
            order.spec, order.qty, order.limit, order.stop = old
            return refusal
        order.updated_ns = self.now_ns
        self._tell(order.account, self._amended(order, self._ack_ns(order.account)))
        keeps_place = order.qty <= old[1] and order.limit == old[2]
        if was_resting and not keeps_place:
            listing.remove(order)
            self.requeue(order)
            self._enter(listing, order)
        elif order.is_waiting and listing.is_passed(order, listing.last_price):
            self.triggered(listing, order)
        return None

    def _amended(self, order: Working, ts_ns: int) -> Amended:
        spec = order.spec
        return Amended(
            broker=self.config.broker,
            ts_ns=ts_ns,
            wire_id=order.wire_id,
            qty=spec.qty,
            limit=spec.limit,
            stop=spec.stop,
        )

    def _cancelled(self, order: Working, why: str) -> None:
        if not order.is_open:  # the leg before it, in a mass cancel, has ended it
            return
        self._end(order, "cancelled", why)
        name, ts_ns = self.config.broker, self._ack_ns(order.account)
        done = self.listings[order.key].instrument.qty_of(order.filled)
        self._tell(order.account, Cancelled(broker=name, ts_ns=ts_ns, wire_id=order.wire_id, why=why, qty_filled=done))

    def _expire_at_day_end(self, listing: Listing, order: Working) -> None:
        order.expires_ns = listing.calendar.session(self.now_ns)[1]
        if listing.day_end_ns != order.expires_ns:
            listing.day_end_ns = order.expires_ns
            self._schedule(order.expires_ns, self._end_day, listing, order.expires_ns)

    def _end_day(self, listing: Listing, end_ns: int) -> None:
        """Expire the orders of a listing whose time, or day, ended."""
        for orders in self._working.values():
            for order in [one for one in orders.values() if one.is_open and one.key == listing.key]:
                if order.expires_ns and order.expires_ns <= end_ns:
                    self.counters.expired += 1
                    self._end(order, "expired", "its time ran out")
                    ts_ns = self._ack_ns(order.account)
                    done = listing.instrument.qty_of(order.filled)
                    told = Expired(broker=self.config.broker, ts_ns=ts_ns, wire_id=order.wire_id, qty_filled=done)
                    self._tell(order.account, told)

    def _end(self, order: Working, status: str, text: str) -> None:
        self.listings[order.key].remove(order)
        order.is_open = False
        order.status = status
        order.text = text
        order.updated_ns = self.now_ns
        if order.spec.reduce_only and order in self._shrinking:
            self._shrinking.remove(order)
        self._working.get(order.account, {}).pop(order.wire_id, None)
        if order.group:
            self.groups.settle_later(order)
        self._ended.append(order)
        if len(self._ended) > self.config.history_max:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        """Forget the order that ended longest ago and that no open order of its group hangs on."""
        for at, order in enumerate(self._ended):
            if not order.group or not self.groups.is_open(order):
                del self._ended[at], self._orders[order.account][order.wire_id]
                return

    def _remember(self, account: str, fill: Fill) -> None:
        fills = self._fills.setdefault(account, [])
        fills.append(fill)
        if len(fills) > 2 * self.config.history_max:
            del fills[: self.config.history_max]
