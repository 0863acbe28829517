"""What the ledger says where no engine answers: orders, positions, fills, events and state as of its last row.

Read from the tables that are written in the journal's own transactions, a few short reads each. What is told is as old
as the last row: since then the venue may have filled or ended anything that worked, so an order whose answer was
awaited is shown as UNKNOWN, which is what the next engine will call it, and every live one as stale.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec

from bolt_tui.settings import Home
from bolt_tui.stored_baskets import BASKET_EVENTS, baskets_in
from engine.api import log_lines
from engine.api.commander import is_same_wish, wish
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S, SystemClock, iso
from engine.domain.commands import AmendOrder, CommandResult, LookUp, NewOrder
from engine.domain.errors import MoneyError, StoreCorrupt
from engine.domain.instrument import Digits, Instrument, digits_of
from engine.domain.ledger_events import EngineStarted, EngineStopped, InstrumentDefined, PolicyLoaded
from engine.domain.money import EXACT, ZERO_QTY, Money, Price, Qty, ratio
from engine.domain.order import OrderSpec, OrderState, Side, Source, SourceKind, source_of_wire, urgency_of
from engine.domain.parent_events import ApprovalAsked, ParentPaused, ParentResumed
from engine.ledger.positions import AVERAGE_DIGITS
from engine.risk.latch import Latch, read_notes, sentinel
from engine.store.journal import read_journal
from engine.store.link import DATABASE_ERRORS, holder_of, is_there, open_reader, store_error
from engine.store.place import ServerPlace
from engine.views import BasketView, BrokerView, FillView, HaltView, LogLine, OrderView, PositionView, StatusView

P = ParamSpec("P")
T = TypeVar("T")
Named = Mapping[str, Any]
"""One row, by the names of its columns."""
LOG_WITHIN = 20_000
"""Rows that are looked through for the lines of the log."""
ROWS_MAX = 1_000
"""Rows that one answer holds; the newest are kept."""
DEFINED_WITHIN = 5_000
"""Instruments are looked for in so many of the first and of the last rows."""
_ENDED = tuple(state.value for state in OrderState if state.is_terminal)
_PENDING = {OrderState.PENDING_NEW, OrderState.PENDING_CANCEL, OrderState.PENDING_REPLACE}
_NOTED = {"UNKN", "REJ", "DENY", "KILLED", "RESOLV", "CXLREJ", "AMDREJ", "DONE", "SUSP", "ASK"}
NEVER_LEFT = "nothing of it was ever sent, and nothing fires while no engine is up"
_ORDERS = """
SELECT o.*, j.ts_ns AS event_ns, j.payload AS event FROM orders o LEFT JOIN journal j ON j.seq = o.last_seq
"""
_ORDER = _ORDERS + "WHERE o.order_id = ?"
_ORDERS_NEWEST = (
    _ORDERS
    + """WHERE o.state NOT IN ({ended}) AND (? = '' OR o.symbol = ?)
ORDER BY o.created_ns DESC, o.last_seq DESC LIMIT ?"""
)
_VALUES = """
SELECT c.order_id, c.parent_id, f.qty, f.price FROM fills f JOIN orders c ON c.order_id = f.order_id
LEFT JOIN orders p ON p.order_id = c.parent_id
WHERE f.busted = 0 AND (c.state NOT IN ({ended}) OR p.state NOT IN ({ended})) AND (? = '' OR f.symbol = ?)
"""
_FILLS = """
SELECT f.*, o.parent_id, j.payload AS event FROM fills f LEFT JOIN orders o ON o.order_id = f.order_id
LEFT JOIN journal j ON j.seq = f.seq WHERE (? = '' OR f.symbol = ?) ORDER BY f.seq DESC LIMIT ?
"""
_PARENTS_SENT = """
SELECT DISTINCT c.parent_id FROM orders c JOIN orders p ON p.order_id = c.parent_id WHERE p.state NOT IN ({ended})
"""
_STEERED = "SELECT payload FROM journal WHERE kind IN (?, ?) ORDER BY seq"
_LAST_OF = "SELECT seq, ts_ns, payload FROM journal WHERE kind = ? ORDER BY seq DESC LIMIT 1"
_LAST_COMPARED = "SELECT ts_ns, payload FROM journal WHERE kind = ? ORDER BY seq DESC LIMIT 100"
_SPECS: msgspec.json.Decoder[OrderSpec] = ev.decoder(OrderSpec)


_COUNTED: dict[str, tuple[type[msgspec.Struct], ...]] = {
    "orders sent": (ev.OrderIntent, ev.OrderPlaced),
    "denied": (ev.OrderDenied,),
    "rejected": (ev.OrderRejected,),
    "fills": (ev.OrderFilled,),
    "cancelled": (ev.OrderCancelled,),
    "became unknown": (ev.OrderUnknown,),
    "never sent": (ev.OrderKilled,),
}
"""Kinds of rows that are counted, each of which holds one."""


class SessionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One life of an engine, from the ledger."""

    began_ns: int
    ended_ns: int
    is_clean: bool
    counts: dict[str, int]


