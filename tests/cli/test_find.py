"""`bolt find` and `bolt roll`, and what an order for an unlisted symbol is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bolt_tui.commands.exits import Exit
from bolt_tui.settings import Home
from engine.domain.instrument import make_instrument
from engine.domain.money import Qty
from tests.cli.conftest import Ran
from tests.market.test_registry import MINE
from tests.server.fakes import Served, position_row

Bolt = Callable[..., Ran]
DATA = Path(__file__).resolve().parents[1] / "data"


@pytest.fixture(autouse=True)
def mine(home: Home) -> None:
    home.instruments.mkdir()
    (home.instruments / "mine.yaml").write_text(MINE, encoding="utf-8")


def test_find_says_all_of_the_one_that_matches(bolt: Bolt) -> None:
    ran = bolt("find", "fb")
    assert ran.code == Exit.OK
    assert "Meta Platforms" in ran.out
    assert "called FB until 2022-06-08" in ran.out
    assert "zerodha calls it META-US" in ran.out
    assert "from mine.yaml:2" in ran.out


def test_find_without_words_lists_all_and_json_has_every_field(bolt: Bolt) -> None:
    rows = {row["symbol"]: row for row in bolt("find", "--on", "2024-03-08", "--json").json["instruments"]}
    assert {"AAPL", "BTC-PERP", "META", "ESH4", "HK5"} <= set(rows)
    assert (rows["ESH4"]["state"], rows["ESH4"]["into"], rows["ESM4"]["state"]) == ("roll", "ESM4", "front")
    assert rows["AAPL"]["listed"] == ["paper"]
    assert rows["META"]["was"][0]["old"] == "FB"
    assert rows["HK5"]["tick"] == "0:0.001|0.25:0.005"
    assert "greeks" in rows["AAPL240119C00190000"]["refused"]


def test_find_takes_a_kind_a_broker_and_says_when_nothing_matches(bolt: Bolt) -> None:
    found = bolt("find", "--kind", "future", "--csv").out.splitlines()
    assert {"ES", "ESM4", "ESH4", "ESZ6"} <= {line.split(",")[0] for line in found[1:]}
    assert "META" in bolt("find", "--broker", "zerodha").out
    ran = bolt("find", "zzz", "--on", "2024-03-08")
    assert (ran.code, "nothing matches 'zzz' on 2024-03-08" in ran.err) == (Exit.REFUSED, True)
    ran = bolt("find", "--on", "yesterday")
    assert ran.code == Exit.USAGE
    assert "--on was 'yesterday': expected a date as 2024-03-15" in ran.err


def test_a_file_with_a_fault_is_refused_with_its_line(bolt: Bolt, home: Home) -> None:
    (home.instruments / "wrong.yaml").write_text("instruments:\n  A:\n    nme: x\n", encoding="utf-8")
    ran = bolt("find", "aapl")
    assert ran.code == Exit.USAGE
    assert "wrong.yaml:3: A: Object contains unknown field `nme`" in ran.err


def test_roll_shows_the_contracts_of_a_family(bolt: Bolt) -> None:
    ran = bolt("roll", "ESF", "--on", "2024-03-08")
    assert ran.code == Exit.OK
    assert [line.split() for line in ran.out.splitlines()[1:]] == [
        ["ESH4", "-", "2024-03-15", "2024-03-07", "roll", "ESM4"],
        ["ESM4", "-", "2024-06-22", "2024-06-13", "front"],
    ]
    assert bolt("roll", "NOPE").code == Exit.REFUSED


def test_roll_suggests_two_orders_for_a_position_and_places_none(bolt: Bolt, engine: Served) -> None:
    engine.door.positions = (msgspec.structs.replace(position_row(), symbol="ESH4", qty=Qty(-3)),)
    ran = bolt("roll", "--on", "2024-03-08")
    assert ran.code == Exit.INCOMPLETE
    assert "b 3 ESH4 @mkt reduce; s 3 ESM4 @mkt" in ran.out
    assert engine.door.commands == []
    assert bolt("roll", "--on", "2024-03-01").code == Exit.OK
    assert "expired with a position" in bolt("roll", "--on", "2024-03-16").out


def test_an_order_for_what_nobody_lists_says_what_is_known_of_it(bolt: Bolt, engine: Served) -> None:
    engine.door.instruments = (make_instrument("AAPL", "equity", "XNAS", "USD", "0.01"),)
    ran = bolt("order", "b 1 FB @mkt")
    assert ran.code == Exit.USAGE
    assert "FB is called META since 2022-06-09; ask for META" in ran.err
    assert "a combination is ordered by its legs" in bolt("order", "b 1 ESH4-ESM4 @mkt").err
    assert "greeks, exercise and assignment are not modelled" in bolt("order", "b 1 AAPL240119C00190000 @mkt").err


def test_sessions_show_early_closes_and_lunch_breaks(bolt: Bolt) -> None:
    ran = bolt("sessions", "XNYS", "--on", "2024-11-28", "--days", "2")
    assert [line.split() for line in ran.out.splitlines()[1:]] == [
        ["2024-11-29", "2024-11-29T14:30Z", "2024-11-29T18:00Z"],
        ["2024-12-02", "2024-12-02T14:30Z", "2024-12-02T21:00Z"],
    ]
    assert "04:00-05:00" in bolt("sessions", "XHKG", "--on", "2024-11-29", "--days", "1").out
    told = bolt("sessions", "24x7", "--on", "2024-02-29T12:00:00Z", "--days", "1", "--json").json
    assert (told["is_open"], told["sessions"][0]["day"]) == (True, "2024-02-29")
    assert bolt("sessions", "XXXX").code == Exit.USAGE


def test_an_expired_contract_is_refused_with_its_date_in_a_replay(bolt: Bolt) -> None:
    day = ("replay", str(DATA / "own_small.csv"), "--order", "b 1 X @mkt", "--instrument")
    ran = bolt(*day, "X:tick=0.01,expiry=2024-01-01")
    assert ran.code == Exit.REFUSED
    assert "X expired at 2024-01-02T00:00:00.000000000Z; choose a later contract" in ran.out
    assert "expired at" not in bolt(*day, "X:tick=0.01,expiry=2024-01-02").out
    option = bolt("data", "inspect", str(DATA / "lobster_small.csv"), "--instrument", "X:kind=option")
    assert option.code == Exit.USAGE
    assert "greeks, exercise and assignment are not modelled" in option.err


def test_the_registry_gives_a_recording_its_terms(bolt: Bolt, home: Home) -> None:
    (home.instruments / "own.yaml").write_text(
        "instruments: {LOBSTER: {kind: equity, venue: XNAS, currency: USD, tick: 0.01, expiry: 2012-06-20}}",
        encoding="utf-8",
    )
    found = bolt("data", "inspect", str(DATA / "lobster_small.csv"), "--json").json
    assert found["symbol"] == "LOBSTER"
    assert not [words for words in found["defaults"] if "tick not given" in words or "mic not given" in words]
