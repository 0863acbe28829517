"""What the commands say of a ledger file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from engine.domain import events as ev
from engine.domain.ledger_events import TapeAnchored, TapePruned
from engine.market.tape import chunk_fault, is_chunk
from engine.store.head import Head
from engine.store.place import Place
from engine.store.statements import Changed
from engine.store.verify import VerifyReport
from engine.store.verify import verify as verify_store


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A verified ledger, or what is wrong with it."""

    ok: bool
    rows: int
    head_seq: int
    ledger_id: str
    head_hash: str
    findings: tuple[str, ...]
    conservation: tuple[str, ...]
    text: str


class _Tapes:
    """Follows which chunks of a tape the journal names, and which days were removed."""

    def __init__(self) -> None:
        self.chunks: dict[str, str] = {}
        self.days: set[str] = set()

    def apply(self, _seq: int, _ts_ns: int, event: ev.AnyEvent) -> None:
        """Take in an event."""
        if isinstance(event, TapeAnchored) and is_chunk(event.name):
            self.chunks[event.name] = event.sha256
        elif isinstance(event, TapePruned):
            self.days.update(event.days)

    def dirty(self) -> Changed:
        """It has no table."""
        return []

    def forget(self) -> None:
        """It has no table."""

    def faults(self, folder: Path) -> tuple[str, ...]:
        """Chunks that are missing or changed; those that were left out while recording were said then."""
        kept = {name: sha256 for name, sha256 in self.chunks.items() if sha256 and name.split("/")[1] not in self.days}
        found = [chunk_fault(folder, name, sha256) for name, sha256 in kept.items()]
        return tuple(filter(None, found))


def tape_beside(place: Place) -> Path | None:
    """Where the tape of a ledger in a file lies; a ledger on a server has none beside it."""
    return place.parent / "tape" if isinstance(place, Path) else None


def verify(place: Place, head: Head | None, tape: Path | None) -> Proof:
    """Prove a ledger: chain, noted head, projections, the chunks of its tape, and that cash and positions add up to the last unit.

    Without a folder of the tape, as for a copy of the ledger alone, the chunks are not judged, and the text says so.
    """
    from bolt_tui.wiring import projections
    from engine.ledger.ledger import Ledger

    ledger, tapes = Ledger(), _Tapes()

    def make() -> tuple[Any, ...]:
        store, _ = projections()
        return store, ledger, tapes

    found: VerifyReport = verify_store(place, make, head)
    faults = tuple(ledger.conservation_faults()) if found.ok else ()
    torn = tapes.faults(tape) if found.ok and tape is not None else ()
    is_good = found.ok and not faults and not torn
    text = f"{found.ledger_id or 'no ledger id'}: {found.rows} rows, head {found.head_hash[:16]}: "
    text += "every hash, link and projection holds; cash and positions add up" if is_good else "NOT PROVEN"
    if is_good and tapes.chunks:
        beside = "are whole" if tape is not None else "are not with it and were not judged"
        text += f"; {len(tapes.chunks)} chunks of the tape {beside}"
    return Proof(
        ok=is_good,
        rows=found.rows,
        head_seq=found.head_seq,
        ledger_id=found.ledger_id,
        head_hash=found.head_hash,
        findings=(*found.findings, *torn),
        conservation=faults,
        text=text,
    )