def _of_sound_tables(read: Callable[Concatenate[Stored, P], T]) -> Callable[Concatenate[Stored, P], T]:
    """Name a table that somebody else wrote in, in place of what breaks over it."""

    @wraps(read)
    def named(stored: Stored, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(stored, *args, **kwargs)
        except (ValueError, TypeError, ArithmeticError, MoneyError) as error:
            todo = "`bolt ledger verify` names it, and `bolt ledger rebuild` makes the tables from the journal again"
            msg = f"ledger {stored.home.place}: a row of its tables is none that Bolt writes ({error}); {todo}"
            raise StoreCorrupt(msg) from None

    return named


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger whose engine does not answer. Made by :func:`open_stored`."""

    home: Home
    holder: int
    """Process that holds the ledger and does not answer; 0 where no engine runs."""
    ledger_id: str
    head_seq: int
    as_of_ns: int
    is_clean: bool
    """The last engine ended as it should."""

    def told(self) -> str:
        """How old this is and why, in one sentence."""
        age_s = max(0, (SystemClock().now_ns() - self.as_of_ns) // NS_PER_S)
        who = f"the engine (process {self.holder}) does not answer" if self.holder else "no engine runs"
        end = "" if self.holder or self.is_clean else ", which did not end cleanly"
        return (
            f"FROM THE LEDGER, {who}: as of row {self.head_seq}, {iso(self.as_of_ns)}, {_age(age_s)} ago{end}; "
            "what happened at the venue since is not known"
        )

    def marks(self) -> dict[str, Any]:
        """The same as JSON fields."""
        return {
            "read_from": "ledger",
            "engine": "hung" if self.holder else "none",
            "as_of_ns": self.as_of_ns,
            "as_of_seq": self.head_seq,
        }

    # -- orders ----------------------------------------------------------------------------------------------------------

    @_of_sound_tables
    def orders(self, *, with_ended: bool, symbol: str = "") -> tuple[OrderView, ...]:
        """Open orders (all with ``with_ended``), the newest up to the bound, oldest first."""
        ended = ("",) if with_ended else _ENDED
        marks = _marks(ended)
        rows, fills, sent, steered = self._read(
            (_ORDERS_NEWEST.format(ended=marks), (*ended, symbol, symbol, ROWS_MAX)),
            (_VALUES.format(ended=marks), (*ended, *ended, symbol, symbol)),
            (_PARENTS_SENT.format(ended=marks), ended),
            (_STEERED, (_kind(ParentPaused), _kind(ParentResumed))),
        )
        began = {row["parent_id"] for row in sent}
        paused: set[str] = set()
        for row in steered:
            event = ev.decode_event(row["payload"])
            if isinstance(event, ParentPaused):
                paused.add(event.order_id)
            elif isinstance(event, ParentResumed):
                paused.discard(event.order_id)
        values: dict[str, Any] = {}
        for row in fills:
            value = EXACT.multiply(Price(row["price"]), Qty(row["qty"]))
            for name in (row["order_id"], row["parent_id"]):
                values[name] = EXACT.add(values.get(name, EXACT.create_decimal(0)), value)
        made = (_order(row, values.get(row["order_id"]), has_left=row["order_id"] in began) for row in reversed(rows))
        return tuple(msgspec.structs.replace(one, paused=True) if one.order_id in paused else one for one in made)

    def count(self, symbol: str = "") -> int:
        """How many orders there are, parents and children, open and ended: :meth:`orders` may be bounded."""
        (rows,) = self._read(("SELECT count(*) AS n FROM orders WHERE (? = '' OR symbol = ?)", (symbol, symbol)))
        return int(rows[0]["n"])

    def intent(self, intent_id: str, line: str) -> CommandResult | None:
        """What became of an intent, as far as the ledger knows; None where it never came here."""
        mark = f'"intent_id":"{intent_id}"'.encode()
        kinds = tuple(_kind(kind) for kind in (ev.CommandReceived, ev.OrderPlaced, ev.AmendPlaced))
        holds = "position(? IN payload)" if isinstance(self.home.place, ServerPlace) else "instr(payload, ?)"
        found, rows = self._read(
            (
                f"SELECT payload FROM journal WHERE kind IN ({_marks(kinds)}) AND {holds} > 0 ORDER BY seq LIMIT 1",  # noqa: S608 - our own words
                (*kinds, mark),
            ),
            ("SELECT order_id FROM orders WHERE intent_id = ?", (intent_id,)),
        )
        first: NewOrder | AmendOrder | None = None
        for event in (part for row in found for part in ev.parts_of(ev.decode_event(row["payload"]))):
            if isinstance(event, ev.CommandReceived) and isinstance(event.command, NewOrder | AmendOrder):
                first = event.command
        order_id = rows[0]["order_id"] if rows else first.order_id if isinstance(first, AmendOrder) else ""
        if first is None and not order_id:
            return None
        order = self._order(order_id) if order_id else None
        was = wish(first) if first is not None else order.symbol if order is not None else ""
        asked = LookUp(source=Source(SourceKind.CLI), intent_id=intent_id, words=line)
        is_same = first is None or is_same_wish(first, asked)
        return CommandResult(
            ok=is_same and order is not None and order.state is not OrderState.DENIED,
            code="REPEATED" if is_same else "INTENT_REUSED",
            text=f"intent {intent_id} {'is known as' if is_same else 'was used for'} {order_id or 'no order'} ({was})"
            f"{order is not None and order.note and '; '}{order.note if order is not None else ''}",
            order_id=order_id,
            state=None if order is None else order.state,
            repeated=True,
        )

    @_of_sound_tables
    def _order(self, order_id: str) -> OrderView:
        (rows,) = self._read((_ORDER, (order_id,)))
        return _order(rows[0], None, has_left=True)

    # -- the rest --------------------------------------------------------------------------------------------------------

    @_of_sound_tables
    def fills(self, limit: int, symbol: str = "") -> tuple[FillView, ...]:
        """The last executions, oldest first."""
        (rows,) = self._read((_FILLS, (symbol, symbol, min(limit, ROWS_MAX))))
        return tuple(_fill(row, self.ledger_id) for row in reversed(rows))

    @_of_sound_tables
    def positions(self, symbol: str = "") -> tuple[PositionView, ...]:
        """Every position; without marks, as no price comes here."""
        rows, defined = self._read(
            ("SELECT * FROM positions WHERE (? = '' OR symbol = ?)", (symbol, symbol)), self._definitions()
        )
        made = _instruments(defined)
        rows.sort(key=lambda row: (row["broker"], row["account"], row["symbol"]))  # each store has an order of its own
        return tuple(_position(row, made.get(row["symbol"])) for row in rows)

    def digits(self) -> Digits:
        """How many decimals the prices of a symbol are told with: its tick's, as it was defined last."""
        (defined,) = self._read(self._definitions())
        return digits_of(_instruments(defined).values())

    def _definitions(self) -> tuple[str, tuple[object, ...]]:
        """Asks for the rows that define instruments."""
        kind = _kind(InstrumentDefined)
        return (
            "SELECT payload FROM journal WHERE kind = ? AND (seq <= ? OR seq > ?) ORDER BY seq",
            (kind, DEFINED_WITHIN, self.head_seq - DEFINED_WITHIN),
        )

    def baskets(self) -> tuple[BasketView, ...]:
        """The last baskets, staged, released and dropped."""
        kinds = tuple(_kind(event) for event in BASKET_EVENTS)
        (rows,) = self._read(
            (f"SELECT ts_ns, payload FROM journal WHERE kind IN ({_marks(kinds)}) ORDER BY seq", kinds)  # noqa: S608 - marks only
        )
        return baskets_in((row["ts_ns"], ev.decode_event(row["payload"])) for row in rows)

    def events(self, from_seq: int, limit: int) -> Iterator[tuple[int, int, ev.AnyEvent]]:
        """Events from a row on."""
        for row in read_journal(self.home.place, from_seq, limit):
            yield row.seq, row.ts_ns, ev.decode_event(row.payload)

    def log(self, limit: int) -> tuple[LogLine, ...]:
        """The last lines of the trade log, oldest first."""
        found: deque[LogLine] = deque(maxlen=min(limit, ROWS_MAX))
        digits = self.digits()
        rows = self.events(max(1, self.head_seq - LOG_WITHIN + 1), -1)
        for seq, ts_ns, event in ((seq, ts_ns, part) for seq, ts_ns, row in rows for part in ev.parts_of(row)):
            told = None
            if log_lines.is_told(event):
                told = log_lines.line(seq, ts_ns, event, None, digits, self.ledger_id)
            if told is not None:
                found.append(told)
        return tuple(found)

    @_of_sound_tables
    def status(self) -> StatusView:
        """The state as the ledger and the latch have it."""
        counts, accounts, compared, *last = self._read(
            ("SELECT order_id LIKE 'P%' AS is_parent, state, count(*) AS n FROM orders GROUP BY 1, 2", ()),
            ("SELECT DISTINCT broker, account, currency FROM cash", ()),
            (_LAST_COMPARED, (_kind(ev.ReconcileDone),)),
            *((_LAST_OF, (_kind(kind),)) for kind in (EngineStarted, PolicyLoaded, ev.TradingStateChanged)),
        )
        accounts.sort(key=lambda row: (row["broker"], row["account"], row["currency"]))
        live = [row for row in counts if OrderState(row["state"]).is_live]
        unknown = {OrderState.UNKNOWN, *_PENDING}
        started, policy, changed = (
            (row[0]["ts_ns"], ev.decode_event(row[0]["payload"])) if row else None for row in last
        )
        return StatusView(
            mode="LIVE" if started is not None and getattr(started[1], "mode", "") == "live" else "PAPER",
            account=accounts[0]["account"] if accounts else "",
            ledger_id=self.ledger_id,
            head_seq=self.head_seq,
            durable_seq=self.head_seq,
            ts_ns=self.as_of_ns,
            started_ns=0 if started is None else started[0],
            policy_hash="" if policy is None else getattr(policy[1], "policy_hash", ""),
            halt=_halt(self.home, changed),
            brokers=tuple(
                BrokerView(
                    broker=row["broker"],
                    account=row["account"],
                    state="down",
                    reconciled_s=_reconciled_s(compared, row["broker"], SystemClock().now_ns()),
                )
                for row in _distinct(accounts)
            ),
            orders_working=sum(row["n"] for row in live if not row["is_parent"]),
            orders_unknown=sum(row["n"] for row in live if not row["is_parent"] and row["state"] in unknown),
            parents_open=sum(row["n"] for row in live if row["is_parent"] and row["state"] != OrderState.STAGED),
            currency=accounts[0]["currency"] if accounts else "",
            pid=self.holder,
        )

    @_of_sound_tables
    def states(self, order_ids: tuple[str, ...]) -> dict[str, OrderState]:
        """State of each of these orders that the ledger knows."""
        found: dict[str, OrderState] = {}
        for start in range(0, len(order_ids), ROWS_MAX):
            part = order_ids[start : start + ROWS_MAX]
            (rows,) = self._read((f"SELECT order_id, state FROM orders WHERE order_id IN ({_marks(part)})", part))  # noqa: S608 - marks only
            found |= {row["order_id"]: OrderState(row["state"]) for row in rows}
        return found

    def session(self) -> SessionFigures | None:
        """What happened since the last engine started; None where none ever did."""
        (started,) = self._read((_LAST_OF, (_kind(EngineStarted),)))
        if not started:
            return None
        (rows,) = self._read(
            ("SELECT kind, count(*) AS n FROM journal WHERE seq >= ? GROUP BY kind", (started[0]["seq"],))
        )
        found = {row["kind"]: row["n"] for row in rows}
        return SessionFigures(
            began_ns=started[0]["ts_ns"],
            ended_ns=self.as_of_ns,
            is_clean=self.is_clean,
            counts={name: sum(found.get(_kind(kind), 0) for kind in kinds) for name, kinds in _COUNTED.items()},
        )

    def _read(self, *questions: tuple[str, tuple[object, ...]]) -> list[list[Named]]:
        """Answers to several questions at one moment, in one short read transaction."""
        place = self.home.place
        with closing(open_reader(place)) as link:
            try:
                link.execute("BEGIN")
                return [_named(link.execute(*question)) for question in questions]
            except DATABASE_ERRORS as error:
                raise store_error(error, place) from None


def open_stored(home: Home) -> Stored | None:
    """The ledger of a folder, to be read without an engine; None where there is none.

    Raises:
        StoreError: it cannot be read.
    """
    place = home.place
    if not is_there(place):
        return None
    with closing(open_reader(place)) as link:
        try:
            last = link.execute("SELECT seq, ts_ns, kind FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
            first = link.execute("SELECT payload FROM journal ORDER BY seq LIMIT 1").fetchone()
        except DATABASE_ERRORS as error:
            raise store_error(error, place) from None
    if last is None:
        return None
    opened = ev.decode_event(first[0])
    return Stored(
        home=home,
        holder=holder_of(place),
        ledger_id=getattr(opened, "ledger_id", ""),
        head_seq=last[0],
        as_of_ns=last[1],
        is_clean=last[2] == _kind(EngineStopped),
    )


def _named(cursor: Any) -> list[Named]:
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _marks(values: tuple[str, ...]) -> str:
    return ", ".join("?" * len(values))


def _reconciled_s(rows: Iterable[Named], broker: str, now_ns: int) -> float | None:
    """Seconds since a broker's last clean comparison; None where there is none among these, the newest first."""
    for row in rows:
        event = ev.decode_event(row["payload"])
        if isinstance(event, ev.ReconcileDone) and event.broker == broker and event.clean:
            return float(max(0, now_ns - row["ts_ns"])) / NS_PER_S
    return None


def _kind(event: type[msgspec.Struct]) -> str:
    """How the journal names a kind of event."""
    return str(event.__struct_config__.tag)


def _order(row: Named, value: Any, *, has_left: bool) -> OrderView:
    """``has_left``: a child was made for it, which may be at the venue; without one only what waits here can be said."""
    spec = _SPECS.decode(row["spec"])
    state = OrderState(row["state"])
    note, waits = _note(row), ""
    if spec.algo.trigger and not has_left and row["order_id"].startswith("P") and not state.is_terminal:
        # Its intent would be a child of it, journaled before a byte leaves: there is none, so no venue ever heard of it.
        waits = f"{spec.algo.trigger}; {NEVER_LEFT}"
        note = note or waits
    elif state in _PENDING:
        note = f"was {state.value} when the engine ended: the venue may have it{note and '; '}{note}"
        state = OrderState.UNKNOWN
    qty, filled = Qty(row["qty"]), Qty(row["qty_filled"])
    is_parent = row["order_id"].startswith("P")
    return OrderView(
        order_id=row["order_id"],
        parent_id=row["parent_id"],
        wire_id=row["wire_id"],
        intent_id=row["intent_id"],
        symbol=row["symbol"],
        side=Side(row["side"]),
        qty=qty,
        qty_filled=filled,
        type=row["type"],
        limit=None if row["limit"] is None else Price(row["limit"]),
        stop=None if row["stop"] is None else Price(row["stop"]),
        tif=row["tif"],
        trail=spec.trail,
        display=spec.display,
        venue=spec.venue,
        expires_ns=spec.expires_ns,
        flags=spec.flags,
        avg_price=Price(ratio(value, filled, 6)) if value is not None and filled else None,
        state=state,
        stale=state.is_live and not waits,
        waits=waits,
        awaits=_awaits(row),
        urgency=urgency_of(spec) if is_parent and spec.algo.duration_ns else "",
        algo=spec.algo.name if is_parent else "",
        progress_pct=int(EXACT.divide(filled * 100, qty)) if qty else 0,
        broker=row["broker"],
        account=row["account"],
        source=row["source"].rstrip(":"),
        note=note,
        created_ns=row["created_ns"],
        updated_ns=row["updated_ns"],
        is_foreign=row["order_id"].startswith("F"),
    )


def _awaits(row: Named) -> str:
    """Hash that a second person has to approve, where that was the last word."""
    event = None if row["event"] is None else ev.decode_event(row["event"])
    return event.order_hash if isinstance(event, ApprovalAsked) else ""


def _note(row: Named) -> str:
    """What the last event of an order says of it."""
    if row["event"] is None:
        return ""
    last = ev.parts_of(ev.decode_event(row["event"]))[-1]
    line = log_lines.line(row["last_seq"], row["event_ns"], last, None)
    return line.text if line is not None and line.word in _NOTED else ""


def _fill(row: Named, ledger_id: str) -> FillView:
    event = None if row["event"] is None else ev.decode_event(row["event"])
    own = event if isinstance(event, ev.OrderFilled) else None
    return FillView(
        seq=row["seq"],
        order_id=row["order_id"],
        parent_id=row["parent_id"] or "",
        symbol=row["symbol"],
        side=Side(row["side"]),
        qty=Qty(row["qty"]),
        price=Price(row["price"]),
        venue=row["venue"],
        liquidity=row["liquidity"],
        fee=Money(row["fee"]),
        fee_currency=row["fee_currency"],
        ts_ns=row["ts_ns"],
        fill_key=row["fill_key"],
        overfill=ZERO_QTY if own is None else own.overfill,
        late=own is not None and own.late,
        busted=bool(row["busted"]),
        source=source_of_wire(event.fill.wire_id, ledger_id).value if isinstance(event, ev.ForeignFillSeen) else "",
        note=event.fill.note if isinstance(event, ev.OrderFilled | ev.ForeignFillSeen) else "",
    )


def _instruments(defined: Iterable[Named]) -> dict[str, Instrument]:
    """By symbol, each as it was defined last."""
    events = (ev.decode_event(row["payload"]) for row in defined)
    return {event.instrument.symbol: event.instrument for event in events if isinstance(event, InstrumentDefined)}


def _position(row: Named, made: Instrument | None) -> PositionView:
    qty, cost = Qty(row["qty"]), Money(row["cost"])
    average = None
    if qty and made is not None:
        average = Price(ratio(cost, EXACT.multiply(qty, made.multiplier), min(AVERAGE_DIGITS, made.price_digits + 2)))
    return PositionView(
        broker=row["broker"],
        account=row["account"],
        symbol=row["symbol"],
        qty=qty,
        avg_price=average,
        mark_stale=bool(qty),
        realised=Money(row["realised"]),
        unrealised=None if qty else Money(0),
        fees=Money(row["fees"]),
        currency=row["currency"],
    )


def _halt(home: Home, changed: tuple[int, Any] | None) -> HaltView:
    """What the latch holds, and who tripped it as far as the journal knows."""
    asked = sentinel(home.root)
    state = ev.TradingState.HALTED
    scopes: tuple[tuple[str, str], ...] = ()
    if home.latch.exists():
        latch = Latch.attach(home.latch)
        try:
            state = latch.read()
            held = [one for one in latch.entries() if one.state is not ev.TradingState.ACTIVE]
            scopes = tuple((f"{one.kind.value}:{one.name}", one.state.value) for one in held)
        finally:
            latch.close()
    if asked is not None:
        return HaltView(state="halted", who=asked.who, why=asked.why, code=asked.code, ts_ns=asked.ts_ns, scopes=scopes)
    if state is ev.TradingState.ACTIVE and not scopes:
        return HaltView(state="active")
    found = changed[1] if changed is not None else None
    if not isinstance(found, ev.TradingStateChanged) or found.state is ev.TradingState.ACTIVE:
        notes = read_notes(home.root)
        if not notes:
            return HaltView(state=state.value, why="tripped in the latch, not journaled yet", scopes=scopes)
        note = notes[-1][1]
        return HaltView(state=state.value, who=note.who, why=note.why, code=note.code, ts_ns=note.ts_ns, scopes=scopes)
    return HaltView(
        state=state.value,
        who=found.who,
        why=found.why,
        code=found.code,
        ts_ns=changed[0] if changed is not None else 0,
        scopes=scopes,
    )


def _distinct(accounts: list[Named]) -> list[Named]:
    return list({(row["broker"], row["account"]): row for row in accounts}.values())


def _age(seconds: int) -> str:
    for size, word in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {word}"
    return f"{seconds} s"
