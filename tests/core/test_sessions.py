"""Sessions in a live engine: nothing waits for a calendar, nothing passes without one, and a day ends when its session does."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine.domain import events as ev
from engine.domain.clock import NS_PER_S
from engine.domain.order import AlgoSpec, Tif
from engine.market.calendar import SessionTable
from engine.market.sessions import Sessions
from tests.core.lab import AAPL, START_NS, Lab

HOUR_NS = 3_600 * NS_PER_S
LISTED = (msgspec.structs.replace(AAPL, calendar="XSIM"),)
OPENS = (START_NS - HOUR_NS, START_NS + 20 * HOUR_NS)
CLOSES = (START_NS + 600 * NS_PER_S, START_NS + 24 * HOUR_NS)
TABLE = SessionTable(name="XSIM", days=("2023-11-14", "2023-11-15"), opens=OPENS, closes=CLOSES)


def connected(folder: Path, sessions: Sessions, **more: object) -> Lab:
    lab = Lab(folder, listed=LISTED, sessions=sessions, **more)  # type: ignore[arg-type] # as Lab takes them
    lab.connect()
    return lab


def test_until_its_calendar_is_there_a_symbol_does_not_trade(tmp_path: Path) -> None:
    asked: list[str] = []
    sessions = Sessions(load=lambda name, _now_ns: asked.append(name))
    lab = connected(tmp_path, sessions)
    assert asked == ["XSIM"], "asked for when the broker named the instrument, and not again"
    denied = lab.buy(100)
    assert [item.code for item in denied.denials] == ["SESSION_UNKNOWN"]
    assert "calendar XSIM is being loaded" in denied.text
    assert lab.broker.sent == []
    sessions.put("XSIM", TABLE)
    assert lab.buy(100, intent="i2").ok
    assert len(lab.broker.sent) == 1


def test_at_the_close_and_beyond_the_calendar_orders_are_denied_with_the_reason(tmp_path: Path) -> None:
    lab = connected(tmp_path, Sessions({"XSIM": TABLE}))
    lab.pass_time(599)
    assert lab.buy(100).ok
    lab.pass_time(1)
    closed = lab.buy(100, intent="i2")
    assert [item.code for item in closed.denials] == ["SESSION_CLOSED"]
    assert "calendar XSIM opens at 2023-11-15T18:13Z" in closed.text
    lab.clock.set_ns(CLOSES[1])
    lab.quote()
    late = lab.buy(100, intent="i3")
    assert "SESSION_UNKNOWN" in [item.code for item in late.denials]
    assert "known from 2023-11-14T21:13Z to 2023-11-15T22:13Z only" in next(
        item.text for item in late.denials if item.code == "SESSION_UNKNOWN"
    )


def test_a_worked_day_order_ends_with_the_session_and_a_lasting_one_does_not(tmp_path: Path) -> None:
    lab = connected(tmp_path, Sessions({"XSIM": TABLE}))
    twap = AlgoSpec(name="twap", duration_ns=1_200 * NS_PER_S)
    day = lab.buy(100, algo=twap).order_id
    lasting = lab.buy(200, intent="i2", algo=twap, tif=Tif.GTC).order_id
    lab.pass_time(601)
    assert lab.engine.store.get(day).stopping
    assert not lab.engine.store.get(lasting).stopping
    sent = len(lab.broker.sent)
    lab.pass_time(300)
    assert len(lab.broker.sent) == sent, "nothing leaves behind the close"


def test_an_engine_that_was_down_over_the_close_does_not_go_on_with_the_day(tmp_path: Path) -> None:
    sessions = Sessions({"XSIM": TABLE})
    ledger = tmp_path / "ledger.db"
    first = connected(tmp_path, sessions, ledger=ledger)
    parent = first.buy(100, algo=AlgoSpec(name="twap", duration_ns=2 * 86_400 * NS_PER_S)).order_id
    first.journal.close()  # killed: no last words
    second = connected(tmp_path, sessions, ledger=ledger, start_ns=OPENS[1])
    order = second.engine.store.get(parent)
    assert (order.state.value, order.note) == ("expired", "its day ended with the session")
    assert second.broker.sent == []
    stopped = [row for row in second.journal.read() if row.kind == ev.ParentStopping.__struct_config__.tag]
    assert len(stopped) == 1
