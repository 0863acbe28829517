"""Event fan-out: every journaled event reaches each subscriber once, in subscription order, by a direct call.

The order is a promise: the order store first, then the ledger, then everybody who reads them.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.domain.events import AnyEvent

Handler = Callable[[int, int, AnyEvent], None]
"""Called with the journal sequence number, the row's time in nanoseconds, and the event."""


class Bus:
    """An ordered list of handlers."""

    __slots__ = ("_handlers",)

    def __init__(self) -> None:
        self._handlers: list[Handler] = []

    def subscribe(self, handler: Handler) -> None:
        """Add a handler behind those already there."""
        self._handlers.append(handler)

    def publish(self, seq: int, ts_ns: int, event: AnyEvent) -> None:
        """Hand an event to everybody."""
        for handler in self._handlers:
            handler(seq, ts_ns, event)
