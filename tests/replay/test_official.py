"""Auctions of a recorded day are done at the official prints that its files mark, and say which they took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bolt_tui.replay_run import ReplayAsk, run_replay
from bolt_tui.resources import data_file
from engine.domain.clock import parse_iso
from engine.domain.money import Money
from tests.replay.tape import moment, quotes, replay, trade
from tests.shared_data import shared_file

TERMS = "tick=0.01,lot=1,calendar=XNYS"
BEFORE, CLOSED = "2023-11-24T14:15:00Z", "2023-11-24T18:00:00Z"


def mark(at: str, kind: str, exchange: str, price: str, qty: int) -> str:
    return f"{moment(at)},{kind},{exchange},N,{price},{qty}"


def day(*marks: str) -> list[str]:
    """A half day that closes at 18:00 UTC and is quoted until five minutes behind it."""
    return [
        *quotes(BEFORE, "2023-11-24T18:05:00Z", mic="NBBO", every_s=60),
        trade("2023-11-24T14:30:01Z", "10.00", 40, mic="NBBO"),
        trade("2023-11-24T17:59:59Z", "10.01", 40, mic="NBBO"),
        *marks,
    ]


NYSE_DAY = day(
    mark("2023-11-24T14:31:30Z", "open-print", "XNYS", "10.20", 5000),
    mark("2023-11-24T14:30:02Z", "open-price", "XNAS", "10.01", 7),
    mark("2023-11-24T18:01:04Z", "close-print", "XNYS", "10.30", 6000),
)


@pytest.mark.parametrize(
    ("tif", "at", "price", "ts", "note"),
    [
        ("opg", BEFORE, "10.2", "2023-11-24T14:31:30Z", "official opening print of XNYS: 5000 at 10.20"),
        (
            "cls",
            "2023-11-24T15:00:00Z",
            "10.3",
            "2023-11-24T18:01:04Z",
            "official closing print of XNYS: 6000 at 10.30",
        ),
    ],
)
def test_an_auction_takes_price_and_time_of_the_official_print(
    tmp_path: Path, calendars: Path, tif: str, at: str, price: str, ts: str, note: str
) -> None:
    result = replay(tmp_path, NYSE_DAY, f"b 300 ABC @mkt {tif}", at=at, terms=TERMS, calendars=calendars)
    (fill,) = result["fills"]
    assert (fill["price"], fill["qty"], fill["ts_ns"]) == (price, "300", parse_iso(ts))
    assert fill["note"].startswith(note)
    assert result["parent"]["state"] == "filled"
    assert result["conservation"] == []
    assert any(note in words for words in result["realism"]["notes"])
    effects = {item["code"]: item["text"] for item in result["realism"]["effects"]}
    assert effects["P14"].startswith("opg and cls orders at the official prints that the recording marks")


def test_more_than_the_official_print_is_not_to_be_had(tmp_path: Path, calendars: Path) -> None:
    result = replay(
        tmp_path, NYSE_DAY, "b 7000 ABC @mkt cls", at="2023-11-24T15:00:00Z", terms=TERMS, calendars=calendars
    )
    assert [fill["qty"] for fill in result["fills"]] == ["6000"]
    assert "left nothing more for it: official closing print of XNYS" in result["why"]["P1"]


def test_a_day_without_marks_is_what_it_was(tmp_path: Path, calendars: Path) -> None:
    result = replay(tmp_path, day(), "b 300 ABC @mkt cls", at="2023-11-24T15:00:00Z", terms=TERMS, calendars=calendars)
    (fill,) = result["fills"]
    assert (fill["price"], fill["ts_ns"], fill["note"]) == ("10.01", parse_iso(CLOSED), "the session's last print")
    assert not any("auction" in words for words in result["realism"]["notes"])


@pytest.mark.parametrize(
    ("mic", "price", "qty", "note"),
    [
        ("", "13.83", "2000", "the session's first print, as XNAS, XNYS mark an official one each"),
        (",mic=XNYS", "13.82", "3000", "official opening print of XNYS: 970078 at 13.82 (row 429)"),
    ],
)
def test_a_recorded_opening_that_two_exchanges_mark_needs_the_primary(
    tmp_path: Path, calendars: Path, mic: str, price: str, qty: str, note: str
) -> None:
    ask = ReplayAsk(
        files=tuple(shared_file(f"taq/bac_20131008_{kind}.csv.gz") for kind in ("quotes", "trades")),
        orders=("b 3000 BAC @mkt opg",), strategies=(), seed=7, at_ns=parse_iso("2013-10-08T13:20:00Z"), until_ns=0,
        instruments=(f"BAC:tick=0.01,lot=1,calendar=XNYS{mic}",), cash=Money("10000000"), is_cash_given=True,
        policy=data_file("policy.yaml"), curve=None, ledger=None, calendars=calendars,
    )  # fmt: skip
    result: dict[str, Any] = run_replay(ask, tmp_path)
    (fill,) = result["fills"]
    assert (fill["price"], fill["qty"]) == (price, qty)
    assert fill["note"].startswith(note)
