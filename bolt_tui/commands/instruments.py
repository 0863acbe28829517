"""`bolt find`, `bolt roll` and `bolt sessions`: what there is under which name, which contracts end soon, and when what is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bolt_tui.commands.exits import Exit
from bolt_tui.instruments import registry_in

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context
    from engine.domain.instrument import Instrument
    from engine.market.calendar import Calendar
    from engine.market.registry import Entry, Registry
    from engine.views import PositionView

HEADERS = ("SYMBOL", "KIND", "VENUE", "CCY", "TICK", "EXPIRY", "STATE", "NAME")
TICK_SHOWN = 24
"""Characters of a tick table in a list; JSON and a single find have all of it."""
DAYS_MAX = 400
ROLL_HEADERS = ("CONTRACT", "POSITION", "EXPIRY", "ROLL", "STATE", "INTO", "DO")


def find(context: Context) -> Exit:
    """Instruments that match all words."""
    registry, _ = _known(context)
    now_ns = _moment(context.args.on)
    found = registry.find(context.args.words, now_ns, broker=context.args.broker)
    if context.args.kind:
        found = [one for one in found if one.terms.kind == context.args.kind]
    context.out.object(
        "instruments", {"on_ns": now_ns, "instruments": [_fields(registry, one, now_ns) for one in found]}
    )
    context.out.table(HEADERS, [_row(registry, one, now_ns) for one in found])
    for line in _details(registry, found[0], now_ns) if len(found) == 1 else ():
        context.out.line(line)
    if not found:
        said = " ".join(context.args.words)
        context.out.say(
            f"bolt: nothing matches {said!r} on {_day(now_ns)}; one word fewer finds more, `bolt find` alone lists all"
        )
        return Exit.REFUSED
    return Exit.OK


def roll(context: Context) -> Exit:
    """Contracts of a family, or those in which there is a position, and what to do about them."""
    registry, positions = _known(context)
    now_ns = _moment(context.args.on)
    wanted = [word.upper() for word in context.args.families]
    held = {row.symbol: row for row in positions if row.qty}
    rows = []
    for entry in registry:
        is_named = entry.family in wanted or entry.symbol in wanted
        if entry.family and (is_named or (not wanted and entry.symbol in held)):
            rows.append(_roll_fields(registry, entry, held.get(entry.symbol), now_ns))
    rows.sort(key=lambda row: (row["family"], row["expiry_ns"], row["symbol"]))
    context.out.object("rolls", {"on_ns": now_ns, "contracts": rows})
    context.out.table(ROLL_HEADERS, [_roll_row(row) for row in rows], ("POSITION",))
    if not rows:
        context.out.say(
            "bolt: no contract of that family is known; `families:` in instruments/*.yaml of the state folder holds them"
            if wanted
            else "bolt: there is no position in a contract of a known family; name a family to see its contracts"
        )
        return Exit.REFUSED if wanted else Exit.OK
    return Exit.INCOMPLETE if any(row["do"] and row["qty"] for row in rows) else Exit.OK


def sessions(context: Context) -> Exit:
    """Sessions of a calendar from a day on."""
    from bolt_tui.settings import Home, home_path
    from engine.domain.clock import iso
    from engine.domain.errors import SettingsError
    from engine.market.calendar import ALWAYS, DAY_NS
    from engine.market.own_sessions import load_sessions

    args = context.args
    if not 1 <= args.days <= DAYS_MAX:
        raise SettingsError(f"--days was {args.days}; expected 1 to {DAYS_MAX}")
    at_ns = _moment(args.on)
    home = Home(home_path())
    calendar = load_sessions(args.calendar, home.calendars, at_ns, at_ns + args.days * DAY_NS, home.own_sessions)
    edge_ns = at_ns
    rows: list[dict[str, Any]] = []
    while len(rows) < args.days and calendar.covers(edge_ns):
        opens_ns, closes_ns = calendar.session(edge_ns)
        pauses = [] if args.calendar == ALWAYS else _pauses(calendar, opens_ns, closes_ns)
        rows.append(
            {"day": calendar.trading_day(edge_ns), "opens_ns": opens_ns, "closes_ns": closes_ns, "pauses_ns": pauses}
        )
        edge_ns = closes_ns
    is_open = calendar.is_open(at_ns) if calendar.covers(at_ns) else None
    context.out.object("sessions", {"calendar": args.calendar, "on_ns": at_ns, "is_open": is_open, "sessions": rows})
    shown = [
        (
            row["day"],
            f"{iso(row['opens_ns'])[:16]}Z",
            f"{iso(row['closes_ns'])[:16]}Z",
            ", ".join(f"{iso(start)[11:16]}-{iso(end)[11:16]}" for start, end in row["pauses_ns"]),
        )
        for row in rows
    ]
    context.out.table(("DAY", "OPENS", "CLOSES", "PAUSES"), shown)
    if len(rows) < args.days:
        context.out.say(
            f"bolt: calendar {args.calendar} is known to {_day(edge_ns)} only: {len(rows)} of {args.days} sessions; a newer "
            "exchange-calendars may know more, and hours and holidays of your own go into sessions.yaml"
            if rows
            else f"bolt: calendar {args.calendar} knows no session on {_day(at_ns)} or later"
        )
    return Exit.OK if rows else Exit.REFUSED


def _pauses(calendar: Calendar, opens_ns: int, closes_ns: int) -> list[tuple[int, int]]:
    """Breaks inside a session."""
    found = []
    edge_ns = calendar.next_change(opens_ns)
    while edge_ns is not None and edge_ns < closes_ns:
        again_ns = calendar.next_change(edge_ns)
        if again_ns is None:
            break
        found.append((edge_ns, again_ns))
        edge_ns = calendar.next_change(again_ns)
    return found


def _known(context: Context) -> tuple[Registry, tuple[PositionView, ...]]:
    """The registry with what the broker lists, and positions: the engine's, else the ledger's, else none."""
    from bolt_tui.client import NoEngine
    from bolt_tui.settings import Home, home_path
    from bolt_tui.stored import open_stored
    from brokers.paper.listings import LISTINGS

    listed: tuple[Instrument, ...] = ()
    positions: tuple[PositionView, ...] = ()
    broker = "paper"
    try:
        with context.client() as client:
            view = client.view()
        listed, positions = view.instruments, view.positions
        broker = view.status.brokers[0].broker if view.status.brokers else broker
    except NoEngine:
        stored = open_stored(context.found) if home_path().exists() else None
        positions = stored.positions() if stored is not None else ()
    registry = registry_in(Home(home_path()).instruments)
    return registry.with_listed(broker, listed or tuple(one.instrument for one in LISTINGS)), positions


def _moment(words: str) -> int:
    """Now, or the day that was asked for.

    Raises:
        SettingsError: it is no day.
    """
    from engine.domain.clock import SystemClock
    from engine.domain.errors import InputError, SettingsError
    from engine.market.days import start_of

    if not words:
        return SystemClock().now_ns()
    try:
        return start_of(words)
    except InputError as error:
        raise SettingsError(f"--on was {words!r}: {error}") from None


def _day(ts_ns: int | None) -> str:
    from engine.domain.clock import iso

    return "" if ts_ns is None else iso(ts_ns)[:10]


def _fields(registry: Registry, entry: Entry, now_ns: int) -> dict[str, Any]:
    terms, place = entry.terms, registry.place_of(entry, now_ns)
    return {
        "symbol": entry.symbol,
        "name": entry.name,
        "kind": terms.kind,
        "venue": terms.mic,
        "currency": terms.ccy,
        "tick": terms.tick,
        "lot": terms.lot,
        "multiplier": terms.mult,
        "calendar": terms.calendar,
        "adv": terms.adv,
        "sector": entry.sector,
        "family": entry.family,
        "expiry_ns": entry.expiry_ns,
        "roll_ns": entry.roll_ns,
        "state": place.state,
        "into": place.into,
        "aliases": dict(entry.aliases),
        "was": [{"old": rename.old, "from_ns": rename.from_ns} for rename in entry.was],
        "listed": list(entry.listed),
        "refused": entry.refusal,
        "place": entry.place,
    }


def _row(registry: Registry, entry: Entry, now_ns: int) -> tuple[str, ...]:
    terms = entry.terms
    tick = terms.tick if len(terms.tick) <= TICK_SHOWN else f"{terms.tick[: TICK_SHOWN - 3]}..."
    states = [registry.place_of(entry, now_ns).state, "" if entry.listed else "not listed"]
    state = "refused" if entry.refusal else ", ".join(word for word in states if word)
    return (entry.symbol, terms.kind, terms.mic, terms.ccy, tick, _day(entry.expiry_ns), state, entry.name)


def _details(registry: Registry, entry: Entry, now_ns: int) -> list[str]:
    """What a list has no room for."""
    terms, place = entry.terms, registry.place_of(entry, now_ns)
    lines = [f"  {entry.refusal}"] if entry.refusal else []
    if terms.tick:
        lines.append(
            f"  tick {terms.tick}, lot {terms.lot or '1'}, multiplier {terms.mult or '1'}, calendar {terms.calendar or '24x7'}"
        )
    lines += [f"  {broker} calls it {alias}" for broker, alias in entry.aliases]
    lines += [f"  called {rename.old} until {_day(rename.from_ns - 1)}" for rename in entry.was]
    if entry.expiry_ns is not None:
        into = f" into {place.into}" if place.into else ""
        rolled = f", rolled on {_day(entry.roll_ns)}{into}" if entry.roll_ns is not None else ""
        lines.append(f"  its last day is {_day(entry.expiry_ns - 1)}{rolled}")
    lines.append(f"  from {entry.place}" + (f", listed by {', '.join(entry.listed)}" if entry.listed else ""))
    return lines


def _roll_fields(registry: Registry, entry: Entry, held: PositionView | None, now_ns: int) -> dict[str, Any]:
    place = registry.place_of(entry, now_ns)
    qty = str(held.qty) if held is not None else ""
    return {
        "symbol": entry.symbol,
        "family": entry.family,
        "qty": qty,
        "expiry_ns": entry.expiry_ns,
        "roll_ns": entry.roll_ns,
        "state": place.state,
        "into": place.into,
        "do": _suggestion(entry, place.state, place.into, held),
    }


def _suggestion(entry: Entry, state: str, into: str, held: PositionView | None) -> str:
    """Two order lines for a person to place: they are two orders, and between them the position is open or doubled."""
    if held is None or state not in {"roll", "expired"}:
        return ""
    if state == "expired":
        return "expired with a position: compare with the broker (`bolt reconcile`)"
    size, is_long = abs(held.qty), held.qty > 0
    out, back = ("s", "b") if is_long else ("b", "s")
    close = f"{out} {size} {entry.symbol} @mkt reduce"
    return f"{close}; {back} {size} {into} @mkt" if into else f"{close}; no later contract is known"


def _roll_row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["symbol"],
        row["qty"] or "-",
        _day(row["expiry_ns"]),
        _day(row["roll_ns"]),
        row["state"],
        row["into"],
        row["do"],
    )
