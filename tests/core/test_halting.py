"""A halt on the engine's side: what is done first."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.domain import commands as co
from engine.domain.order import Source, SourceKind
from tests.core.lab import ME, Lab


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


def receipt(lab: Lab, halt_id: str, *, verified: bool = True) -> None:
    lab.engine.halt_step(halt_id, "receipt_file", {"receipt_path": halt_id, "verified": str(verified).lower()})


def test_the_receipt_of_one_halt_does_not_pass_for_anothers(tmp_path: Path) -> None:
    """`bolt kill` waits for its own: an earlier halt of one symbol ends first, and says nothing about the rest."""
    ids: list[str] = []
    lab = Lab(tmp_path, halter=lambda _command, halt_id: ids.append(halt_id))
    lab.connect()

    def shown() -> tuple[bool, str]:
        halt = lab.engine.view().status.halt
        return halt.done, halt.receipt_path

    lab.submit(co.Halt(source=ME, scope=co.HaltScope(co.HaltScopeKind.SYMBOL, "AAPL"), why="odd"))
    lab.submit(co.Halt(source=ME, why="all"))
    symbol, everything = ids
    lab.engine.halt_step(symbol, "cancel", {"found": "7"})
    receipt(lab, symbol)
    assert shown() == (False, "")
    assert lab.engine.view().status.halt.found == 0
    lab.submit(
        co.Reduce(source=ME, scope=co.HaltScope(co.HaltScopeKind.SYMBOL, "MSFT"), why="what else comes meanwhile")
    )
    assert shown() == (False, "")
    receipt(lab, everything, verified=False)
    assert shown() == (True, everything)
    receipt(lab, symbol)
    assert shown() == (True, everything)
    lab.engine.halt_step("N1", "cancel", {})
    assert shown()[0] is False, "one that began outside the engine's loop, behind it"
    receipt(lab, "N1")
    assert shown() == (True, "N1")


def test_a_narrower_halt_that_ends_first_does_not_end_the_wait_for_everything(tmp_path: Path) -> None:
    """A symbol trips by itself while a halt of everything hangs at a broker: nothing is clean until both are."""
    ids: list[str] = []
    lab = Lab(tmp_path, halter=lambda _command, halt_id: ids.append(halt_id))
    lab.connect()
    lab.submit(co.Halt(source=ME, why="all"))
    lab.engine.halt_step(ids[0], "cancel", {"found": "7", "cancels_confirmed": "3", "unknown": "4"})
    lab.submit(co.Halt(source=ME, scope=co.HaltScope(co.HaltScopeKind.SYMBOL, "AAPL"), why="odd"))
    lab.engine.halt_step(ids[1], "cancel", {"found": "1", "residual": "paper AAPL 5: no price", "unreachable": "ibkr"})
    receipt(lab, ids[1], verified=False)
    halt = lab.engine.view().status.halt
    assert (halt.done, halt.found, halt.unknown) == (False, 7, 4)
    receipt(lab, ids[0])
    halt = lab.engine.view().status.halt
    assert (halt.done, halt.verified, halt.receipt_path) == (True, False, ids[0])
    assert halt.residual == ("paper AAPL 5: no price",)
    assert halt.unreachable == ("ibkr",)


def test_a_procedure_that_ended_with_its_engine_is_not_waited_for(tmp_path: Path) -> None:
    ids: list[str] = []
    lab = Lab(tmp_path, ledger=tmp_path / "ledger.db", halter=lambda _command, halt_id: ids.append(halt_id))
    lab.connect()
    lab.submit(co.Halt(source=ME, why="all"))
    lab.engine.halt_step(ids[0], "cancel", {"found": "7"})
    lab.settle()
    lab.journal.close()
    halt = Lab(tmp_path, ledger=tmp_path / "ledger.db").engine.view().status.halt
    assert (halt.done, halt.verified, halt.found) == (True, False, 7)
    assert "ended while its kill procedure ran" in halt.note


def test_a_halt_key_that_is_pressed_again_does_not_hide_what_the_first_press_did(tmp_path: Path) -> None:
    ids: list[str] = []
    lab = Lab(tmp_path, halter=lambda _command, halt_id: ids.append(halt_id))
    lab.connect()
    for found in ("4", "0"):
        lab.submit(co.Halt(source=ME, why="halt key"))
        counts = {"found": found, "cancels_confirmed": found, "unknown": "0"}
        lab.engine.halt_step(ids[-1], "receipt", counts)
        receipt(lab, ids[-1])
        lab.pass_time(3)
    assert lab.engine.view().status.halt.counts() == "no order was working any more, 4 gone before in this halt"


def test_what_was_shown_of_a_halt_ends_with_it(tmp_path: Path) -> None:
    ids: list[str] = []
    lab = Lab(tmp_path, halter=lambda _command, halt_id: ids.append(halt_id))
    lab.connect()
    lab.submit(co.Halt(source=ME, why="odd"))
    lab.engine.halt_step(ids[0], "cancel", {"found": "7", "cancels_confirmed": "7"})
    receipt(lab, ids[0])
    lab.pass_time(61)
    lab.submit(co.Reconcile(source=ME))
    lab.answer(lab.snapshot())
    assert lab.submit(co.Rearm(source=ME, scope=co.HaltScope(), word="REARM", reason="looked")).ok
    halt = lab.engine.view().status.halt
    assert (halt.state, halt.who, halt.why, halt.found, halt.gone_before) == ("active", "", "", 0, 0)


def test_no_re_arm_while_a_procedure_is_at_work(tmp_path: Path) -> None:
    """One that hangs at a broker would cancel what is sent behind the re-arm."""
    ids: list[str] = []
    lab = Lab(tmp_path, halter=lambda _command, halt_id: ids.append(halt_id))
    lab.connect()
    lab.submit(co.Halt(source=ME, why="odd"))
    lab.pass_time(61)
    lab.submit(co.Reconcile(source=ME))
    lab.answer(lab.snapshot())
    command = co.Rearm(source=ME, scope=co.HaltScope(), word="REARM", reason="looked")
    assert lab.submit(command).code == "REARM_RUNNING"
    receipt(lab, ids[0], verified=False)
    assert lab.submit(command).ok


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("0", "4 of 4 orders gone at the venue, 0 still open"),
        ("4", "4 of 4 orders gone at the venue, 0 still open"),
    ],
)
def test_what_an_overlapped_procedure_ended_is_told_once(tmp_path: Path, found: str, said: str) -> None:
    ids: list[str] = []
    lab = Lab(tmp_path, halter=lambda _command, halt_id: ids.append(halt_id))
    lab.connect()
    for why in ("LATCH", "halt key"):
        lab.submit(co.Halt(source=ME, why=why))
    for halt_id, count in zip(ids, ("4", found), strict=True):
        lab.engine.halt_step(halt_id, "receipt", {"found": count, "cancels_confirmed": count, "unknown": "0"})
        receipt(lab, halt_id)
    assert lab.engine.view().status.halt.counts() == said


@pytest.mark.parametrize(
    ("found", "flatten", "said", "told"),
    [
        ("0", False, "2 of 2 orders gone at the venue, 0 still open", 0),
        ("1", False, "1 of 1 order gone at the venue, 0 still open, 2 gone before in this halt", 1),
        ("0", True, "no order was working any more, 2 gone before in this halt", 1),
    ],
)
def test_one_press_that_runs_two_procedures_names_the_receipt_of_the_one_that_found_the_orders(
    tmp_path: Path, found: str, flatten: bool, said: str, told: int
) -> None:
    """The engine saw the latch that the key shut, and was done before the key's own word came."""
    ids: list[str] = []
    lab = Lab(tmp_path, halter=lambda _command, halt_id: ids.append(halt_id))
    lab.connect()
    lab.latch.trip(co.HaltScope())
    lab.pass_time(0.1)
    lab.engine.halt_step(ids[0], "receipt", {"found": "2", "cancels_confirmed": "2", "unknown": "0"})
    receipt(lab, ids[0])
    lab.submit(co.Halt(source=ME, why="halt key", flatten=flatten))
    assert not lab.engine.view().status.halt.done, "what is asked again is done again, and waited for"
    lab.engine.halt_step(ids[1], "receipt", {"found": found, "cancels_confirmed": found, "unknown": "0"})
    receipt(lab, ids[1])
    halt = lab.engine.view().status.halt
    assert (halt.done, halt.counts(), halt.receipt_path) == (True, said, ids[told])
    assert (halt.who, halt.why) == ("anna", "halt key")
    lab.pass_time(3)
    lab.submit(co.Halt(source=ME, why="halt key"))
    receipt(lab, ids[2])
    gone = f"no order was working any more, {2 + int(found)} gone before in this halt"
    assert lab.engine.view().status.halt.counts() == gone
