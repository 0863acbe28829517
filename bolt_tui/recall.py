"""Asks the tape for the prices behind fills of before: beside a running engine, or for a desk that looks at the past."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Self

import msgspec

from bolt_tui.tape_middles import Answer, Chunk, Question
from engine.api.markouts import Middles
from engine.domain.errors import BoltError, DataError
from engine.domain.events import ENCODER, decode_event
from engine.domain.ledger_events import TapeAnchored
from engine.market.tape import is_chunk
from engine.store.link import DATABASE_ERRORS, open_reader
from engine.store.place import Place

READ_S = 300.0
"""Longest wait for the answer."""
_LOG = logging.getLogger("bolt.recall")
_ANSWER = msgspec.json.Decoder(Answer)


class Reader:
    """The process that reads the tape, begun with a question. Close it, or use it as a context manager.

    Raises:
        OSError: it cannot be begun.
    """

    def __init__(self, question: Question) -> None:
        # Files and not pipes, so that it never waits for a desk that looks only when it draws.
        self._answer = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this
        with tempfile.TemporaryFile() as asked:
            asked.write(ENCODER.encode(question))
            asked.seek(0)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "bolt_tui.tape_middles"],
                stdin=asked,
                stdout=self._answer,
                stderr=subprocess.DEVNULL,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def wait(self, seconds: float) -> None:
        """Wait for its end, so long at most."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return

    def answer(self) -> Answer | None:
        """What it found; None while it works. Raises DataError where it has failed."""
        code = self._process.poll()
        if code is None:
            return None
        self._answer.seek(0)
        if code:
            raise DataError(f"the tape could not be read behind the fills: its reader ended with code {code}")
        try:
            return _ANSWER.decode(self._answer.read())
        except msgspec.DecodeError as error:
            raise DataError(
                f"the tape could not be read behind the fills: its reader said no whole answer ({error})"
            ) from None

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._answer.close()


def named_chunks(place: Place) -> dict[str, Chunk]:
    """The chunks that a ledger names and that were kept, by name, oldest first."""
    with closing(open_reader(place)) as connection:
        rows = connection.execute(
            "SELECT ts_ns, payload FROM journal WHERE kind = 'tape_anchored' ORDER BY seq"
        ).fetchall()
    events = [(ts_ns, decode_event(payload)) for ts_ns, payload in rows]
    return {
        event.name: Chunk(event.name, event.sha256, ts_ns)
        for ts_ns, event in events
        if isinstance(event, TapeAnchored) and is_chunk(event.name) and event.sha256
    }


def recall_beside(
    place: Place,
    question: Question,
    recovered: list[tuple[str, str]],
    now_ns: int,
    take: Callable[[Mapping[str, Middles]], None],
) -> None:
    """Begin to read the tape for a question and return at once; ``take`` is called from a thread. Its chunks are looked up in the ledger,
    and ``recovered`` are those that it may not name yet. What goes wrong is logged: figures are then missing, and said to be.
    """

    def with_chunks() -> Question:
        chunks = named_chunks(place)
        for name, sha256 in recovered:
            if sha256:
                chunks.setdefault(name, Chunk(name, sha256, now_ns))
        return msgspec.structs.replace(question, chunks=tuple(chunks.values()))

    if question.fills:
        threading.Thread(target=_recall, args=(with_chunks, take), name="bolt-recall", daemon=True).start()


def _recall(ask: Callable[[], Question], take: Callable[[Mapping[str, Middles]], None]) -> None:
    try:
        question = ask()
        with Reader(question) as reader:
            reader.wait(READ_S)
            found = reader.answer()
    except (BoltError, OSError, *DATABASE_ERRORS) as error:
        _LOG.error("prices after the fills of before: %s", error)
        return
    if found is None:
        _LOG.error("prices after the fills of before: the tape was not read within %g s", READ_S)
        return
    for fault in found.faults:
        _LOG.error("prices after the fills of before have a gap: %s", fault)
    _LOG.info("prices after %s of %s fills of before are on the tape", len(found.middles), len(question.fills))
    take(found.middles)
