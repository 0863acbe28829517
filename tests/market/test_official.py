"""Official prints: which marks of a session are a listing's own, what they come to, and how files carry them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.domain.errors import DataError
from engine.domain.instrument import make_instrument
from engine.domain.money import text
from engine.market.calendar import AlwaysOpen, SessionTable
from engine.market.importing import import_files
from engine.market.inspection import inspect
from engine.market.official import (
    CLOSE_PRICE,
    CLOSE_PRINT,
    EARLY_NS,
    LATE_NS,
    OPEN_PRICE,
    OPEN_PRINT,
    Mark,
    Official,
    officials_of,
    told,
)
from engine.market.replay import RecordedFile, open_all, open_recorded
from engine.market.sidecar import parse_instrument

ABC = make_instrument("ABC", "equity", "NBBO", "USD", "0.01")
HOUR_NS = 3_600_000_000_000
OPEN_NS, CLOSE_NS = 10 * HOUR_NS, 16 * HOUR_NS
NEXT_OPEN_NS, NEXT_CLOSE_NS = 34 * HOUR_NS, 40 * HOUR_NS
SESSIONS = SessionTable(
    name="T", days=("2020-01-01", "2020-01-02"), opens=(OPEN_NS, NEXT_OPEN_NS), closes=(CLOSE_NS, NEXT_CLOSE_NS)
)


def opened(
    exchange: str, qty: int, price: int = 1000, kind: int = OPEN_PRINT, ts_ns: int = OPEN_NS + 5, row: int = 1
) -> Mark:
    return Mark(ts_ns, kind, exchange, price, qty, row)


NYSE, NASDAQ, ARCA = "XNYS", "XNAS", "ARCX"
SEVERAL = "mark an official one each, and none names the primary exchange (--instrument ABC:mic=)"


@pytest.mark.parametrize(
    ("marks", "mic", "words"),
    [
        ([opened(NYSE, 900)], "NBBO", "official opening print of XNYS: 900 at 10.00 (row 1)"),
        ([opened(ARCA, 2, kind=OPEN_PRICE)], "NBBO", "official opening price of ARCX: 2 at 10.00 (row 1)"),
        # One auction, and what others call official is smaller: that is no auction.
        ([opened(NASDAQ, 64, 1014, OPEN_PRICE), opened(NYSE, 900, row=7)], "NBBO", "official opening print of XNYS: 900 at 10.00 (row 7)"),
        # The one auction that is marked is a small one, and another exchange calls far more official: its trades were not marked.
        ([opened(NASDAQ, 9), opened(ARCA, 27_000, kind=OPEN_PRICE)], "NBBO", f"ARCX, XNAS {SEVERAL}"),
        ([opened(NASDAQ, 59, 1001), opened(NYSE, 900)], "NBBO", f"XNAS, XNYS {SEVERAL}"),
        ([opened(NASDAQ, 59, 1001), opened(NYSE, 900)], NASDAQ, "official opening print of XNAS: 59 at 10.01 (row 1)"),
        ([opened(NASDAQ, 59, 1001), opened(NYSE, 900)], "XNGS", "official opening print of XNAS: 59 at 10.01 (row 1)"),
        ([opened(NASDAQ, 59, 1001), opened(NYSE, 900)], NYSE, "official opening print of XNYS: 900 at 10.00 (row 1)"),
        ([opened(NASDAQ, 59), opened(NYSE, 9)], "BATS", "XNAS, XNYS mark an official one, and its primary exchange BATS none"),
        ([opened(NYSE, 900)], NASDAQ, "XNYS mark an official one, and its primary exchange XNAS none"),
        # An auction that is told order by order is one, and what the exchange calls its size is no less than it.
        (
            [opened(ARCA, 30), opened(ARCA, 20, row=2), opened(ARCA, 70, 1005, row=3), opened(ARCA, 60, kind=OPEN_PRICE, row=4)],
            "NBBO", "official opening print of ARCX: 60 at 10.00 (rows 1 to 2)",
        ),
        ([opened(ARCA, 30), opened(ARCA, 20, ts_ns=OPEN_NS + HOUR_NS)], "NBBO", "official opening print of ARCX: 30 at 10.00 (row 1)"),
    ],
)  # fmt: skip
def test_which_mark_is_the_listings_own(marks: Sequence[Mark], mic: str, words: str) -> None:
    found = officials_of(marks, SESSIONS, mic, ABC)
    one = found.of(OPEN_NS, is_close=False)
    assert (one.words if one is not None else found.why_not(OPEN_NS, is_close=False)) == words
    assert found.of(OPEN_NS, is_close=True) is None
    assert found.why_not(CLOSE_NS, is_close=True) == "", "nothing is marked of the close"


@pytest.mark.parametrize(
    ("kind", "ts_ns", "due_ns"),
    [
        (OPEN_PRINT, OPEN_NS - EARLY_NS, OPEN_NS),
        (OPEN_PRINT, OPEN_NS - EARLY_NS - 1, None),
        (OPEN_PRINT, OPEN_NS + HOUR_NS, OPEN_NS),  # a late opening
        (OPEN_PRINT, CLOSE_NS + 5, None),
        (OPEN_PRINT, NEXT_OPEN_NS + 5, NEXT_OPEN_NS),
        (CLOSE_PRINT, CLOSE_NS - EARLY_NS, CLOSE_NS),
        (CLOSE_PRINT, CLOSE_NS - EARLY_NS - 1, None),
        (CLOSE_PRINT, CLOSE_NS, CLOSE_NS),
        (CLOSE_PRICE, CLOSE_NS + LATE_NS, CLOSE_NS),
        (CLOSE_PRICE, CLOSE_NS + LATE_NS + 1, None),
        (CLOSE_PRICE, NEXT_CLOSE_NS + 1, NEXT_CLOSE_NS),
    ],
)
def test_a_mark_belongs_to_the_auction_that_it_can_be_of(kind: int, ts_ns: int, due_ns: int | None) -> None:
    """A close is printed behind it; a corrected price of the evening is of no auction."""
    found = officials_of([opened(NYSE, 900, kind=kind, ts_ns=ts_ns)], SESSIONS, "NBBO", ABC).found
    is_close = kind in {CLOSE_PRINT, CLOSE_PRICE}
    assert [*found] == ([] if due_ns is None else [(is_close, due_ns)])
    assert [one.ts_ns for one in found.values()] == ([] if due_ns is None else [max(ts_ns, due_ns)])


def test_a_venue_that_never_closes_has_none() -> None:
    assert officials_of([opened(NYSE, 900)], AlwaysOpen(), NYSE, ABC).found == {}


def test_each_auction_is_told_in_a_sentence() -> None:
    marks = [
        opened(NYSE, 900),
        opened(NASDAQ, 9, kind=CLOSE_PRINT, ts_ns=CLOSE_NS),
        opened(NYSE, 900, kind=CLOSE_PRINT, ts_ns=CLOSE_NS),
    ]
    assert told(officials_of(marks, SESSIONS, "NBBO", ABC), SESSIONS) == [
        "2020-01-01: the price of the opening auction is the official opening print of XNYS: 900 at 10.00 (row 1)",
        f"2020-01-01: the price of the closing auction is the session's own last print, as XNAS, XNYS {SEVERAL}",
    ]


# -- files -----------------------------------------------------------------------------------------------------------------

QUOTES = """ts_ns,side,price,qty,exchange,suspicious
1400000000000001000,B,9.99,100,K,0
1400000000000001000,S,10.01,100,K,0
"""
FLAGS = """ts_ns,price,qty,exchange,cond,suspicious
1400000000000002000,10.02,5,Q,4000000,0
1400000000000002000,10.00,800,N,40,0
1400000000000002500,10.00,7,D,40,0
1400000000000002500,10.00,7,N,40,1
1400000000000003000,10.01,20,T,20200080,0
1400000000000003000,10.01,20,P,1000001,0
1400000000000003000,10.03,900,N,80,0
1400000000000003000,10.03,9,N,1,0
"""
LETTERS = """ts_ns,price,qty,exchange,cond,corr
1400000000000002000,10.02,5,Q, Q,0
1400000000000002000,10.00,800,N,O,0
1400000000000002500,10.00,7,D,O,0
1400000000000002500,10.00,7,N,O,1
1400000000000003000,10.01,20,T,6 X,0
1400000000000003000,10.01,20,P,M,0
1400000000000003000,10.03,900,N,6,0
1400000000000003000,10.03,9,N, F I,0
"""
MARKED = [
    (1400000000000002000, OPEN_PRICE, "XNAS", "10.02", "5"),
    (1400000000000002000, OPEN_PRINT, "XNYS", "10", "800"),
    (1400000000000003000, CLOSE_PRINT, "XNAS", "10.01", "20"),
    (1400000000000003000, CLOSE_PRICE, "ARCX", "10.01", "20"),
    (1400000000000003000, CLOSE_PRINT, "XNYS", "10.03", "900"),
]
OWN = """ts_ns,kind,venue,side,price,qty
1400000000000001000,open-print,XNYS,N,10,800
1400000000000001000,quote,NBBO,B,9.99,100
"""


def marked(files: Sequence[RecordedFile]) -> list[tuple[int, int, str, str, str]]:
    return [
        (
            one.ts_ns,
            one.kind,
            one.exchange,
            text(file.instrument.price_of(one.price)),
            str(file.instrument.qty_of(one.qty)),
        )
        for file in files
        for one in file.marks
    ]


def recorded(folder: Path, trades: str) -> tuple[RecordedFile, ...]:
    paths = folder / "q.csv", folder / "t.csv"
    for path, lines in zip(paths, (QUOTES, trades), strict=True):
        path.write_text(lines)
    return open_all(paths, [parse_instrument("ABC:tick=0.01,lot=1")])


@pytest.mark.parametrize("trades", [FLAGS, LETTERS], ids=["flags", "letters"])
def test_a_taq_day_marks_them_by_flag_or_letter_and_an_import_keeps_them(tmp_path: Path, trades: str) -> None:
    """Neither what is reported off the exchanges nor what was taken back is one."""
    files = recorded(tmp_path, trades)
    assert marked(files) == MARKED
    out = tmp_path / "own.csv.gz"
    import_files(files, out)
    own = open_recorded(out)
    assert marked([own]) == MARKED
    assert own.venues == ("NBBO",), "who marks a print is no venue of the book"
    assert inspect(own).realism[-1] == "auctions: 5 rows mark official opening or closing prints, of ARCX, XNAS, XNYS"
    assert [row[:6] for _, row in own.feed()] == [row[:6] for file in files for _, row in file.feed()]


def test_a_file_of_ours_may_begin_with_one(tmp_path: Path) -> None:
    path = tmp_path / "abc.csv"
    path.write_text(OWN)
    file = open_recorded(path)
    assert (file.instrument.mic, file.rows, len(file.marks)) == ("NBBO", 1, 1)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("open-print,XNYS,N", "open-print,xnys,N", "letters, digits|venue of 4 capitals"),
        ("open-print,XNYS,N", "open-print,XNYS,B", "expected side N"),
        (",10,800", ",10,0", "above zero"),
        ("open-print", "openprint", "expected one of .*close-price"),
    ],
)
def test_a_wrong_mark_is_named(tmp_path: Path, before: str, after: str, expected: str) -> None:
    path = tmp_path / "abc.csv"
    path.write_text(OWN.replace(before, after))
    with pytest.raises(DataError, match=f"row 1:.*({expected})"):
        open_recorded(path)


def test_an_official_print_is_what_it_says() -> None:
    assert officials_of([opened(NYSE, 900, 1002)], SESSIONS, "NBBO", ABC).of(OPEN_NS, is_close=False) == Official(
        OPEN_NS + 5, 1002, 900, "official opening print of XNYS: 900 at 10.02 (row 1)"
    )
