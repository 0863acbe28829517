"""The engine's socket: who is served, in which order, and that no client can hurt the engine or another client."""

import os
import socket
import stat
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bolt_tui import endpoint, server
from bolt_tui.client import EngineClient, EngineRefused, NoEngine, OutcomeUnknown
from bolt_tui.frames import FRAME_BYTES_MAX, Request, Subscribe, Unpacker, WhatIfAsk, pack, read_server
from engine.domain.commands import AnyCommand, CancelAll, CommandResult, Halt, Preview, StopEngine
from engine.domain.errors import InvariantError, StoreLocked
from engine.domain.order import OrderState, Source, SourceKind
from tests.server.fakes import DEADLINE_S, ME, FakeDoor, Served, new_order, order_row, serving, until


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "bolt" / "engine.sock") as running:
        yield running


def raw(served: Served) -> socket.socket:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(10)
    line.connect(str(served.path))
    return line


def frames_until_end(line: socket.socket) -> list[object]:
    unpacker = Unpacker(FRAME_BYTES_MAX)
    found: list[object] = []
    while data := line.recv(65536):
        found += [read_server(body) for body in unpacker.feed(data)]
    return found


def test_the_socket_is_the_owners_alone(served: Served) -> None:
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(served.path.parent.stat().st_mode) == 0o700


def test_the_peer_is_known_by_the_kernels_word() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert endpoint.peer_uid(ours) == os.getuid()


@pytest.mark.parametrize(("uid", "is_served"), [(os.getuid() + 1, False), (os.getuid(), True), (0, True), (None, True)])
def test_only_the_engines_own_user_is_served(tmp_path: Path, uid: int | None, is_served: bool) -> None:
    """The kernel's answer is a seam here; a system without one relies on the folder's mode."""
    with serving(tmp_path / "engine.sock", peer_uid=lambda peer: uid) as running:
        if is_served:
            with EngineClient(running.path) as client:
                client.view()
        else:
            with pytest.raises(NoEngine), EngineClient(running.path):
                pass
        assert running.server.counts["refused"] == (not is_served)


def test_hello_and_a_whole_picture_come_on_connect(served: Served) -> None:
    served.call(lambda: served.door.put(order_row(1)))
    with EngineClient(served.path) as client:
        assert client.hello is not None
        assert client.hello.pid == os.getpid()
        assert [row.order_id for row in client.view().orders] == ["P1"]


def test_a_command_is_answered_and_an_intent_asked_again_is_not_a_second_order(served: Served) -> None:
    with EngineClient(served.path) as client:
        first = client.submit(new_order("i-7"))
        again = client.submit(new_order("i-7"))
    assert (first.order_id, first.repeated) == ("P1", False)
    assert (again.order_id, again.repeated) == ("P1", True)


def test_updates_follow_a_subscription(served: Served) -> None:
    with EngineClient(served.path) as client:
        pictures = client.watch(client.view())
        served.call(lambda: served.door.put(order_row(1)))
        assert [row.state for row in next(pictures).orders] == [OrderState.NEW]
        served.call(lambda: served.door.put(order_row(1, OrderState.FILLED)))
        rows = next(pictures).orders
    assert [(row.order_id, row.state) for row in rows] == [("P1", OrderState.FILLED)]


def test_one_picture_is_encoded_once_for_all(served: Served) -> None:
    clients = [EngineClient(served.path) for _ in range(5)]
    for client in clients:
        client.connect()
        client.view()
        client.close()
    assert served.door.views == 1


def test_an_idle_engine_still_says_that_it_lives(served: Served) -> None:
    with EngineClient(served.path) as client:
        pictures = client.watch(client.view())
        assert next(pictures).orders == ()


def test_events_are_paged_and_followed(served: Served) -> None:
    served.call(lambda: [served.door.put(order_row(number)) for number in range(1, 6)])
    with EngineClient(served.path) as client:
        assert [seq for seq, _, _ in client.events(2, 3)] == [2, 3, 4]
        stream = client.follow(4)
        assert [next(stream)[0] for _ in range(2)] == [4, 5]
        served.call(lambda: served.door.put(order_row(6)))
        assert next(stream)[0] == 6


# -- slow and hostile clients ------------------------------------------------------------------------------------------


