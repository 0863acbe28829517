"""The loop's inbox: inputs in their order, and what somebody waits for on its way to the disk before the next of them."""

from __future__ import annotations

import asyncio
from functools import partial

from bolt_tui.wiring import Inbox
from engine.domain import events as ev
from engine.domain.commands import HaltScope
from engine.store.journal import Batch, Journal
from tests.store.shop import START_NS, alert

HALTED = ev.TradingStateChanged(scope=HaltScope(), state=ev.TradingState.HALTED, code="MANUAL", who="anna", why="test")


def test_a_halt_goes_to_the_disk_before_the_inputs_that_came_with_it() -> None:
    faults: list[Exception] = []
    handed: list[tuple[int, Batch | None]] = []

    async def take_in() -> None:
        journal = Journal.open_memory(START_NS, "TEST0", "USD")
        inbox = Inbox(asyncio.get_running_loop(), faults.append)

        def press() -> None:
            if journal.is_pressing:
                handed.append((journal.head_seq, journal.take()))

        def note(event: ev.AnyEvent) -> None:
            journal.append(START_NS, event)

        inbox.after = press
        for event in (alert(1), HALTED, alert(2), alert(3)):
            inbox.put(partial(note, event))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert journal.pending == 2, "what nobody waits for shares a later commit"
        journal.close()

    asyncio.run(take_in())
    assert faults == []
    assert [seq for seq, _ in handed] == [3], "before the fourth row was there"
    assert handed[0][1] is not None
    assert [row[2] for row in handed[0][1].rows] == ["alert", "trading_state"]
