"""The blocking client of the engine's socket, for commands and scripts.

An answer that does not come is not a refusal: from the moment the first byte of a request has left, a broken line or a
passed deadline is :class:`OutcomeUnknown`, and nothing here sends a request twice. To learn what became of an order,
ask again with the same intent id: the engine reports and does not resend.
"""

from __future__ import annotations

import socket
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import msgspec

from bolt_tui.frames import (
    EVENTS_MAX,
    FRAME_BYTES_MAX,
    PROTOCOL,
    Error,
    Events,
    EventsAsk,
    Frame,
    FrameError,
    Hello,
    Request,
    Result,
    ServerFrame,
    Snapshot,
    Subscribe,
    Unpacker,
    Update,
    pack,
    read_server,
)
from engine.domain.clock import NS_PER_S, Clock, SystemClock
from engine.domain.commands import AnyCommand, CommandResult
from engine.domain.errors import BoltError, InputError
from engine.domain.events import AnyEvent, decoder
from engine.views import SCHEMA, BarView, BookView, DeskUpdate, DeskView, FillView, OrderView, PositionView, QuoteView

DEADLINE_S = 5.0
ORDERS_KEPT = 500
FILLS_KEPT = 500
LOG_KEPT = 500
BARS_KEPT = 6_000
COSTS_KEPT = 600
_LOOK_UP_S = 1.0
_READ_BYTES = 256 * 1024

_VIEWS: msgspec.json.Decoder[DeskView] = decoder(DeskView)
_UPDATES: msgspec.json.Decoder[DeskUpdate] = decoder(DeskUpdate)


class ClientError(BoltError):
    """The engine could not be asked."""


class NoEngine(ClientError):
    """Nothing listens, or it let nobody in. Nothing was sent."""


class OutcomeUnknown(ClientError):
    """The request left and no answer came. It may or may not have been done."""