def test_a_client_that_stops_reading_delays_nobody_and_costs_one_picture(served: Served) -> None:
    """Without the pause each tick would add its update to a buffer that nobody empties."""
    note = "x" * 20_000
    with raw(served) as stuck:
        stuck.sendall(pack(Subscribe(seq=1)))
        with EngineClient(served.path) as client:
            pictures = client.watch(client.view())
            for number in range(1, 61):
                served.call(lambda number=number: served.door.put(order_row(number, note=note)))  # type: ignore[misc]
            until(lambda: len(next(pictures).orders) == 60, "the other client's picture")
            # On a busy machine the client that reads is behind for a moment too.
            until(lambda: len(paused(served)) == 1, "one paused client")
            frozen = paused(served)
            before = _buffered(frozen[0])
            for _ in range(15):
                served.call(lambda: served.door.put(order_row(61, note=note)))
                next(pictures)
            assert _buffered(frozen[0]) == before < 4_000_000
            until(lambda: frozen[0].lag > server.LAG_TICKS_MAX, "a long lag")
        _read_up(stuck, "P61")
        until(lambda: not frozen[0].is_paused, "the end of the pause")


def paused(served: Served) -> list[server._Connection]:
    return [connection for connection in served.server._connections if connection.is_paused]


def _buffered(connection: server._Connection) -> int:
    assert connection._transport is not None
    return connection._transport.get_write_buffer_size()


def _read_up(line: socket.socket, order_id: str) -> None:
    """Read until a whole picture with the newest state comes."""
    unpacker, snapshots = Unpacker(FRAME_BYTES_MAX), 0
    while True:
        for body in unpacker.feed(line.recv(1 << 20)):
            frame = read_server(body)
            snapshots += type(frame).__name__ == "Snapshot"
            if snapshots == 2 and order_id.encode() in body:
                return


def test_a_client_that_only_sends_is_let_go(served: Served) -> None:
    served.door.answer = CommandResult(ok=True, text="y" * 1_000_000)
    with raw(served) as line:
        for seq in range(1, 40):
            line.sendall(pack(Request(seq=seq, id=seq, command=new_order(f"i-{seq}"))))
        until(lambda: served.server.counts["dropped"] == 1, "the end of the connection")
    with EngineClient(served.path) as client:
        assert client.view() is not None


BAD = [
    struct.pack(">I", 2**32 - 1) + b"x",
    struct.pack(">I", 5) + b"{]}!!",
    struct.pack(">I", 0),
    pack(Subscribe(seq=2)),
    b"GET / HTTP/1.1\r\n\r\n",
]


@pytest.mark.parametrize("data", BAD)
def test_a_bad_frame_is_answered_and_ends_its_connection_only(served: Served, data: bytes) -> None:
    with EngineClient(served.path) as other:
        with raw(served) as line:
            line.sendall(data)
            last = frames_until_end(line)[-1]
        assert getattr(last, "code", "") == "BAD_FRAME"
        assert other.submit(new_order()).ok
    assert served.door.commands == [new_order()]


def test_a_halt_before_garbage_is_obeyed(served: Served) -> None:
    with raw(served) as line:
        line.sendall(pack(Request(seq=1, id=1, command=Halt(source=ME))) + b"\xff" * 8)
        frames_until_end(line)
    assert isinstance(served.door.commands[0], Halt)


def test_a_halt_overtakes_commands_that_wait(served: Served) -> None:
    """Both arrive in one piece: the halt is last on the wire and first at the gate."""
    flood = b"".join(pack(Request(seq=seq, id=seq, command=new_order(f"i-{seq}"))) for seq in range(1, 51))
    with raw(served) as line:
        line.sendall(flood + pack(Request(seq=51, id=51, command=Halt(source=ME))))
        until(lambda: len(served.door.commands) == 51, "all commands")
    assert served.door.commands.index(Halt(source=ME)) <= 1


