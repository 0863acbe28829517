"""Opening and closing auctions at the paper venue: call phase, cut-off, one price, shares, and what a restart keeps."""

import pytest

from brokers.paper.auction_rules import AuctionRules
from brokers.paper.auctions import pro_rata
from brokers.paper.config import VenueConfig, VenueState
from brokers.paper.latency import NO_LATENCY
from brokers.paper.venue import VenueCore
from engine.domain.events import decoder, encode
from engine.domain.money import Money
from engine.domain.order import Side, Tif
from engine.market.calendar import SessionTable
from engine.market.official import CLOSE_PRINT, OPEN_PRINT, Mark, officials_of
from engine.market.rows import ADD, HIDDEN
from tests.paper_venue.lab import ABC, ME, START, STEP, B, Lab, S, plain_book

OPEN_NS, CLOSE_NS = START + 1_000_000, START + 2_000_000
SESSION = SessionTable(name="T", days=("d",), opens=(OPEN_NS,), closes=(CLOSE_NS,))
RULES = AuctionRules(open_call_ns=900_000, open_cut_off_ns=100_000, close_cut_off_ns=200_000)
CONFIG = VenueConfig(latency=NO_LATENCY, cash={"USD": Money(1_000_000)}, auctions=RULES)


def at(lab: Lab, ts_ns: int) -> Lab:
    lab.now = ts_ns
    lab.core.advance(ts_ns)
    return lab


def closing(side: Side = Side.BUY, qty: int = 100, limit: str | None = None, lab: Lab | None = None) -> tuple[Lab, str]:
    """A venue in its session with a plain book, and an order for its close."""
    made = lab or plain_book(at(Lab(CONFIG, calendar=SESSION), OPEN_NS + 1_000))
    return made, made.order(side, qty, limit, tif=Tif.CLS)


def test_orders_for_the_close_are_done_at_its_last_print() -> None:
    lab, wire_id = closing()
    lab.hidden(S, 1002, 7)
    lab.hidden(S, 1003, 7)
    assert lab.traded() == [], "it takes no part in what trades before"
    assert lab.core.order(ME, wire_id).is_open  # type: ignore[union-attr]
    at(lab, CLOSE_NS)
    assert lab.traded() == [("10.03", "100")]
    assert lab.fills[0].guessed
    assert lab.fills[0].note == "the session's last print"
    assert lab.status(wire_id) == "filled"


@pytest.mark.parametrize(
    ("side", "limit", "is_done"),
    [(Side.BUY, "10.02", True), (Side.BUY, "10.01", False), (Side.SELL, "10.02", True), (Side.SELL, "10.03", False)],
)
def test_a_limit_bounds_the_one_price(side: Side, limit: str, is_done: bool) -> None:
    lab, wire_id = closing(side, 10, limit)
    lab.hidden(S, 1002, 7)
    if side is Side.SELL:
        lab.add(9, B, 1002, 500)
        lab.hidden(S, 1002, 7)
    at(lab, CLOSE_NS)
    assert lab.status(wire_id) == ("filled" if is_done else "cancelled")
    assert [price for price, _ in lab.traded()] == ["10.02"] * is_done


def test_what_there_is_is_shared_by_size_and_the_rest_ends() -> None:
    """150 stand at 10.02 in the plain book."""
    lab, first = closing(qty=200)
    _, second = closing(qty=100, lab=lab)
    lab.hidden(S, 1002, 7)
    at(lab, CLOSE_NS)
    assert lab.traded() == [("10.02", "100"), ("10.02", "50")]
    assert [lab.status(one) for one in (first, second)] == ["cancelled"] * 2
    assert not lab.core.open_orders(ME)


@pytest.mark.parametrize(
    ("wants", "capacity", "lot", "shares"),
    [
        ([200, 100], 150, 1, [100, 50]),
        ([200, 100], 300, 1, [200, 100]),
        ([1, 1, 1], 2, 1, [1, 1, 0]),
        ([300, 300], 500, 100, [300, 200]),
        ([300, 300], 99, 100, [0, 0]),
        ([], 5, 1, []),
    ],
)
def test_shares(wants: list[int], capacity: int, lot: int, shares: list[int]) -> None:
    assert pro_rata(wants, capacity, lot) == shares


