"""The laboratory's venue: simple matching against a scripted market, a plain log, and one fault at a time where it is told.

It shares nothing with the paper venue or the engine but the messages of the broker interface. It lives in the laboratory's
process and outlives every engine. It decides in integers (cents and pieces); the time of each call is its caller's.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from bolt_tui.faults import combos
from bolt_tui.faults.schedule import BEGINS_NS, DAY_NS, HELD, NIGHT_NS, START_CENTS, SYMBOLS, Schedule
from engine.domain.clock import NS_PER_MS
from engine.domain.errors import VenueError
from engine.domain.events import Fill
from engine.domain.ids import Random
from engine.domain.money import Money, Price, Qty
from engine.domain.movements import Movement
from engine.domain.order import AUCTIONS, TOUCHED, LinkRole, OrderSpec, OrderType, Side, Tif
from engine.oms import broker_interface as bi

BROKER, ACCOUNT, MIC = "paper", "PAPER", "XSIM"
CASH_MILS = 10_000_000_000
"""What the account opens with, in tenths of a cent."""
FEE_MILS = 3
"""A piece."""
PIECE_GAP_NS = 120 * NS_PER_MS
GROUP_NS = 30 * NS_PER_MS
"""How long it takes until what an order of a group fills is taken off the others: meanwhile they may fill too."""

After = Callable[[int, Callable[[], None]], None]
"""Run something so many nanoseconds from now."""


class Execution(msgspec.Struct):
    """One execution."""

    key: str
    wire_id: str
    symbol: str
    side: Side
    qty: int
    cents: int
    ts_ns: int
    venue_order_id: str
    is_busted: bool = False
    splits: int = 0
    """How often the symbol had been split by then."""

    def fill(self) -> Fill:
        """As the venue reports it."""
        return Fill(
            broker=BROKER,
            account=ACCOUNT,
            fill_key=self.key,
            symbol=self.symbol,
            side=self.side,
            qty=Qty(self.qty),
            price=price(self.cents),
            ts_ns=self.ts_ns,
            venue=MIC,
            fee=mils(self.qty * FEE_MILS),
            fee_currency="USD",
            wire_id=self.wire_id,
            venue_order_id=self.venue_order_id,
        )


class Standing(msgspec.Struct):
    """One order at the venue."""

    wire_id: str
    number: int
    spec: OrderSpec
    qty: int
    limit: int | None
    stop: int | None
    parts: int
    born_ns: int
    filled: int = 0
    is_open: bool = True
    status: str = "new"
    text: str = ""
    best: int = 0
    """Of a trailing stop: the best middle since it came."""
    is_triggered: bool = False
    is_working: bool = False
    """Its next execution is on its way."""
    ended_ns: int = 0
    executions: int = 0
    group: str = ""
    """Wire id of the first order of its group."""
    asked: int = 0
    """Quantity it came with."""
    held: int = 0
    """Of a leg: what the entry has not let to work yet."""
    is_crossing: bool = False
    """Of an order for the auction: it takes place now."""

    @property
    def venue_order_id(self) -> str:
        """The venue's own name of it."""
        return f"V{self.number}"

    @property
    def leaves(self) -> int:
        """What may still fill."""
        return max(0, self.qty - self.filled - self.held) if self.is_open else 0

    @property
    def role(self) -> LinkRole | None:
        """What it is in its group."""
        return None if self.spec.link is None else self.spec.link.role

    def view(self) -> bi.VenueOrder:
        """As the venue reports it."""
        status = "partially_filled" if self.is_open and self.filled else self.status
        return bi.VenueOrder(
            wire_id=self.wire_id,
            venue_order_id=self.venue_order_id,
            symbol=self.spec.symbol,
            side=self.spec.side,
            type=self.spec.type,
            tif=self.spec.tif,
            qty=Qty(self.qty),
            qty_filled=Qty(self.filled),
            limit=None if self.limit is None else price(self.limit),
            stop=None if self.stop is None else price(self.stop),
            reduce_only=self.spec.reduce_only,
            is_open=self.is_open,
            status=status,
            text=self.text,
        )


