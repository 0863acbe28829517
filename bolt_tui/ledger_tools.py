"""What the commands say of a ledger file."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.store.head import Head
from engine.store.place import Place
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


def verify(place: Place, head: Head | None = None) -> Proof:
    """Prove a ledger: chain, noted head, projections, and that cash and positions add up to the last unit."""
    from bolt_tui.wiring import projections
    from engine.ledger.ledger import Ledger

    ledger = Ledger()

    def make() -> tuple[Any, ...]:
        store, _ = projections()
        return store, ledger

    found: VerifyReport = verify_store(place, make, head)
    faults = tuple(ledger.conservation_faults()) if found.ok else ()
    is_good = found.ok and not faults
    text = f"{found.ledger_id or 'no ledger id'}: {found.rows} rows, head {found.head_hash[:16]}: "
    text += "every hash, link and projection holds; cash and positions add up" if is_good else "NOT PROVEN"
    return Proof(
        ok=is_good,
        rows=found.rows,
        head_seq=found.head_seq,
        ledger_id=found.ledger_id,
        head_hash=found.head_hash,
        findings=found.findings,
        conservation=faults,
        text=text,
    )