def test_after_the_cut_off_nothing_comes_and_nothing_goes() -> None:
    lab, wire_id = closing()
    at(lab, CLOSE_NS - RULES.close_cut_off_ns - 2 * STEP)
    _, early = closing(qty=50, lab=lab)
    lab.cancel(early)
    assert lab.status(early) == "cancelled"
    at(lab, CLOSE_NS - RULES.close_cut_off_ns)
    _, late = closing(qty=50, lab=lab)
    assert lab.status(late) == "rejected"
    lab.cancel(wire_id)
    lab.amend(wire_id, 50)
    assert lab.names()[-3:] == ["CUT_OFF", "NO_CANCEL", "NO_CANCEL"]
    lab.hidden(S, 1002, 7)
    at(lab, CLOSE_NS)
    assert lab.traded() == [("10.02", "100")]


def test_orders_for_the_open_wait_for_its_first_print() -> None:
    lab = at(Lab(CONFIG, calendar=SESSION), START)
    early = lab.order(Side.BUY, 10, tif=Tif.OPG)
    assert lab.names() == ["AUCTION_EARLY"]
    at(lab, START + 200_000)
    wire_id = lab.order(Side.BUY, 10, tif=Tif.OPG)
    day = lab.order(Side.BUY, 10)
    assert [lab.status(one) for one in (early, wire_id, day)] == ["rejected", "new", "rejected"]
    at(lab, OPEN_NS - RULES.open_cut_off_ns)
    assert lab.status(lab.order(Side.BUY, 10, tif=Tif.OPG)) == "rejected"
    lab.cancel(wire_id)
    assert lab.names()[-2:] == ["CUT_OFF", "NO_CANCEL"]
    plain_book(at(lab, OPEN_NS))
    assert lab.traded() == []
    lab.hidden(S, 1001, 40)
    assert lab.traded() == [("10.01", "10")]
    assert lab.status(lab.order(Side.BUY, 10, tif=Tif.OPG)) == "rejected"
    assert lab.names()[-1] == "AUCTION_OVER"
    lab.hidden(S, 1002, 40)
    assert len(lab.traded()) == 1


def test_an_opening_that_never_comes_ends_its_orders() -> None:
    lab = at(Lab(CONFIG, calendar=SESSION), START + 200_000)
    wire_id = lab.order(Side.BUY, 10, tif=Tif.OPG)
    at(lab, CLOSE_NS)
    assert lab.status(wire_id) == "cancelled"
    assert lab.traded() == []


# -- official prints -------------------------------------------------------------------------------------------------------

LATE_NS = 300_000
"""How far behind its open, or its close, an exchange prints its auction here."""


def marked(*kinds_and_sizes: tuple[int, str, int], lab: Lab) -> Lab:
    """A venue whose recording marks prints at 10.05: of a kind, of an exchange, of a size."""
    marks = [
        Mark((OPEN_NS if kind == OPEN_PRINT else CLOSE_NS) + LATE_NS, kind, exchange, 1005, qty, 77)
        for kind, exchange, qty in kinds_and_sizes
    ]
    lab.core.auctions.officials[lab.key] = officials_of(marks, SESSION, "NBBO", ABC)
    return lab


def test_the_official_opening_is_waited_for_and_bounds_the_size() -> None:
    """The book holds 150 at 10.02, and nothing of it belongs to the auction."""
    lab = marked((OPEN_PRINT, "XNYS", 120), lab=at(Lab(CONFIG, calendar=SESSION), START + 200_000))
    first, second = (lab.order(Side.BUY, qty, tif=Tif.OPG) for qty in (100, 50))
    plain_book(at(lab, OPEN_NS))
    lab.hidden(S, 1001, 40)
    at(lab, OPEN_NS + LATE_NS - 1)
    assert lab.traded() == [], "the first print of the session is not the official one"
    at(lab, OPEN_NS + LATE_NS)
    assert lab.traded() == [("10.05", "80"), ("10.05", "40")]
    said = "official opening print of XNYS: 120 at 10.05 (row 77)"
    assert {fill.note for fill in lab.fills} == {said}
    ends = [lab.core.order(ME, one) for one in (first, second)]
    assert [one.text for one in ends if one is not None] == [
        f"the auction at 10.05 left nothing more for it: {said}"
    ] * 2
    assert all(fill.ts_ns == OPEN_NS + LATE_NS for fill in lab.fills)