class Venue:
    """Orders, executions, position and cash of one account."""

    def __init__(self, schedule: Schedule, after: After, report: Callable[[bi.BrokerEvent], None]) -> None:
        """``report`` takes what the account is told; its time is set when it arrives."""
        self._rng = Random(schedule.seed ^ 0x5EED)
        self._market = schedule.market
        self.after = self._after = after
        self._report = report
        self._now_ns = 0
        self.log: list[dict[str, object]] = []
        """Everything that happened, as plain values: the venue's own word."""
        self.orders: dict[str, Standing] = {}
        self.executions: dict[str, Execution] = {}
        self.mids = dict.fromkeys(SYMBOLS, START_CENTS)
        self.homes = dict.fromkeys(SYMBOLS, START_CENTS)
        """Where each market comes back to."""
        self.moved: list[Movement] = []
        """What was booked beside executions."""
        self.booked_mils = 0
        self.paused: set[str] = set()
        """Symbols in which nothing trades."""
        self.splits = 0
        """Of the symbol that is held from the start."""
        self.row = 0
        self.parts: dict[tuple[str, int], int] = {}
        """By symbol and quantity: in how many executions an order fills."""
        self.overfill_pct: dict[str, int] = {}
        """By wire id: by how much its last execution will be too large."""

    def note(self, what: str, **facts: object) -> None:
        """Write the log."""
        self.log.append({"t": self._now_ns, "what": what, **facts})

    def at(self, now_ns: int) -> None:
        """Time has come so far."""
        self._now_ns = max(self._now_ns, now_ns)

    def report(self, event: bi.BrokerEvent) -> None:
        """Tell the account."""
        self._report(event)

    # -- the market ------------------------------------------------------------------------------------------------------

    def move(self, now_ns: int) -> None:
        """The market takes a step; what it reaches fills."""
        self._now_ns = now_ns
        self.row += 1
        market = self._market
        for symbol, mid in self.mids.items():
            step = self._rng.between(-market.step, market.step) + market.drift
            back = (mid - self.homes[symbol]) // market.pull if market.pull else 0
            told = market.mids.get(symbol)
            self.mids[symbol] = told[min(self.row, len(told)) - 1] if told else mid + step - back
        for order in list(self.orders.values()):
            if order.is_open:
                self._try(order)
        for group in {
            order.group: None for order in self.orders.values() if order.is_open and order.role is LinkRole.COMBO
        }:
            combos.work(self, group)

    def touch(self, symbol: str) -> tuple[int, int]:
        """Best bid and ask."""
        return self.mids[symbol] - 1, self.mids[symbol] + 1

    # -- messages in -----------------------------------------------------------------------------------------------------

    def new(
        self, now_ns: int, wire: bi.WireOrder, *, refuse: str = "", session: bool = False, on_disk: int = -1
    ) -> Standing | None:
        """A new order arrives, alone or with those of its group: all are taken or none. The first of them, None where it is
        refused, as with the code ``refuse``; a session's own refusal is VenueError. ``on_disk`` is the ledger's last row on
        disk when it left.
        """
        self._now_ns = now_ns
        codes = [refuse or self._refusal(one.spec) for one in wire.members]
        is_repeated = any(one.wire_id in self.orders for one in wire.members)
        is_refused = any(codes)
        for one, code in zip(wire.members, codes, strict=True):
            own = code or ("LINKED" if is_refused else "")
            self._note_new(one, "DUPLICATE_ID" if is_repeated else own, session=session, on_disk=on_disk)
            if own and not is_repeated:
                said = bi.Rejected(broker=BROKER, ts_ns=0, wire_id=one.wire_id, code=own, text="refused by the venue")
                self._report(said)
        if is_repeated:
            return None
        if is_refused:
            if session:
                raise VenueError(f"{codes[0]}: refused by the venue")
            return None
        made = [self._take(one, wire.wire_id if wire.linked else "") for one in wire.members]
        for order in made:
            self._report(bi.Acked(broker=BROKER, ts_ns=0, wire_id=order.wire_id, venue_order_id=order.venue_order_id))
            self._try(order)
        if made[0].role is LinkRole.COMBO:
            combos.work(self, made[0].group)
        return made[0]

    def _note_new(self, wire: bi.WireOrder, code: str, *, session: bool, on_disk: int) -> None:
        spec = wire.spec
        self.note(
            "new",
            wire=wire.wire_id,
            symbol=spec.symbol,
            side=str(spec.side),
            qty=int(spec.qty),
            reduce_only=spec.reduce_only,
            session=session,
            accepted=not code,
            code=code,
            on_disk=on_disk,
        )

    def _take(self, wire: bi.WireOrder, group: str) -> Standing:
        spec = wire.spec
        made = Standing(
            wire_id=wire.wire_id,
            number=len(self.orders) + 1,
            spec=spec,
            qty=int(spec.qty),
            limit=None if spec.limit is None else cents(spec.limit),
            stop=None if spec.stop is None else cents(spec.stop),
            parts=self.parts.get((spec.symbol, int(spec.qty)), 1),
            born_ns=self._now_ns,
            group=group,
            asked=int(spec.qty),
        )
        if made.role in {LinkRole.LEG, LinkRole.COMBO}:
            made.held = made.qty
        self.orders[wire.wire_id] = made
        if spec.tif is Tif.GTD:
            self._after(spec.expires_ns - self._now_ns, lambda: self._end_of(made))
        if spec.tif in AUCTIONS:
            begins_ns = BEGINS_NS + (NIGHT_NS if spec.tif is Tif.OPG else 0)
            due_ns = self._now_ns + DAY_NS - (self._now_ns - begins_ns) % DAY_NS
            self._after(due_ns - self._now_ns, lambda: self._cross(due_ns, made))
        return made

    def _refusal(self, spec: OrderSpec) -> str:
        if spec.reduce_only and (spec.link is None or spec.link.role is not LinkRole.LEG):
            claimed = sum(
                order.leaves
                for order in self.orders.values()
                if order.spec.reduce_only and order.spec.symbol == spec.symbol
            )
            held = -spec.side.sign * self.position(spec.symbol)
            if int(spec.qty) > held - claimed:
                return "REDUCE_ONLY"
        if spec.post_only and spec.limit is not None and self._crosses(spec.side, cents(spec.limit), spec.symbol):
            return "POST_ONLY"
        return ""

    def end_all(self, now_ns: int) -> None:
        """The house cancels whatever works."""
        self.at(now_ns)
        for order in list(self.orders.values()):
            if order.is_open:
                self.end(order, "cancelled")

    def cancel(self, now_ns: int, wire_id: str) -> None:
        """A cancel arrives."""
        self._now_ns = now_ns
        order = self.orders.get(wire_id)
        if order is None or not order.is_open:
            why = "UNKNOWN_ORDER" if order is None else "TOO_LATE"
            self.note("cancel_refused", wire=wire_id, code=why)
            self._report(bi.CancelRefused(broker=BROKER, ts_ns=0, wire_id=wire_id, code=why, text=""))
        else:
            self.end(order, "cancelled")

    def amend(self, now_ns: int, wire_id: str, qty: int, limit: int | None, stop: int | None) -> None:
        """New terms arrive."""
        self._now_ns = now_ns
        order = self.orders.get(wire_id)
        if order is None or not order.is_open or qty <= order.filled or order.role is LinkRole.COMBO:
            code = "UNKNOWN_ORDER" if order is None else "TOO_LATE"
            self.note("amend_refused", wire=wire_id, code=code)
            self._report(bi.AmendRefused(broker=BROKER, ts_ns=0, wire_id=wire_id, code=code, text=""))
            return
        order.qty = min(qty, order.qty) if order.group else qty  # what its group has filled meanwhile stays off it
        order.limit, order.stop = limit, stop
        self._amended(order)
        self._try(order)

    def _amended(self, order: Standing) -> None:
        self.note("amended", wire=order.wire_id, qty=order.qty)
        view = order.view()
        self._report(
            bi.Amended(broker=BROKER, ts_ns=0, wire_id=order.wire_id, qty=view.qty, limit=view.limit, stop=view.stop)
        )

    def rescale(self, order: Standing, factor: int) -> None:
        """What is left of an order in new units, its prices divided; on the safe side where a cent cannot be divided."""
        order.qty = order.filled + (order.qty - order.filled) * factor
        up = 0 if order.spec.side is Side.BUY else factor - 1
        order.limit = None if order.limit is None else (order.limit + up) // factor
        order.stop = None if order.stop is None else (order.stop + factor - 1 - up) // factor
        self._amended(order)

    # -- groups ----------------------------------------------------------------------------------------------------------

    def _settle_later(self, order: Standing) -> None:
        """What happened to an order reaches its group a little later."""
        if order.group:
            due_ns = self._now_ns + GROUP_NS
            self._after(GROUP_NS, lambda: self._settle(due_ns, order.group))

    def _settle(self, now_ns: int, group: str) -> None:
        """Bring every order of a group to what it may do now."""
        self._now_ns = max(self._now_ns, now_ns)
        members = [order for order in self.orders.values() if order.group == group]
        if members[0].role is LinkRole.COMBO:
            combos.settle(self, members)
            return
        entry = next((order for order in members if order.role is LinkRole.ENTRY), None)
        for order in members:
            if not order.is_open or order is entry:
                continue
            others = sum(one.filled for one in members if one is not order and one is not entry)
            free = order.asked if entry is None else min(order.asked, entry.filled)
            most = order.asked if entry is None or entry.is_open else free
            qty = max(order.filled, most - others)
            if qty <= order.filled:
                self.end(order, "cancelled")
                continue
            is_less, order.qty = qty < order.qty, qty
            order.held = max(0, qty - order.filled - max(0, free - others - order.filled))
            if is_less:
                self._amended(order)
            self._try(order)

    # -- matching --------------------------------------------------------------------------------------------------------

    def _crosses(self, side: Side, limit: int, symbol: str) -> bool:
        bid, ask = self.touch(symbol)
        return limit >= ask if side is Side.BUY else limit <= bid

    def _is_marketable(self, order: Standing) -> bool:
        bid, ask = self.touch(order.spec.symbol)
        side = order.spec.side
        if order.spec.type.terms.waits and not order.is_triggered:
            order.is_triggered = self._is_reached(order, bid, ask)
            if not order.is_triggered:
                return False
        return order.limit is None or self._crosses(side, order.limit, order.spec.symbol)

    def _is_reached(self, order: Standing, bid: int, ask: int) -> bool:
        """Whether the market has come to what an order waits for."""
        sign, spec = order.spec.side.sign, order.spec
        if spec.trail is not None:
            mid = (bid + ask) // 2
            order.best = sign * min(sign * order.best, sign * mid) if order.best else mid
            return sign * (mid - order.best) >= cents(Price(spec.trail))
        assert order.stop is not None
        at = ask if sign > 0 else bid
        return sign * (order.stop - at) >= 0 if spec.type in TOUCHED else sign * (at - order.stop) >= 0

    def _try(self, order: Standing) -> None:
        tif = order.spec.tif
        if order.is_working or not order.leaves or (tif in AUCTIONS and not order.is_crossing):
            return
        if order.spec.symbol in self.paused:
            if tif in {Tif.IOC, Tif.FOK}:
                self._expire(order)
            return
        if self._is_marketable(order):
            self.piece(order, order.leaves if tif is Tif.FOK else max(1, order.leaves // max(1, order.parts)))
            order.parts -= 1
            if tif in {Tif.IOC, Tif.FOK}:
                self._expire(order)
            elif order.leaves:
                order.is_working = True
                again_ns = self._now_ns + PIECE_GAP_NS
                self._after(PIECE_GAP_NS, lambda: self._again(again_ns, order))
        elif tif in {Tif.IOC, Tif.FOK}:
            self._expire(order)

    def cross(self, symbol: str) -> None:
        """Everything of a symbol that can trade does."""
        for order in list(self.orders.values()):
            if order.spec.symbol == symbol and order.is_open:
                self._try(order)

    def _cross(self, now_ns: int, order: Standing) -> None:
        """The auction: what it does not fill of an order ends with it."""
        self.at(now_ns)
        order.is_crossing = True
        self._try(order)
        self._expire(order)

    def _again(self, now_ns: int, order: Standing) -> None:
        self._now_ns = max(self._now_ns, now_ns)
        order.is_working = False
        self._try(order)

    def piece(self, order: Standing, qty: int) -> None:
        """Execute a part of an order at what its market shows."""
        bid, ask = self.touch(order.spec.symbol)
        at = ask if order.spec.side is Side.BUY else bid
        if order.limit is not None:
            at = min(at, order.limit) if order.spec.side is Side.BUY else max(at, order.limit)
        self.fill(order, qty, at)
        if order.spec.type is OrderType.MARKET_TO_LIMIT and order.limit is None:
            order.limit = at

    def fill(self, order: Standing, qty: int, at_cents: int) -> None:
        """Execute a part of an order, and end it where nothing is left."""
        qty = min(qty, order.leaves) if order.is_open else qty
        extra_pct = self.overfill_pct.get(order.wire_id, 0)
        if order.is_open and qty >= order.leaves and extra_pct and not order.held:
            qty += max(1, order.qty * extra_pct // 100)
            del self.overfill_pct[order.wire_id]
            self.note("overfill", wire=order.wire_id, qty=order.filled + qty - order.qty)
        order.executions += 1
        made = Execution(
            key=f"{order.spec.symbol}:{order.venue_order_id}:{order.executions}",
            wire_id=order.wire_id,
            symbol=order.spec.symbol,
            side=order.spec.side,
            qty=qty,
            cents=at_cents,
            ts_ns=self._now_ns,
            venue_order_id=order.venue_order_id,
            splits=self.splits if order.spec.symbol == HELD else 0,
        )
        self.executions[made.key] = made
        order.filled += qty
        self.note(
            "fill", key=made.key, wire=made.wire_id, symbol=made.symbol, side=str(made.side), qty=qty, cents=at_cents
        )
        self._report(bi.Filled(broker=BROKER, ts_ns=0, fill=made.fill()))
        if order.is_open and order.filled >= order.qty:
            order.is_open, order.status, order.ended_ns = False, "filled", self._now_ns
            self.note("end", wire=order.wire_id, how="filled")
        self._settle_later(order)

    def fill_now(self, now_ns: int, wire_id: str, percent: int) -> None:
        """A market that comes to an order: fill so much of what is left at once."""
        self._now_ns = now_ns
        order = self.orders.get(wire_id)
        if order is not None and order.is_open and order.role is LinkRole.COMBO:
            combos.work(self, order.group)
        elif order is not None and order.leaves:
            self.piece(order, max(1, order.leaves * percent // 100))

    def bust(self, now_ns: int, key: str) -> None:
        """Undo an execution."""
        self._now_ns = now_ns
        made = self.executions[key]
        made.is_busted = True
        self.note("bust", key=key, wire=made.wire_id)
        self._report(bi.Busted(broker=BROKER, ts_ns=0, fill_key=key, symbol=made.symbol))
        order = self.orders.get(made.wire_id)
        if order is None:
            return  # one of the house's own
        order.filled -= made.qty
        self._settle_later(order)
        if order.is_open:
            self._try(order)

    def end(self, order: Standing, how: str) -> None:
        """End an order, and say so."""
        order.is_open, order.status, order.ended_ns = False, how, self._now_ns
        self.note("end", wire=order.wire_id, how=how)
        self._report(bi.Cancelled(broker=BROKER, ts_ns=0, wire_id=order.wire_id, qty_filled=Qty(order.filled)))
        self._settle_later(order)

    def _end_of(self, order: Standing) -> None:
        self._now_ns = max(self._now_ns, order.spec.expires_ns)
        self._expire(order)

    def _expire(self, order: Standing) -> None:
        if not order.is_open:
            return
        order.is_open, order.status, order.ended_ns = False, "expired", self._now_ns
        self.note("end", wire=order.wire_id, how="expired")
        self._report(bi.Expired(broker=BROKER, ts_ns=0, wire_id=order.wire_id, qty_filled=Qty(order.filled)))
        self._settle_later(order)

    # -- questions -------------------------------------------------------------------------------------------------------

    def open_orders(self) -> tuple[bi.VenueOrder, ...]:
        """What may still fill."""
        return tuple(order.view() for order in self.orders.values() if order.is_open)

    def position(self, symbol: str) -> int:
        """Signed position in the units of now, busts taken out."""
        splits = self.splits if symbol == HELD else 0
        made = [one for one in self.executions.values() if one.symbol == symbol and not one.is_busted]
        return sum(one.side.sign * one.qty << (splits - one.splits) for one in made)

    def positions(self) -> tuple[bi.VenuePosition, ...]:
        """Positions that are not flat."""
        held = ((symbol, self.position(symbol)) for symbol in SYMBOLS)
        return tuple(bi.VenuePosition(symbol, Qty(qty)) for symbol, qty in held if qty)

    def cash(self) -> Money:
        """Cash of the account."""
        paid = sum(
            one.qty * (one.side.sign * one.cents * 10 + FEE_MILS)
            for one in self.executions.values()
            if not one.is_busted
        )
        return mils(CASH_MILS - paid + self.booked_mils)

    def snapshot(self, request_id: int, since_ns: int) -> bi.Snapshot:
        """Everything at this moment."""
        orders = [order for order in self.orders.values() if order.is_open or order.ended_ns >= since_ns]
        fills = [one for one in self.executions.values() if one.ts_ns >= since_ns and not one.is_busted]
        return bi.Snapshot(
            broker=BROKER,
            ts_ns=0,
            account=ACCOUNT,
            request_id=request_id,
            orders=tuple(order.view() for order in orders),
            fills=tuple(one.fill() for one in fills),
            positions=self.positions(),
            cash={"USD": self.cash()},
            movements=tuple(one for one in self.moved if one.ts_ns >= since_ns),
        )


def price(at_cents: int) -> Price:
    """Cents as a price."""
    return Price(f"{at_cents // 100}.{at_cents % 100:02d}")


def cents(at: Price) -> int:
    """A price on the tick, in cents."""
    return int(at * 100)


def mils(amount: int) -> Money:
    """Tenths of a cent as money."""
    sign = "-" if amount < 0 else ""
    return Money(f"{sign}{abs(amount) // 1000}.{abs(amount) % 1000:03d}")
