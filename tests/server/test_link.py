"""The desk's line: current pictures, commands with an honest answer, and coming back by itself."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bolt_tui.client import NoEngine, merge
from bolt_tui.link import DeskLink
from engine.domain.commands import CommandResult, Preview
from engine.domain.order import OrderState
from engine.views import DeskUpdate, DeskView
from tests.server.fakes import ME, FakeDoor, Served, new_order, order_row, serving, until


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "engine.sock") as running:
        yield running


def link_to(path: Path) -> DeskLink:
    return DeskLink(lambda: path, lambda who: None)


def test_the_picture_follows_the_engine(served: Served) -> None:
    with link_to(served.path) as link:
        before = link.version()
        served.call(lambda: served.door.put(order_row(1)))
        until(lambda: link.version() > before, "a new picture")
        assert [row.order_id for row in link.view().orders] == ["P1"]
        assert (link.connected, link.link_text) == (True, "")


def test_a_command_has_an_answer(served: Served) -> None:
    with link_to(served.path) as link:
        assert asyncio.run(link.submit(new_order())).order_id == "P1"


def test_it_comes_back_when_the_engine_is_restarted(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    door = FakeDoor()
    with serving(path, door):
        link = link_to(path)
        link.start()
    until(lambda: not link.connected, "the broken line")
    assert "reconnecting" in link.link_text
    lost = asyncio.run(link.submit(new_order()))
    assert (lost.ok, lost.code) == (False, "NO_ENGINE")
    door.put(order_row(5))
    with serving(path, door):
        until(lambda: link.connected, "the new line")
        assert [row.order_id for row in link.view().orders] == ["P5"]
        assert asyncio.run(link.submit(new_order())).ok
        link.close()
    assert door.commands == [new_order()], "the lost command was never sent"


def test_an_answer_that_never_comes_is_unknown_and_not_a_refusal(served: Served) -> None:
    """The command may have been done: saying anything else invites a second order."""
    link = link_to(served.path)
    link.start()
    release = threading.Event()

    def hold(command: object) -> None:
        release.wait(10)

    served.door.on_submit = hold
    results: list[CommandResult] = []
    asking = threading.Thread(target=lambda: results.append(asyncio.run(link.submit(new_order()))))
    asking.start()
    until(lambda: bool(served.door.commands), "the command")
    link.close()
    asking.join(10)
    release.set()
    assert (results[0].ok, results[0].code) == (False, "UNKNOWN")
    assert asyncio.run(link.submit(new_order())).code == "NO_ENGINE"


def test_no_engine_is_said_in_time(tmp_path: Path) -> None:
    with pytest.raises(NoEngine, match=r"no picture from the engine within 0\.2 s: the engine is gone"):
        link_to(tmp_path / "engine.sock").start(0.2)


def test_a_halt_needs_neither_line_nor_loop(tmp_path: Path) -> None:
    halts: list[str] = []
    link = DeskLink(lambda: tmp_path / "engine.sock", halts.append)
    link.halt_now("anna")
    link.close()
    assert halts == ["anna"]


def test_rows_are_replaced_by_their_key_and_open_orders_are_never_dropped(served: Served) -> None:
    done = tuple(order_row(number, OrderState.FILLED) for number in range(2, 700))
    view = DeskView(status=served.door.status(), orders=(order_row(1), order_row(2)))
    merged = merge(view, DeskUpdate(orders=done))
    assert len(merged.orders) == 500
    assert merged.orders[0] == order_row(1)
    assert merged.orders[-1] == done[-1]


def test_only_the_newest_question_has_an_answer(served: Served) -> None:
    came, held = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        came.set()
        held.wait(10)

    served.door.on_submit = hold
    first, second = (Preview(source=ME, spec=new_order(qty=qty).spec) for qty in ("1", "2"))

    async def ask(link: DeskLink) -> list[CommandResult | None]:
        """The engine is busy with a command while two questions come."""
        busy = asyncio.ensure_future(link.submit(new_order()))
        await asyncio.to_thread(came.wait, 10)
        older = asyncio.ensure_future(link.what_if(first))
        await asyncio.sleep(0)
        newer = asyncio.ensure_future(link.what_if(second))
        found = await older
        held.set()
        return [found, await newer, await busy]

    with link_to(served.path) as link:
        older, newer, busy = asyncio.run(ask(link))
        assert older is None
        assert newer is not None
        assert newer.text.startswith("buy 2 ")
        assert busy is not None
        assert busy.order_id == "P1"
    assert asyncio.run(link.what_if(first)) is None, "no line, no answer"
