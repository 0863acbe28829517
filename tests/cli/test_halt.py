"""Halting: the latch first, then the engine, then this process; and the desk's key from any thread."""

import mmap
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bolt_tui.commands.context import read_scope
from bolt_tui.commands.exits import Exit
from bolt_tui.commands.halt import RECORD_S, HaltKey, Outcome, open_latch
from bolt_tui.settings import Home
from engine.domain.commands import CommandResult, Halt, HaltScope, HaltScopeKind, Rearm
from engine.domain.errors import SettingsError
from engine.domain.events import TradingState, encode
from engine.domain.order import SourceKind
from engine.oms.receipt import BrokerReceipt, Receipt
from engine.risk.latch import read_notes
from engine.views import HaltView
from tests.cli.conftest import Ran
from tests.server.fakes import DEADLINE_S, Served, until

Bolt = Callable[..., Ran]


def state(home: Home, *scopes: HaltScope) -> TradingState:
    latch = open_latch(home)
    try:
        return latch.read(scopes)
    finally:
        latch.close()


def halted(receipt: Path, **more: object) -> HaltView:
    receipt.write_bytes(msgspec.json.encode({"found": 2, "cancelled": 2}))
    view = HaltView(state="halted", who="anna", receipt_path=str(receipt))
    return msgspec.structs.replace(view, **more)


def test_the_latch_is_tripped_before_the_engine_is_asked(bolt: Bolt, engine: Served, home: Home) -> None:
    """A gate that waits for an engine to answer is no gate."""
    seen: list[TradingState] = []
    engine.door.on_submit = lambda command: seen.append(state(home))
    engine.door.halt = halted(home.receipts / "h.json")
    ran = bolt("kill", "--why", "test", "--json")
    assert seen == [TradingState.HALTED]
    assert (ran.code, ran.json["by"], ran.json["is_clean"]) == (Exit.OK, "engine", True)
    assert ran.json["receipt"] == {"found": 2, "cancelled": 2}
    (command,) = engine.door.commands
    assert isinstance(command, Halt)
    assert (command.why, command.flatten, command.drill) == ("test", False, False)
    ((_, note),) = read_notes(home.root)
    assert (note.why, note.state) == ("test", TradingState.HALTED)


def test_a_scope_halts_no_more_than_it_names(bolt: Bolt, engine: Served, home: Home) -> None:
    engine.door.halt = halted(home.receipts / "h.json")
    ran = bolt("kill", "--scope", "symbol: aapl ")
    assert "nothing of symbol AAPL works any more" in ran.out
    assert f"receipt: {home.receipts / 'h.json'}" in ran.out
    assert state(home) is TradingState.ACTIVE
    assert state(home, HaltScope(HaltScopeKind.SYMBOL, "AAPL")) is TradingState.HALTED


def test_a_drill_trips_nothing_here(bolt: Bolt, engine: Served, home: Home) -> None:
    engine.door.halt = halted(home.receipts / "h.json")
    assert bolt("kill", "--drill").code == Exit.OK
    assert state(home) is TradingState.ACTIVE


@pytest.mark.parametrize(
    "more", [{"unknown": 1}, {"residual": ("AAPL 100: no price",)}, {"unreachable": ("paper",)}, {"verified": False}]
)
def test_what_is_left_is_not_called_clean(bolt: Bolt, engine: Served, home: Home, more: dict[str, object]) -> None:
    engine.door.halt = halted(home.receipts / "h.json", **more)
    ran = bolt("kill")
    assert ran.code == Exit.INCOMPLETE
    assert "NOT CLEAN" in ran.out


def test_a_halt_that_the_engine_refuses_is_not_called_clean(bolt: Bolt, engine: Served, home: Home) -> None:
    engine.door.answer = CommandResult(ok=False, code="ODD", text="it would not")
    ran = bolt("kill", "--why", "test")
    assert ran.code == Exit.INCOMPLETE
    assert "the engine refused: ODD it would not" in ran.out
    assert state(home) is TradingState.HALTED


