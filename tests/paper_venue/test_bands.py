"""Price bands: refused limits, bounded market orders, a pause with stops asleep, and the reopening."""

from decimal import Decimal
from pathlib import Path

import pytest

from brokers.paper.bands import Band, read_bands
from brokers.paper.config import VenueConfig
from brokers.paper.latency import NO_LATENCY
from engine.domain.clock import NS_PER_S
from engine.domain.errors import SettingsError
from engine.domain.money import Money
from engine.domain.order import Side, Tif
from engine.market.feed import StatusTick
from tests.paper_venue.lab import B, Lab, S, plain_book

CONFIG = VenueConfig(
    latency=NO_LATENCY, cash={"USD": Money(1_000_000)}, bands={"ABC": Band(pct=Decimal(1), pause_s=60)}
)


def banded() -> Lab:
    """A plain book around 10.01, and a first print at 10.00: the band is 9.90 to 10.10."""
    lab = plain_book(Lab(CONFIG))
    lab.hidden(B, 1000, 1)
    return lab


def states(lab: Lab) -> list[str]:
    return [tick.status for tick in lab.ticks if isinstance(tick, StatusTick)]


@pytest.mark.parametrize(
    ("side", "limit", "is_taken"),
    [
        (Side.BUY, "10.10", True),
        (Side.BUY, "10.11", False),
        (Side.BUY, "9.00", True),
        (Side.SELL, "9.90", True),
        (Side.SELL, "9.89", False),
        (Side.SELL, "11.00", True),
    ],
)
def test_a_limit_that_could_only_trade_beyond_is_refused(side: Side, limit: str, is_taken: bool) -> None:
    lab = banded()
    lab.order(side, 5, limit)
    assert ("PRICE_BAND" in lab.names()) is not is_taken


def test_new_terms_beyond_are_refused_and_the_old_ones_stand() -> None:
    lab = banded()
    wire_id = lab.buy(5, "9.95")
    lab.amend(wire_id, 5, "10.11")
    assert lab.names()[-1] == "PRICE_BAND"
    assert lab.status(wire_id) == "new"


def test_a_market_order_takes_nothing_beyond() -> None:
    lab = banded()
    lab.add(50, S, 1011, 500)
    wire_id = lab.buy(10_000)
    assert max(float(price) for price, _ in lab.traded()) <= 10.10
    assert lab.status(wire_id) == "cancelled"


def test_a_print_beyond_halts_and_stops_sleep_until_it_reopens() -> None:
    lab = banded()
    stop = lab.sell(5, stop="9.95")
    rest = lab.buy(5, "9.86")
    lab.hidden(B, 989, 1)
    assert states(lab)[-1] == "halted"
    assert lab.status(lab.order(Side.BUY, 5, tif=Tif.IOC)) == "rejected"
    assert lab.names()[-1] == "HALTED"
    assert [lab.status(one) for one in (stop, rest)] == ["new", "new"], "the print that halted it triggered nothing"
    lab.hidden(B, 985, 1)
    assert [lab.status(one) for one in (stop, rest)] == ["new", "new"]
    lab.now += 60 * NS_PER_S
    lab.core.advance(lab.now)
    assert states(lab)[-1] == "open"
    assert lab.core.bands.pauses == 1
    lab.hidden(B, 992, 1)
    assert lab.status(stop) == "filled", "the next print wakes it"
    lab.buy(1, "10.10")
    assert lab.names()[-1] != "PRICE_BAND", "the reference is 9.85, drawn to the bid at 10.00"
    lab.buy(1, "10.11")
    assert lab.names()[-1] == "PRICE_BAND"


def test_a_symbol_without_a_band_has_none() -> None:
    lab = plain_book(Lab())
    lab.hidden(B, 1000, 1)
    lab.hidden(B, 500, 1)
    assert states(lab) == []


def test_the_file_is_read_whole_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "bands.json"
    assert read_bands(path) == {}
    path.write_text('{"AAPL": {"pct": "5"}}', encoding="utf-8")
    assert read_bands(path) == {"AAPL": Band(pct=Decimal(5), pause_s=300)}
    for text in (
        "{",
        '{"AAPL": {}}',
        '{"AAPL": {"pct": "0"}}',
        '{"AAPL": {"pct": "5", "pause_s": 0}}',
        '{"AAPL": {"pct": "5", "x": 1}}',
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError, match=r"bands\.json"):
            read_bands(path)
