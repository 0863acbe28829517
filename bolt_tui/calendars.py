"""Loads session calendars beside an engine: the compiling process takes a second or two, and no order may wait for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bolt_tui.input_tape import CalendarInput, put_calendar
from engine.domain.errors import BoltError
from engine.market.calendar import SessionTable
from engine.market.own_sessions import load_sessions
from engine.market.sessions import Sessions

_LOG = logging.getLogger("bolt.calendars")

Put = Callable[[Callable[[], None]], None]
"""Has something done on the engine's own thread."""


Tell = Callable[[Sessions, CalendarInput], None]
"""Hands a calendar to sessions, by way of the tape."""


def sessions_beside(cache: Path, own: Path, put: Put, tell: Tell = put_calendar) -> Sessions:
    """Sessions whose calendars are loaded on threads of their own and handed over through ``put``; ``own`` is the user's file."""
    made = Sessions(load=lambda name, now_ns: _begin(partial(tell, made), cache, own, put, name, now_ns))
    return made


def _begin(tell: Callable[[CalendarInput], None], cache: Path, own: Path, put: Put, name: str, now_ns: int) -> None:
    threading.Thread(
        target=_load, args=(tell, cache, own, put, name, now_ns), name=f"bolt-calendar-{name}", daemon=True
    ).start()


def _load(tell: Callable[[CalendarInput], None], cache: Path, own: Path, put: Put, name: str, now_ns: int) -> None:
    try:
        table = load_sessions(name, cache, now_ns, now_ns, own)
        assert isinstance(table, SessionTable), "24x7 needs no loading"
    except (BoltError, OSError, ValueError) as error:
        _LOG.error("calendar %s: %s", name, error)
        put(partial(tell, CalendarInput(name, why=str(error))))
    else:
        put(partial(tell, CalendarInput(name, table)))