class EngineRefused(ClientError):
    """The engine answered with an error frame instead of a result. ``code`` is the frame's."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class EngineClient:
    """One connection. Use it as a context manager, from one thread.

    Args:
        path: the engine's socket.
        deadline_s: how long any one answer may take.
    """

    def __init__(self, path: Path, deadline_s: float = DEADLINE_S, clock: Clock | None = None) -> None:
        self._path = path
        self._deadline_s = deadline_s
        self._clock = clock or SystemClock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._unpacker = Unpacker(FRAME_BYTES_MAX)
        self._frames: Iterator[bytes] = iter(())
        self._sent = 0
        self._received = 0
        self.hello: Hello | None = None

    def __enter__(self) -> Self:
        """Connect; raises NoEngine."""
        try:
            self.connect()
        except ClientError:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        """Let go."""
        self.close()

    def connect(self) -> None:
        """Connect and read the engine's hello; raises NoEngine."""
        try:
            self._socket.settimeout(self._deadline_s)
            self._socket.connect(str(self._path))
            frame = self._receive(self._until())
        except (OSError, FrameError) as error:
            is_there = not isinstance(error, FileNotFoundError | ConnectionRefusedError)
            why = str(error) if is_there else "none runs there"
            todo = "`bolt doctor` looks closer" if is_there else "start one with `bolt` or `bolt headless`"
            msg = f"no engine answers on {self._path}: {why}; {todo}"
            raise NoEngine(msg) from error
        if not isinstance(frame, Hello):
            msg = f"what listens on {self._path} is no Bolt engine"
            raise NoEngine(msg)
        if (frame.protocol, frame.schema) != (PROTOCOL, SCHEMA):
            msg = (
                f"the engine (Bolt {frame.version}) speaks protocol {frame.protocol}, schema {frame.schema}; this Bolt speaks "
                f"{PROTOCOL} and {SCHEMA}. End it with a `bolt stop` of its own version"
            )
            raise NoEngine(msg)
        self.hello = frame

    def close(self) -> None:
        """Let go; the engine goes on."""
        self._socket.close()

    def submit(self, command: AnyCommand) -> CommandResult:
        """Send one command, once.

        Raises:
            OutcomeUnknown: it left, and no answer came in time.
            EngineRefused: the engine did not take it (``code`` says why).
        """
        number = self._sent + 1
        until = self._until()
        try:
            self._send(Request(seq=0, id=number, command=command), until)
            while True:
                frame = self._receive(until)
                if isinstance(frame, Result) and frame.id == number:
                    return frame.result
                if isinstance(frame, Error) and frame.code == "ENGINE_FAULT":
                    msg = f"the engine failed while it handled this: {frame.text}"
                    raise OutcomeUnknown(msg)
                if isinstance(frame, Error):
                    raise EngineRefused(frame.code, frame.text)
        except (OSError, FrameError) as error:
            msg = f"no answer from the engine on {self._path} ({error}); the outcome is UNKNOWN"
            raise OutcomeUnknown(msg) from error

    def view(self) -> DeskView:
        """The picture sent at connection; raises ClientError where none comes."""
        return show(None, self._wait(Snapshot, 0))

    def watch(self, view: DeskView, hz: int = 10) -> Iterator[DeskView]:
        """Pictures from ``view`` on, as they change; ends with ClientError when the engine goes."""
        self._ask(Subscribe(seq=0, hz=hz))
        while True:
            view = show(view, self._wait((Snapshot, Update), 0))
            yield view

    def events(self, from_seq: int = 1, limit: int = EVENTS_MAX) -> Iterator[tuple[int, int, AnyEvent]]:
        """Journaled events from ``from_seq`` on, up to ``limit`` of them, asked for in pieces."""
        left = limit
        while left > 0:
            number = self._ask(EventsAsk(seq=0, id=self._sent + 1, from_seq=from_seq, limit=min(left, EVENTS_MAX)))
            found = self._wait(Events, number).events
            yield from found
            if not found:
                return
            left -= len(found)
            from_seq = found[-1][0] + 1

    def follow(self, from_seq: int) -> Iterator[tuple[int, int, AnyEvent]]:
        """Journaled events from ``from_seq`` on, and further ones as they happen, for ever."""
        number = self._ask(EventsAsk(seq=0, id=self._sent + 1, from_seq=from_seq, follow=True))
        while True:
            yield from self._wait(Events, number, for_ever=True).events

    def wait_closed(self, deadline_s: float) -> bool:
        """Wait until the engine closes the line; False where it does not within the deadline."""
        until = self._clock.monotonic_ns() + int(deadline_s * NS_PER_S)
        try:
            while True:
                self._receive(until)
        except TimeoutError:
            return False
        except (OSError, FrameError):
            return True

    # -- the line --------------------------------------------------------------------------------------------------

    def _ask(self, frame: Frame) -> int:
        try:
            self._send(frame, self._until())
        except OSError as error:
            msg = f"the engine on {self._path} went away ({error})"
            raise NoEngine(msg) from error
        return self._sent

    def _wait(self, kind: Any, number: int, *, for_ever: bool = False) -> Any:
        until = None if for_ever else self._until()
        try:
            while True:
                frame = self._receive(until)
                if isinstance(frame, kind) and getattr(frame, "id", 0) == number:
                    return frame
                if isinstance(frame, Error):
                    raise EngineRefused(frame.code, frame.text)
        except (OSError, FrameError) as error:
            msg = f"the engine on {self._path} does not answer ({error})"
            raise NoEngine(msg) from error

    def _until(self) -> int:
        return self._clock.monotonic_ns() + int(self._deadline_s * NS_PER_S)

    def _send(self, frame: Frame, until: int) -> None:
        self._sent += 1
        self._set_timeout(until)
        self._socket.sendall(pack(msgspec.structs.replace(frame, seq=self._sent)))

    def _receive(self, until: int | None) -> ServerFrame:
        while True:
            for body in self._frames:
                frame = read_server(body)
                self._received += 1
                if frame.seq != self._received:
                    msg = f"frame number {frame.seq} came where {self._received} was expected"
                    raise FrameError(msg)
                return frame
            self._set_timeout(until)
            try:
                data = self._socket.recv(_READ_BYTES)
            except TimeoutError:
                if until is None:
                    continue
                raise
            if not data:
                msg = "the engine closed the line"
                raise ConnectionError(msg)
            self._frames = self._unpacker.feed(data)

    def _set_timeout(self, until: int | None) -> None:
        if until is None:
            # Not for ever at once: a ^C that comes just before the call would be seen only when the next frame comes.
            self._socket.settimeout(_LOOK_UP_S)
            return
        left_s = (until - self._clock.monotonic_ns()) / NS_PER_S
        if left_s <= 0:
            msg = f"nothing within {self._deadline_s:g} s"
            raise TimeoutError(msg)
        self._socket.settimeout(left_s)


