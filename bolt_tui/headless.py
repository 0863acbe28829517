"""The engine without a screen: JSON lines on stdout, words on stderr.

The journal is the buffer: lines are fetched only when the ones before have been written, so that a reader who is slow,
or stops reading, delays no order and costs no memory. Each line carries `schema` and `type`:

* ``status``: the first line, the last one before the end, and one when the ledger takes no writes any more;
* ``event``: a journaled event with its ``seq``, ``ts_ns`` and ``kind``; none is left out;
* ``order`` and ``fill``: a row of the order book as it is now (the newest state, not each one between) and an execution.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import TextIO

from bolt_tui.commands.lists import event_fields
from bolt_tui.commands.show import fields
from bolt_tui.output import json_line
from bolt_tui.server import EngineDoor
from engine.domain.events import AnyEvent, decode_event
from engine.store.place import Place

PERIOD_S = 0.05
EVENTS_PER_TURN = 200
FLUSH_S = 2.0
"""How long the end waits for a reader that does not read."""

Read = Callable[[int, int], list[tuple[int, int, AnyEvent]]]
"""Events from a sequence number on, at most so many."""


def stored_events(ledger: Place) -> Read:
    """Events of a ledger whose engine has let go of it."""
    from engine.store.journal import read_journal

    def read(from_seq: int, limit: int) -> list[tuple[int, int, AnyEvent]]:
        return [(row.seq, row.ts_ns, decode_event(row.payload)) for row in read_journal(ledger, from_seq, limit)]

    return read


class Stream:
    """Writes an engine's lines to a text stream.

    Args:
        door: the engine, asked on its own loop only.
        out: where to.
    """

    def __init__(self, door: EngineDoor, out: TextIO) -> None:
        self.is_broken = False
        """The reader went away; the engine goes on without it."""
        self._door = door
        self._out = out
        self._next_seq = door.view().status.head_seq + 1
        self._cursor = door.cursor()
        self._ledger_error = ""
        self._pieces: queue.Queue[str | None] = queue.Queue(maxsize=1)
        self._writer = threading.Thread(target=self._write, name="bolt-lines", daemon=True)
        self._writer.start()

    async def run(self) -> None:
        """Write lines until cancelled."""
        self._pieces.put(json_line("status", fields(self._door.view().status)))
        while not self.is_broken:
            await asyncio.sleep(PERIOD_S)
            if not self._pieces.full():
                self._offer(self._door.events)

    def close(self, rest: Read) -> None:
        """Write what is left, for at most :data:`FLUSH_S` a piece. The engine has ended: ``rest`` reads its ledger."""
        try:
            while not self.is_broken and self._offer(rest, FLUSH_S):
                pass
            if not self.is_broken:
                self._pieces.put(json_line("status", fields(self._door.view().status)), timeout=FLUSH_S)
                self._pieces.put(None, timeout=FLUSH_S)
        except queue.Full:
            self.is_broken = True
        self._writer.join(FLUSH_S)

    def _offer(self, read: Read, timeout_s: float = 0.0) -> bool:
        """Hand the next piece to the writer; False where there was nothing to say."""
        events = read(self._next_seq, EVENTS_PER_TURN)
        cursor, update = self._door.update_since(self._cursor)
        lines = [json_line("event", event_fields(*found)) for found in events]
        if update.status is not None and update.status.ledger_error != self._ledger_error:
            self._ledger_error = update.status.ledger_error
            lines.append(json_line("status", fields(update.status)))
        lines += [json_line("order", {"order": row}) for row in update.orders]
        lines += [json_line("fill", {"fill": row}) for row in update.fills]
        if lines:
            self._pieces.put("".join(lines), timeout=timeout_s or None)
        self._cursor = cursor
        if events:
            self._next_seq = events[-1][0] + 1
        return bool(lines)

    def _write(self) -> None:
        while (piece := self._pieces.get()) is not None:
            try:
                self._out.write(piece)
                self._out.flush()
            except (OSError, ValueError):
                self.is_broken = True
                return