def test_the_official_closing_comes_behind_the_close() -> None:
    lab, wire_id = closing(
        qty=100,
        lab=marked((CLOSE_PRINT, "XNYS", 900), lab=plain_book(at(Lab(CONFIG, calendar=SESSION), OPEN_NS + 1_000))),
    )
    lab.hidden(S, 1002, 7)
    at(lab, CLOSE_NS + LATE_NS - 1)
    assert (lab.traded(), lab.status(wire_id)) == ([], "new")
    at(lab, CLOSE_NS + LATE_NS)
    assert lab.traded() == [("10.05", "100")]
    assert lab.fills[0].note == "official closing print of XNYS: 900 at 10.05 (row 77)"


def test_a_limit_bounds_an_official_print_too() -> None:
    lab = marked((CLOSE_PRINT, "XNYS", 900), lab=plain_book(at(Lab(CONFIG, calendar=SESSION), OPEN_NS + 1_000)))
    _, wire_id = closing(limit="10.04", lab=lab)
    at(lab, CLOSE_NS + LATE_NS)
    assert (lab.traded(), lab.status(wire_id)) == ([], "cancelled")


def test_where_no_print_can_be_told_to_be_its_own_the_session_has_its_first_and_last_and_says_why() -> None:
    marks = [(kind, exchange, 50) for kind in (OPEN_PRINT, CLOSE_PRINT) for exchange in ("XNYS", "XNAS")]
    lab = marked(*marks, lab=at(Lab(CONFIG, calendar=SESSION), START + 200_000))
    lab.order(Side.BUY, 10, tif=Tif.OPG)
    plain_book(at(lab, OPEN_NS))
    lab.hidden(S, 1002, 40)
    closing(qty=20, lab=lab)
    at(lab, CLOSE_NS)
    assert lab.traded() == [("10.02", "10"), ("10.02", "20")]
    why = "as XNAS, XNYS mark an official one each, and none names the primary exchange (--instrument ABC:mic=)"
    assert [fill.note for fill in lab.fills] == [f"the session's {word} print, {why}" for word in ("first", "last")]


def test_an_opening_that_follows_a_halt_leaves_who_waits_for_the_official_print() -> None:
    lab = marked((OPEN_PRINT, "XNYS", 120), lab=at(Lab(CONFIG, calendar=SESSION), START + 200_000))
    wire_id = lab.order(Side.BUY, 10, tif=Tif.OPG)
    lab.halt(True)
    plain_book(at(lab, OPEN_NS))
    lab.halt(False)
    assert (lab.traded(), lab.status(wire_id)) == ([], "new")
    at(lab, OPEN_NS + LATE_NS)
    assert lab.traded() == [("10.05", "10")]


@pytest.mark.parametrize("tif", [Tif.OPG, Tif.CLS])
def test_a_venue_that_never_closes_has_no_auction(tif: Tif) -> None:
    lab = plain_book(Lab(CONFIG))
    assert lab.status(lab.order(Side.BUY, 10, tif=tif)) == "rejected"
    assert lab.names()[-1] == "NO_AUCTION"


def test_an_auction_takes_plain_orders_only() -> None:
    lab, _ = closing()
    lab.order(Side.BUY, 10, stop="10.10", tif=Tif.CLS)
    lab.order(Side.BUY, 10, "10.00", post_only=True, tif=Tif.CLS)
    assert lab.names()[-2:] == ["BAD_ORDER"] * 2


def test_a_restarted_venue_still_holds_them() -> None:
    lab, wire_id = closing()
    lab.hidden(S, 1002, 7)
    state = decoder(VenueState).decode(encode(lab.core.state()))
    again = VenueCore(CONFIG, lambda _account, _event: None, lambda _tick: None)
    again.list_instrument(ABC, "XNAS", SESSION)
    again.load_state(state)
    again.on_row(lab.key, (lab.now + STEP, *_ask(1002, 500), 900))
    again.on_row(lab.key, (lab.now + 2 * STEP, *_print(1002, 7), 901))
    again.advance(CLOSE_NS)
    found = again.order(ME, wire_id)
    assert found is not None
    assert (found.status, str(again.positions(ME)[0].qty)) == ("filled", "100")


def _ask(price: int, qty: int) -> tuple[int, int, int, int, int]:
    return ADD, S, 99, price, qty


def _print(price: int, qty: int) -> tuple[int, int, int, int, int]:
    return HIDDEN, S, 0, price, qty
