"""A halt on the engine's side: what is done first."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine.domain import commands as co
from engine.domain.order import Source, SourceKind
from tests.core.lab import Lab


def test_the_procedure_begins_before_a_thousand_sources_are_stopped(tmp_path: Path) -> None:
    """To stop them takes longer than to begin to cancel, and behind the shut gate they can send nothing."""
    lab = Lab(tmp_path)
    lab.connect()
    lab.buy(100, "189.00")
    begun: list[int] = []
    engine = lab.engine
    engine.parts = msgspec.structs.replace(
        engine.parts, halter=lambda command, halt_id: begun.append(lab.journal.head_seq)
    )
    engine.submit(co.Halt(source=Source(SourceKind.CLI, "anna"), why="smoke"))
    lab.settle()
    seqs = {row.kind: row.seq for row in lab.journal.read()}
    assert begun == [seqs["trading_state"]], "who and why are written down first, and nothing else"
    assert seqs["parent_stopping"] > begun[0]
