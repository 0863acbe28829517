"""Trading against bars: the worst way that each bar allows, and a share of its volume."""

from engine.domain.order import Side, Tif
from engine.market.rows import BAR, END, QUOTE, TRADE
from tests.paper_venue.lab import B, Lab, S


def begin(lab: Lab, first: int, high: int, low: int, volume: int) -> None:
    """A bar begins, and makes a quote around its open."""
    number = lab.rows + 1
    for row in (
        (BAR, B, low, high, volume),
        (BAR, S, high, low, volume),
        (QUOTE, B, 0, first - 1, volume),
        (QUOTE, S, 0, first + 1, volume),
    ):
        lab.rows = number - 1
        lab.row(*row, wait=0)
    lab.now += 1_000


def close(lab: Lab, price: int, volume: int) -> None:
    """It ends."""
    number = lab.rows
    for row in (
        (TRADE, 0, 0, price, volume),
        (END, 0, 0, 0, 0),
        (QUOTE, B, 0, price - 1, volume),
        (QUOTE, S, 0, price + 1, volume),
    ):
        lab.rows = number - 1
        lab.row(*row, wait=0)
    lab.now += 1_000


def bar(lab: Lab, first: int, high: int, low: int, last: int, volume: int = 10_000) -> None:
    begin(lab, first, high, low, volume)
    close(lab, last, volume)


def test_what_takes_pays_the_worst_price_of_its_bar_for_a_share_of_the_volume() -> None:
    lab = Lab(by_bar=True)
    begin(lab, 1000, 1005, 990, 2_000)
    lab.buy(50)
    assert lab.traded() == [("10.05", "50")]
    lab.sell(50)
    assert lab.traded()[1] == ("9.9", "50")
    over = lab.buy(300)
    assert lab.traded()[2] == ("10.05", "100"), "10 % of 2,000 less what we had"
    assert lab.status(over) == "cancelled"
    assert all(fill.guessed for fill in lab.fills)


def test_a_limit_that_does_not_reach_the_worst_price_rests() -> None:
    lab = Lab(by_bar=True)
    begin(lab, 1000, 1005, 990, 10_000)
    mine = lab.buy(50, "10.04")
    assert lab.status(mine) == "new"
    assert lab.status(lab.buy(50, "10.04", tif=Tif.IOC)) == "cancelled"


def test_a_touch_fills_nothing_and_the_bar_it_came_in_neither() -> None:
    lab = Lab(by_bar=True)
    begin(lab, 1000, 1005, 980, 10_000)
    mine = lab.buy(50, "9.90")
    close(lab, 1000, 10_000)
    assert lab.traded() == [], "the low may have been before it came"
    bar(lab, 1000, 1002, 990, 995)
    assert lab.traded() == [], "a touch"
    bar(lab, 995, 996, 989, 990)
    assert lab.traded() == [("9.9", "50")]
    assert lab.status(mine) == "filled"


def test_resting_orders_share_the_volume_of_a_bar() -> None:
    lab = Lab(by_bar=True)
    bar(lab, 1000, 1001, 999, 1000)
    mine = lab.buy(300, "9.95")
    bar(lab, 1000, 1001, 990, 995, volume=1_000)
    assert lab.traded() == [("9.95", "100")]
    bar(lab, 1000, 1001, 990, 995, volume=1_000)
    assert lab.traded() == [("9.95", "100")] * 2
    assert lab.status(mine) == "partially_filled"


def test_a_stop_comes_before_a_limit_and_fills_at_the_worst_price() -> None:
    lab = Lab(by_bar=True)
    begin(lab, 1000, 1001, 999, 10_000)
    lab.buy(100)
    lab.order(Side.SELL, 100, stop="9.90")
    lab.order(Side.SELL, 100, "10.10", reduce_only=True)
    close(lab, 1000, 10_000)
    bar(lab, 1000, 1015, 985, 1000)
    assert lab.traded()[1:] == [("9.85", "100")], "both were reached: the stop is taken to be first"


def test_a_stop_of_this_bar_triggers_by_its_close_only() -> None:
    lab = Lab(by_bar=True)
    begin(lab, 1000, 1001, 980, 10_000)
    lab.order(Side.SELL, 10, stop="9.90")
    close(lab, 1000, 10_000)
    assert lab.traded() == []
    bar(lab, 1000, 1001, 995, 1000)
    assert lab.traded() == []


def test_between_bars_nothing_trades() -> None:
    lab = Lab(by_bar=True)
    bar(lab, 1000, 1001, 999, 1000)
    assert lab.status(lab.buy(10)) == "cancelled"
    assert lab.traded() == []
    assert lab.core.status("ABC") == "open"
    book = lab.core.book("ABC")
    assert book is not None
    assert book.bids == ((999, 1000),)


def test_a_trailing_stop_follows_the_bar_to_its_better_end_first() -> None:
    lab = Lab(by_bar=True)
    begin(lab, 1000, 1001, 999, 10_000)
    lab.buy(100)
    lab.order(Side.SELL, 100, trail="0.05", kind="trailing_stop")
    close(lab, 1000, 10_000)
    bar(lab, 1000, 1020, 1014, 1018)
    assert lab.traded()[1:] == [("10.14", "100")], "10.20 less 0.05 was touched"