# -- pictures ------------------------------------------------------------------------------------------------------------


def show(view: DeskView | None, frame: Snapshot | Update) -> DeskView:
    """The picture after a frame; raises FrameError where the frame holds none, or changes a picture that is not there."""
    try:
        if isinstance(frame, Snapshot):
            return _VIEWS.decode(frame.body)
        if view is not None:
            return merge(view, _UPDATES.decode(frame.body))
    except (msgspec.DecodeError, ValueError, InputError) as error:
        msg = f"a picture cannot be read: {error}"
        raise FrameError(msg) from error
    msg = "an update came before the first picture"
    raise FrameError(msg)


def merge(view: DeskView, update: DeskUpdate) -> DeskView:
    """The picture after an update: whole rows replace rows of the same key, lines and fills are appended, all bounded."""
    return msgspec.structs.replace(
        view,
        status=update.status or view.status,
        orders=_merge_orders(view.orders, update.orders),
        positions=_merge_rows(view.positions, update.positions, _position_key),
        quotes=_merge_rows(view.quotes, update.quotes, _quote_key),
        books=_merge_rows(view.books, update.books, _quote_key),
        log=(*view.log, *update.log)[-LOG_KEPT:],
        fills=_merge_rows(view.fills, update.fills, _fill_key)[-FILLS_KEPT:],
        bars=_merge_bars(view.bars, update.bars),
        limits=view.limits if update.limits is None else update.limits,
        baskets=view.baskets if update.baskets is None else update.baskets,
        exposures=view.exposures if update.exposures is None else update.exposures,
        costs=_merge_rows(view.costs, update.costs, lambda row: row.order_id)[-COSTS_KEPT:],
    )


def _merge_orders(rows: tuple[OrderView, ...], changed: tuple[OrderView, ...]) -> tuple[OrderView, ...]:
    merged = _merge_rows(rows, changed, lambda row: row.order_id)
    surplus = len(merged) - ORDERS_KEPT
    if surplus <= 0:
        return merged
    # The oldest finished ones go; an open order is never dropped from the picture.
    gone = [row.order_id for row in sorted(merged, key=lambda row: row.updated_ns) if row.state.is_terminal][:surplus]
    dropped = dict.fromkeys(gone)
    return tuple(row for row in merged if row.order_id not in dropped)


def _merge_bars(rows: tuple[BarView, ...], changed: tuple[BarView, ...]) -> tuple[BarView, ...]:
    """Rows in order of their minute: only the last ones can change, and the oldest go."""
    if not changed:
        return rows
    at = bisect_left(rows, min(row.ts_ns for row in changed), key=lambda row: row.ts_ns)
    tail = _merge_rows(rows[at:], changed, lambda row: (row.symbol, row.ts_ns))
    return (*rows[:at], *sorted(tail, key=lambda row: row.ts_ns))[-BARS_KEPT:]


def _merge_rows(rows: tuple[Any, ...], changed: tuple[Any, ...], key: Any) -> tuple[Any, ...]:
    if not changed:
        return rows
    merged = {key(row): row for row in rows}
    merged.update((key(row), row) for row in changed)
    return tuple(merged.values())


def _position_key(row: PositionView) -> tuple[str, str, str]:
    return (row.broker, row.account, row.symbol)


def _quote_key(row: QuoteView | BookView) -> tuple[str, str]:
    return (row.symbol, row.venue)


def _fill_key(row: FillView) -> tuple[int, str]:
    return (row.seq, row.fill_key)
