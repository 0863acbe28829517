"""The venue's own memory: what it must know again after it was killed, one checked line for each change.

The first line is a whole state, each later one what changed since. A line is on disk before any frame that tells of it
leaves, so nothing a client was told is ever forgotten. On opening the lines are folded into one state and written as the
first line of a new file, which also bounds the file over restarts; :meth:`VenueLog.is_long` asks for the same while it runs.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import msgspec

from brokers.paper.accounts import Account
from brokers.paper.bands import BandState
from brokers.paper.config import Counters, VenueState
from brokers.paper.flights import Flight
from brokers.paper.market import Levels
from brokers.paper.orders import Working
from brokers.paper.tallies import Tally
from engine.domain.errors import StoreCorrupt
from engine.domain.events import Fill, decoder, encode
from engine.domain.movements import Movement
from engine.oms.broker_interface import VenueOrder

SCHEMA = 1
LINES_BYTES_MAX = 32 * 1024 * 1024
"""Longer than this, changes are folded into a new first line."""


class Memory(msgspec.Struct, frozen=True, kw_only=True, tag="memory"):
    """The whole: orders and accounts, and where the market stood."""

    schema: int
    venue: VenueState
    levels: Levels


class Change(msgspec.Struct, frozen=True, kw_only=True, tag="change", omit_defaults=True):
    """What became different: each order and account as it is now, and what was added."""

    now_ns: int
    numbered: int
    random: int
    counters: Counters
    levels: Levels
    orders: tuple[Working, ...] = ()
    refused: tuple[tuple[str, VenueOrder], ...] = ()
    fills: tuple[Fill, ...] = ()
    accounts: tuple[Account, ...] = ()
    movements: tuple[Movement, ...] = ()
    taken: tuple[Flight, ...] = ()
    """Messages on their way: new ones, and those that a mass cancel swept."""
    arrived: tuple[int, ...] = ()
    """Numbers of those that are no longer on their way."""
    bands: BandState | None = None
    """References and pauses, where they changed."""
    paced: tuple[tuple[str, int], ...] = ()
    """Messages that count against a rate limit."""
    tallies: tuple[Tally, ...] = ()
    """Of limits of fixed intervals: those that changed."""


_LINES: msgspec.json.Decoder[Memory | Change] = decoder(Memory | Change)


class VenueLog:
    """One file, one writer (who holds the venue's lock)."""

    def __init__(self, path: Path, lines_bytes_max: int = LINES_BYTES_MAX) -> None:
        self._path = path
        self._bytes_max = lines_bytes_max
        self._file = -1
        self._bytes = 0

    def read(self) -> Memory | None:
        """The state after the last whole line, None where there is no file.

        A cut last line is what a power cut leaves: it was never told to anybody, and is dropped.

        Raises:
            StoreCorrupt: another line does not verify, or was written by another schema.
        """
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return None
        found = []
        for number, line in enumerate(lines[:-1], 1):
            made = _parse(line)
            if made is None:
                if number == len(lines) - 1:
                    break
                msg = f"{self._path}:{number} does not verify; move the file away to start with an empty venue"
                raise StoreCorrupt(msg)
            found.append(made)
        if not found:
            return None
        first = found[0]
        if not isinstance(first, Memory) or first.schema != SCHEMA:
            msg = f"{self._path} was written by another schema; this one is {SCHEMA}: move the file away"
            raise StoreCorrupt(msg)
        return _fold(first, [change for change in found[1:] if isinstance(change, Change)])

    def start(self, memory: Memory) -> None:
        """Begin a new file with this state; the old one stays until the new one is on disk."""
        fresh = self._path.with_suffix(".new")
        self.close()
        self._file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._bytes = 0
        self._write(memory)
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._bytes = 0

    def append(self, change: Change) -> None:
        """Put a change on disk; OSError where that fails, and then nothing may be told."""
        self._write(change)

    @property
    def is_long(self) -> bool:
        """Whether :meth:`start` should fold it."""
        return self._bytes > self._bytes_max

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, line: Memory | Change) -> None:
        body = encode(line)
        data = b"%08x %s\n" % (zlib.crc32(body), body)
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        _sync(self._file)
        self._bytes += len(data)


def _sync(file: int) -> None:
    if hasattr(os, "fdatasync"):
        os.fdatasync(file)
    else:
        os.fsync(file)


def _parse(line: bytes) -> Memory | Change | None:
    crc, _, body = line.partition(b" ")
    if crc != b"%08x" % zlib.crc32(body):
        return None
    try:
        return _LINES.decode(body)
    except (msgspec.DecodeError, ValueError):
        return None


def _fold(memory: Memory, changes: list[Change]) -> Memory:
    venue = memory.venue
    orders = {(order.account, order.wire_id): order for order in venue.orders}
    refused = {account: {order.wire_id: order for order in known} for account, known in venue.refused.items()}
    fills = {account: list(known) for account, known in venue.fills.items()}
    accounts = dict(venue.accounts)
    moved = {account: list(known) for account, known in venue.movements.items()}
    flights = {one.number: one for one in venue.flights}
    bands, paced = venue.bands, [*venue.paced]
    tallies = {(one.account, one.at): one for one in venue.tallies}
    for change in changes:
        bands = change.bands or bands
        paced += change.paced
        tallies.update(((one.account, one.at), one) for one in change.tallies)
        flights.update((one.number, one) for one in change.taken)
        for number in change.arrived:
            flights.pop(number, None)
        orders.update(((order.account, order.wire_id), order) for order in change.orders)
        for account, order in change.refused:
            refused.setdefault(account, {})[order.wire_id] = order
        for fill in change.fills:
            fills.setdefault(fill.account, []).append(fill)
        for made in change.movements:
            moved.setdefault(made.account, []).append(made)
        accounts.update((account.name, account) for account in change.accounts)
    last = changes[-1] if changes else None
    return Memory(
        schema=SCHEMA,
        levels=last.levels if last else memory.levels,
        venue=VenueState(
            now_ns=last.now_ns if last else venue.now_ns,
            numbered=last.numbered if last else venue.numbered,
            random=last.random if last else venue.random,
            counters=last.counters if last else venue.counters,
            accounts=accounts,
            orders=tuple(orders.values()),
            refused={account: tuple(known.values()) for account, known in refused.items()},
            fills={account: tuple(known) for account, known in fills.items()},
            movements={account: tuple(known) for account, known in moved.items()},
            flights=tuple(sorted(flights.values(), key=lambda one: (one.due_ns, one.number))),
            bands=bands,
            paced=tuple(paced),
            tallies=tuple(tallies.values()),
        ),
    )