def test_the_key_halts_with_a_hung_engine_and_returns_at_once(home: Home) -> None:
    """The engine accepts connections and never answers: the gate must be shut all the same."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as hung:
        hung.bind(str(home.socket))
        hung.listen()
        key = HaltKey(home, lambda home, command, is_durable: Outcome(is_latched=False, by="here", is_clean=True))
        pressed = threading.Thread(target=key.press, args=("anna",))
        pressed.start()
        pressed.join(10)
        assert state(home) is TradingState.HALTED
        key.press("anna")
        until(lambda: key.outcome is not None, "the procedure's end")
        key.close()
    assert key.outcome is not None
    assert key.outcome.by == "here"
    assert key.outcome.is_latched


RECEIPT = Receipt(
    halt_id="K1", who="anna", why="halt key", scope=HaltScope(), drill=False, started_ns=7, ended_ns=8, durable=True,
    flatten=False, steps=(), brokers=(BrokerReceipt(broker="paper", found=2, cancelled=1, survivors=("buy 5 AAPL",)),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("receipt", "said"),
    [
        (RECEIPT, "1 of 2 orders gone at the venue, 1 still open"),
        (None, "the broker did not answer, what works there is NOT KNOWN"),
    ],
)
def test_the_key_shows_the_halt_that_it_ran_without_an_engine(home: Home, receipt: Receipt | None, said: str) -> None:
    made = {} if receipt is None else msgspec.json.decode(encode(receipt))
    ended = Outcome(is_latched=True, by="here", is_clean=False, receipt=made, receipt_path="K1.json" if made else "")
    key = HaltKey(home, lambda home, command, is_durable: ended)
    assert key.halted_here() is None
    key.press("anna")
    until(lambda: key.outcome is not None, "the procedure's end")
    key.close()
    halt = key.halted_here()
    assert halt is not None
    assert (halt.state, halt.done, halt.verified, halt.counts()) == ("halted", True, False, said)
    assert halt.receipt_path == ended.receipt_path
    assert halt.residual == (("paper buy 5 AAPL",) if made else ())
    assert halt.ts_ns == 7 or not made


class Stalled:
    """The shared bytes of a latch whose disk takes nothing for now."""

    def __init__(self, view: mmap.mmap) -> None:
        self.view = view
        self.is_waited_for = False

    def __getitem__(self, at: int | slice) -> int | bytes:
        return self.view[at]

    def __setitem__(self, at: int | slice, value: int | bytes) -> None:
        self.view[at] = value  # type: ignore[index,assignment] # either pair

    def flush(self) -> None:
        self.is_waited_for = True

    def close(self) -> None:
        self.view.close()


def test_the_key_waits_for_no_disk(home: Home) -> None:
    key = HaltKey(home, lambda home, command, is_durable: Outcome(is_latched=False, by="here", is_clean=True))
    view = key._latch._map
    assert view is not None
    stalled = key._latch._map = Stalled(view)  # type: ignore[assignment] # the same bytes
    key.press("anna")
    assert state(home) is TradingState.HALTED
    until(lambda: key.outcome is not None, "the procedure's end")
    key.close()
    assert not stalled.is_waited_for
    assert list(home.trips.glob("*.json")), "the procedure wrote it down"


@pytest.mark.parametrize("is_written", [True, False])
def test_the_key_asks_the_engine_while_the_disk_takes_its_time(engine: Served, home: Home, is_written: bool) -> None:
    """The engine looks at the latch twenty times a second: asked only behind the disk, it had begun a halt of its own by then."""
    asked = threading.Event()
    engine.door.on_submit = lambda command: asked.set()
    engine.door.halt = halted(home.receipts / "h.json")
    key = HaltKey(home, write=lambda home, command: asked.wait(RECORD_S / 2) and is_written)
    key.press("anna")
    until(lambda: key.outcome is not None, "the procedure's end")
    key.close()
    assert asked.is_set()
    assert key.outcome is not None
    assert (key.outcome.by, key.outcome.is_latched) == ("engine", is_written)


def test_each_press_asks_the_engine_also_where_the_disk_never_answers(engine: Served, home: Home) -> None:
    """And no second thread hangs in it."""
    answers = threading.Event()
    writes: list[Halt] = []

    def write(_home: Home, command: Halt) -> bool:
        writes.append(command)
        return answers.wait(DEADLINE_S)

    engine.door.halt = halted(home.receipts / "h.json")
    key = HaltKey(home, write=write, record_s=0.01)

    def has_asked_again() -> bool:
        key.press("anna")
        return len(engine.door.commands) > 1

    until(has_asked_again, "the second question")
    assert len(writes) == 1
    answers.set()
    key.close()


def test_the_key_asks_the_engine_as_the_desk(engine: Served, home: Home) -> None:
    engine.door.halt = halted(home.receipts / "h.json")
    key = HaltKey(home)
    key.press("anna")
    until(lambda: key.outcome is not None, "the procedure's end")
    key.close()
    (command,) = engine.door.commands
    assert (command.source.kind, command.source.name) == (SourceKind.DESK, "anna")
    assert key.outcome is not None
    assert key.outcome.is_clean


def test_a_missing_latch_beside_a_used_ledger_stays_shut(home: Home) -> None:
    home.ledger.write_bytes(b"used")
    assert state(home) is TradingState.HALTED


def test_rearm_needs_the_typed_word(bolt: Bolt, engine: Served) -> None:
    ran = bolt("rearm", "--reason", "checked")
    assert ran.code == Exit.USAGE
    assert engine.door.commands == []
    assert bolt("rearm", "--reason", "checked", "--word", "REARM", "--scope", "symbol:AAPL").code == Exit.OK
    (command,) = engine.door.commands
    assert isinstance(command, Rearm)
    assert command.scope == HaltScope(HaltScopeKind.SYMBOL, "AAPL")


@pytest.mark.parametrize("words", ["", "all", "symbol", "symbol:", "global:x", "Global"])
def test_a_scope_that_is_none_is_refused(words: str) -> None:
    with pytest.raises(SettingsError, match="expected global, account:NAME"):
        read_scope(words)