def test_too_many_waiting_commands_are_answered_busy(served: Served) -> None:
    count = server.REQUESTS_WAITING_MAX + 40
    flood = b"".join(pack(Request(seq=s, id=s, command=CancelAll(source=ME))) for s in range(1, count + 1))

    def hold(command: object) -> None:
        # The first command holds the loop until the whole flood lies in the socket's buffer.
        if len(served.door.commands) == 1:
            until(lambda: sent == [True], "the flood")

    sent: list[bool] = []
    served.door.on_submit = hold
    with raw(served) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        line.sendall(flood[: len(flood) // 2])
        sent.append(True)
        line.sendall(flood[len(flood) // 2 :])
        unpacker, answered = Unpacker(FRAME_BYTES_MAX), 0
        while answered < count:
            for body in unpacker.feed(line.recv(1 << 20)):
                answered += type(read_server(body)).__name__ in {"Result", "Error"}
    assert len(served.door.commands) + served.server.counts["busy"] == count


def test_the_newest_what_if_wins_and_typing_never_queues(served: Served) -> None:
    asked = [Preview(source=ME, spec=new_order(qty=str(size)).spec) for size in range(1, 201)]
    flood = b"".join(pack(WhatIfAsk(seq=n, id=n, question=question)) for n, question in enumerate(asked, 1))
    with raw(served) as line:
        line.sendall(flood + pack(Request(seq=201, id=201, command=Halt(source=ME))))
        until(lambda: asked[-1] in served.door.questions, "the newest question")
        until(lambda: served.server.counts["halts"] == 1, "the halt")
    assert len(served.door.questions) < 20, "each key would be a question of its own"
    assert served.door.questions[-1] == asked[-1]


def test_a_halt_on_a_new_connection_comes_before_its_picture(served: Served) -> None:
    """A picture of a thousand orders takes longer than everything else on the way of a halt."""
    pictures_before: list[int] = []
    served.door.on_submit = lambda _: pictures_before.append(served.door.views)
    served.server.picture_after_s = DEADLINE_S
    with EngineClient(served.path) as client:
        assert client.submit(Halt(source=ME, why="test")).ok
    assert pictures_before == [0]
    served.server.picture_after_s = 0.0
    with EngineClient(served.path) as client:
        assert client.view().status.halt.state == "halted"
    assert served.door.views == 1, "who has gone meanwhile gets none"


def test_a_full_house_still_takes_a_halt(served: Served) -> None:
    house = [EngineClient(served.path) for _ in range(server.CLIENTS_MAX)]
    for client in house:
        client.connect()
    try:
        with EngineClient(served.path) as late:
            assert late.submit(Halt(source=ME)).ok
            with pytest.raises(EngineRefused, match="16 clients are connected"):
                late.submit(new_order())
        assert served.door.state == "halted"
    finally:
        for client in house:
            client.close()


def test_a_client_may_not_speak_as_the_kill_procedure(served: Served) -> None:
    command = msgspec.structs.replace(new_order(), source=Source(SourceKind.HALT))
    with EngineClient(served.path) as client:
        assert client.submit(command).code == "SOURCE"
    assert served.door.commands == []


# -- faults, stop, start -------------------------------------------------------------------------------------------------


def test_a_failing_engine_leaves_the_outcome_unknown_and_the_server_up(served: Served) -> None:
    served.door.fails = InvariantError("impossible")
    with EngineClient(served.path) as client:
        with pytest.raises(OutcomeUnknown, match="InvariantError: impossible"):
            client.submit(new_order())
        served.door.fails = None
        assert client.submit(new_order()).ok
    assert [str(error) for error in served.faults] == ["impossible"]


def test_stop_is_answered_before_the_engine_is_told(served: Served) -> None:
    with EngineClient(served.path) as client:
        assert client.submit(StopEngine(source=ME, cancel=True)).ok
    until(lambda: served.stops == [True], "the stop")


def test_a_second_server_on_a_live_socket_is_refused(served: Served) -> None:
    second = Served(served.path, FakeDoor())
    try:
        with pytest.raises(StoreLocked, match="another engine answers"):
            second.start()
    finally:
        second.stop()
    with EngineClient(served.path) as client:
        assert client.submit(new_order()).ok


def test_a_dead_engines_socket_is_taken_over_and_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    with serving(path), EngineClient(path) as client:
        client.view()
    assert not path.exists()


def ask_aside(served: Served, command: AnyCommand) -> tuple[threading.Thread, list[CommandResult]]:
    """A client of its own that waits for its answer."""
    answers: list[CommandResult] = []

    def ask() -> None:
        with EngineClient(served.path) as client:
            answers.append(client.submit(command))

    asking = threading.Thread(target=ask)
    asking.start()
    return asking, answers


def test_an_answer_waits_for_the_disk_and_a_halt_does_not(served: Served) -> None:
    """What a client was told must not be gone after a crash."""
    served.door.is_stalled = True
    asking, answers = ask_aside(served, new_order())
    until(lambda: bool(served.door.waiting), "the order")
    with EngineClient(served.path) as client:
        assert client.submit(Halt(source=ME, why="now")).ok
    assert answers == []
    served.call(lambda: served.door.waiting.pop()(True))
    asking.join(10)
    assert answers[0].order_id == "P1"


def test_an_order_that_never_came_to_the_disk_is_not_confirmed(served: Served) -> None:
    served.door.is_stalled = True
    asking, answers = ask_aside(served, new_order())
    until(lambda: bool(served.door.waiting), "the order")
    served.call(lambda: served.door.waiting.pop()(False))
    asking.join(10)
    assert (answers[0].ok, answers[0].code) == (False, "LEDGER_UNHEALTHY")
    assert "never sent" in answers[0].text
