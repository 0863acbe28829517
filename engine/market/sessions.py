"""The session calendars an engine goes by: asked by name, loaded beside it, extended in time.

What is not known is None, never open and never closed: the gate then denies with the reason that :meth:`Sessions.words` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from engine.domain.clock import NS_PER_S, iso
from engine.market.calendar import ALWAYS, DAY_NS, AlwaysOpen, Calendar

RENEW_NS = 60 * DAY_NS
"""So long before its last session a calendar is loaded anew."""
RETRY_NS = 300 * NS_PER_S
"""How long after a load that failed, or brought nothing later, it is tried again."""

Load = Callable[[str, int], None]
"""Begins to load a calendar around a time, and returns at once; :meth:`Sessions.put` or :meth:`Sessions.fail` follows."""


class Sessions:
    """Calendars by name. ``24x7`` is always there; :meth:`want` says which others are needed.

    Args:
        tables: calendars that are loaded already, by the name they are asked for.
        load: how others are loaded; where it is None they stay unknown.
    """

    def __init__(self, tables: Mapping[str, Calendar] | None = None, load: Load | None = None) -> None:
        self._tables: dict[str, Calendar] = {ALWAYS: AlwaysOpen(), **(tables or {})}
        self._load = load
        self._wanted: dict[str, int] = {}
        """Name to the time from which on it may be asked for again."""
        self._faults: dict[str, str] = {}

    # -- loading -------------------------------------------------------------------------------------------------------

    def want(self, names: Iterable[str], now_ns: int) -> None:
        """These calendars are needed from now on."""
        for name in names:
            if name != ALWAYS and name not in self._wanted:
                self._wanted[name] = 0
        self.renew(now_ns)

    def renew(self, now_ns: int) -> None:
        """Ask for every wanted calendar that is missing or ends soon. Cheap; call it now and then."""
        if self._load is None:
            return
        for name, from_ns in self._wanted.items():
            table = self._tables.get(name)
            if now_ns >= from_ns and (table is None or not table.covers(now_ns + RENEW_NS)):
                self._wanted[name] = now_ns + RETRY_NS
                self._load(name, now_ns)

    def put(self, name: str, calendar: Calendar) -> None:
        """A calendar was loaded."""
        self._tables[name] = calendar
        self._faults.pop(name, None)

    def fail(self, name: str, why: str) -> None:
        """A calendar could not be loaded; what is known of it stays."""
        self._faults[name] = why

    # -- reading -------------------------------------------------------------------------------------------------------

    def is_open(self, name: str, ts_ns: int) -> bool | None:
        """Whether a venue is in session; None where that is not known."""
        table = self._tables.get(name)
        return table.is_open(ts_ns) if table is not None and table.covers(ts_ns) else None

    def table(self, name: str, ts_ns: int) -> Calendar | None:
        """The calendar of that name; None where it is not loaded or knows nothing of that time."""
        table = self._tables.get(name)
        return table if table is not None and table.covers(ts_ns) else None

    def close_ns(self, name: str, ts_ns: int) -> int | None:
        """When the session ends that runs at a time, or the next one; None where it never does or is not known."""
        table = self._tables.get(name)
        if table is None or not table.covers(ts_ns) or table.next_change(ts_ns) is None:
            return None
        return table.session(ts_ns)[1]

    def words(self, name: str, ts_ns: int) -> str:
        """Why a venue is not open, for people; empty where it is."""
        table = self._tables.get(name)
        if table is None:
            return self._missing(name)
        if not table.covers(ts_ns):
            first, last = table.session(0)[0], table.session(2**63 - 1)[1]
            fault = self._faults.get(name)
            why = f"; it could not be extended: {fault}" if fault else "; a newer exchange-calendars may know more"
            return f"calendar {name} is known from {_minute(first)} to {_minute(last)} only{why}"
        if table.is_open(ts_ns):
            return ""
        opens_ns = table.next_change(ts_ns)
        return f"calendar {name} opens at {_minute(opens_ns)}" if opens_ns is not None else f"calendar {name} is closed"

    def _missing(self, name: str) -> str:
        fault = self._faults.get(name)
        if fault is not None:
            return f"calendar {name} could not be loaded ({fault}); it is tried again every {RETRY_NS // NS_PER_S} s"
        return (
            f"calendar {name} is being loaded; try again in some seconds"
            if self._load
            else f"calendar {name} is not here"
        )


def _minute(ts_ns: int) -> str:
    return f"{iso(ts_ns)[:16]}Z"
