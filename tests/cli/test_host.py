"""The engine's process: socket after lock, signals, streams, and a start that waits for the fact."""

import asyncio
import io
import json
import os
import signal
import threading
from pathlib import Path

import pytest

from bolt_tui.client import EngineClient
from bolt_tui.endpoint import is_listening
from bolt_tui.headless import Stream
from bolt_tui.host import EngineThread, serve, signals
from bolt_tui.settings import Home, Settings
from engine.domain.commands import StopEngine
from engine.domain.errors import InvariantError, StoreLocked
from tests.server.fakes import DEADLINE_S, ME, FakeDoor, fill_row, new_order, order_row, until


class FakeLive:
    """An engine that runs until it is asked to stop."""

    def __init__(self) -> None:
        self.door = FakeDoor()
        self.halts: list[tuple[str, str, str]] = []
        self.stops: list[bool] = []
        self.ended = asyncio.Event()
        self.is_recovering = False

    async def run(self) -> None:
        await self.ended.wait()

    def halt_now(self, who: str, why: str, source: str) -> None:
        self.halts.append((who, why, source))

    def request_stop(self, cancel: bool) -> None:
        self.stops.append(cancel)
        self.ended.set()


def test_an_engine_in_a_thread_serves_and_is_stopped_over_its_socket(home: Home) -> None:
    lives: list[FakeLive] = []

    def make(_home: Home, _settings: Settings) -> FakeLive:
        lives.append(FakeLive())
        return lives[-1]

    thread = EngineThread(home, Settings(), make)
    thread.start()
    with EngineClient(home.socket) as client:
        assert client.submit(StopEngine(source=ME, cancel=True)).ok
        assert client.wait_closed(DEADLINE_S)
    assert thread.stop(cancel=False)
    assert lives[0].stops[0] is True
    assert not home.socket.exists()


def test_what_keeps_an_engine_from_starting_is_raised_to_the_starter(home: Home) -> None:
    def make(_home: Home, _settings: Settings) -> FakeLive:
        msg = "another engine holds the ledger"
        raise StoreLocked(msg)

    with pytest.raises(StoreLocked, match="another engine holds"):
        EngineThread(home, Settings(), make).start()
    assert not home.socket.exists(), "the socket of the engine that holds the ledger must not be touched"


def test_an_impossible_state_halts_trading(home: Home) -> None:
    async def main() -> FakeLive:
        live = FakeLive()
        live.door.fails = InvariantError("impossible")
        ready = asyncio.Event()
        serving = asyncio.ensure_future(serve(live, home, ready.set))
        await ready.wait()
        await asyncio.to_thread(_submit_in_vain, home.socket)
        live.request_stop(False)
        await serving
        return live

    assert asyncio.run(main()).halts == [("engine", "impossible", "fault")]


def _submit_in_vain(path: Path) -> None:
    from bolt_tui.client import OutcomeUnknown

    with EngineClient(path) as client, pytest.raises(OutcomeUnknown):
        client.submit(new_order())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_engine_and_leaves_its_orders(home: Home, number: signal.Signals) -> None:
    async def main() -> FakeLive:
        live = FakeLive()
        with signals(live, detached=False):
            await serve(live, home, lambda: os.kill(os.getpid(), number))
        return live

    assert asyncio.run(main()).stops == [False]
    assert not is_listening(home.socket)


def test_a_hang_up_is_ignored_and_sigusr1_halts_a_stuck_loop(home: Home) -> None:
    """The handler must run while a strategy never returns to the loop."""

    async def main() -> FakeLive:
        live = FakeLive()

        def get_stuck() -> None:
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGUSR1)
            until(lambda: bool(live.halts), "the halt, with the loop stuck here")
            live.request_stop(False)

        with signals(live, detached=True):
            await serve(live, home, get_stuck)
        return live

    live = asyncio.run(main())
    assert live.halts == [("signal", "SIGUSR1 was received", "signal")]
    assert live.stops == [False]


# -- headless lines ------------------------------------------------------------------------------------------------------


def test_every_event_is_a_line_and_the_newest_orders_and_fills_too() -> None:
    out = io.StringIO()

    async def main() -> None:
        door = FakeDoor()
        stream = Stream(door, out)
        running = asyncio.ensure_future(stream.run())
        for number in range(1, 501):
            door.put(order_row(number))
        door.fills = (fill_row(1),)
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        stream.close(door.events)

    asyncio.run(main())
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert {line["schema"] for line in lines} == {1}
    assert [line["seq"] for line in lines if line["type"] == "event"] == list(range(1, 501))
    assert len([line for line in lines if line["type"] == "order"]) == 500
    assert (lines[0]["type"], lines[-1]["type"]) == ("status", "status")
    assert lines[-1]["head_seq"] == 500


class StuckReader(io.StringIO):
    """A pipe nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()
        self.stuck = threading.Event()

    def write(self, text: str) -> int:
        self.stuck.set()
        self.release.wait(30)
        return len(text)


def test_a_reader_that_does_not_read_costs_one_piece_and_no_time() -> None:
    out = StuckReader()

    async def main() -> None:
        door = FakeDoor()
        stream = Stream(door, out)
        running = asyncio.ensure_future(stream.run())
        await asyncio.to_thread(out.stuck.wait, 10)
        door.put(order_row(1))
        await asyncio.to_thread(until, stream._pieces.full)
        door.put(order_row(2))
        asked = stream._next_seq
        await asyncio.sleep(0)
        assert stream._next_seq == asked, "nothing more is fetched while the reader holds"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        out.release.set()
        stream.close(door.events)

    asyncio.run(main())


def test_a_reader_that_goes_away_ends_the_lines_only() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    async def main() -> bool:
        door = FakeDoor()
        stream = Stream(door, Gone())
        await asyncio.wait_for(stream.run(), 10)
        stream.close(door.events)
        return stream.is_broken

    assert asyncio.run(main())
