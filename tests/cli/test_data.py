"""`bolt data`: what a recorded file is, and the same market in our layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.market.replay import open_all, open_recorded, open_recordings
from engine.market.sidecar import parse_instrument, sidecar_path
from tests.cli.conftest import Ran

DATA = Path(__file__).resolve().parents[1] / "data"
Bolt = Callable[..., Ran]


def test_inspect_says_what_a_file_is_and_what_realism_it_allows(bolt: Bolt) -> None:
    ran = bolt("data", "inspect", str(DATA / "cme_small.csv"))
    assert ran.code == 0
    assert "CME market by order, L3" in ran.out
    assert "tick 0.25" in ran.out
    assert "0 crossed" in ran.out
    assert "queue position: exact" in ran.out
    assert "found: 1 fills beyond what their order displayed (icebergs)" in ran.out
    depth = bolt("data", "inspect", str(DATA / "binance_depth_small.csv")).out
    assert "queue position: estimated" in depth
    assert "prints: none" in depth
    orders = bolt("data", "inspect", str(DATA / "bitstamp_orders_small.csv")).out
    assert "caveat: orders from before the capture are missing" in orders
    bars = bolt("data", "inspect", str(DATA / "bars_small.csv")).out
    assert "silence of 60 s from 2019-02-11T14:31:59" in bars
    assert "a touch fills nothing" in bars


def test_queues_that_lack_the_orders_from_before_the_file_are_not_called_exact(bolt: Bolt, tmp_path: Path) -> None:
    later = tmp_path / "cme_small.csv"
    lines = (DATA / "cme_small.csv").read_text().splitlines(keepends=True)
    later.write_text("".join(line for line in lines if ",SNAP," not in line))
    told = bolt("data", "inspect", str(later)).out
    assert "queue position: exact among the orders of the file only" in told
    assert "orders from before it, which stand in no queue" in told


def test_inspect_in_json_is_an_object_for_each_symbol(bolt: Bolt) -> None:
    told = [
        json.loads(line) for line in bolt("data", "inspect", str(DATA / "bars_small.csv"), "--json").out.splitlines()
    ]
    assert [(one["type"], one["symbol"], one["kinds"]["BAR"]) for one in told] == [
        ("recording", "AAA", 6),
        ("recording", "BBB", 2),
    ]


def test_a_wrong_file_is_refused_with_its_row(bolt: Bolt, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text((DATA / "ib_small.csv").read_text().replace("443.6,12000.0", "443.6,12000.0.0"))
    ran = bolt("data", "inspect", str(path))
    assert ran.code == 2
    assert "row 3: expected a number, was '12000.0.0'" in ran.err
    out = tmp_path / "out.csv.gz"
    assert bolt("data", "import", str(path), "--out", str(out)).code == 2
    assert not out.exists()
    assert not [one for one in tmp_path.iterdir() if one.name.startswith("out")], "nothing half written stays"


@pytest.mark.parametrize(
    "names",
    [
        ("cme_small.csv",),
        ("bitstamp_orders_small.csv",),
        ("bitstamp_book_small.csv", "bitstamp_trades_small.csv"),
        ("binance_depth_small.csv", "binance_trades_small.csv"),
        ("taq_quotes_small.csv", "taq_trades_small.csv"),
        ("taq_pairs_small.csv", "taq_letters_small.csv"),
        ("ib_small.csv",),
        ("lobster_small.csv",),
        ("own_small.csv",),
    ],
)
def test_what_is_imported_is_the_same_market(bolt: Bolt, tmp_path: Path, names: tuple[str, ...]) -> None:
    out, again = tmp_path / "day.csv.gz", tmp_path / "again.csv.gz"
    paths = [str(DATA / name) for name in names]
    assert bolt("data", "import", *paths, "--instrument", "ABC", "--out", str(out)).code == 0
    assert bolt("data", "import", *paths, "--instrument", "ABC", "--out", str(again)).code == 0
    assert out.read_bytes() == again.read_bytes()
    made = open_recorded(out)
    assert made.defaults == (), "the sidecar holds all terms"
    files = open_all([DATA / name for name in names], [parse_instrument("ABC")])
    rows = sorted((row[:6], key) for file in files for key, row in file.feed())
    assert sorted((row[:6], key) for key, row in made.feed()) == rows
    assert made.instrument == files[0].instrument


def test_one_symbol_of_bars_is_imported_and_nothing_is_overwritten(bolt: Bolt, tmp_path: Path) -> None:
    out = tmp_path / "aaa.csv.gz"
    words = ("data", "import", str(DATA / "bars_small.csv"), "--out", str(out))
    assert "one symbol at a time" in bolt(*words).err
    assert bolt(*words, "--instrument", "AAA:lot=1").code == 0
    (made,) = open_recordings(out)
    assert made.instrument.symbol == "AAA"
    ran = bolt(*words, "--instrument", "AAA:lot=1")
    assert ran.code == 2
    assert "is there already" in ran.err


def test_a_tick_table_goes_through_words_and_sidecar(bolt: Bolt, tmp_path: Path) -> None:
    out = tmp_path / "hk.csv.gz"
    assert (
        bolt("data", "import", str(DATA / "ib_small.csv"), "--instrument", "HK:tick=HKEX", "--out", str(out)).code == 0
    )
    assert "0:0.001|0.25:0.005" in sidecar_path(out).read_text()
    assert str(open_recorded(out).instrument.tick_at(open_recorded(out).instrument.price_of(4_436_000))) == "0.2"
    wrong = bolt("data", "inspect", str(DATA / "ib_small.csv"), "--instrument", "HK:tick=0:0.1|5")
    assert wrong.code == 2
    assert "expected one step, one of HKEX, or FROM:STEP" in wrong.err
