"""Each pane by itself, from a frozen model: what its rows and lines say."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.message import Message

from engine.domain.clock import NS_PER_S
from engine.domain.money import Money, Price, Qty
from engine.domain.order import OrderState, OrderType, Side
from engine.views import CostView, HoursView, SourceView
from tests.screens import frozen
from widgets.alerts import AlertBook, PriceAlert, alerts_of, read_alert
from widgets.alerts_panel import price_rows
from widgets.blotter import PRICE_WIDTH, TYPES, order_row
from widgets.exposure_panel import exposure_rows
from widgets.fills_panel import fee_words, fill_row
from widgets.formats import fit, fit_number
from widgets.frame import frame_of
from widgets.live_table import Column, LiveTable, Row, words_of
from widgets.position_strip import day_content
from widgets.price_chart import ChartModel, Mark, chart_lines
from widgets.risk_panel import limit_rows
from widgets.row_filter import read_filter
from widgets.sources_panel import source_row
from widgets.status_bar import hours_words
from widgets.tca_panel import TcaModel, tca_lines
from widgets.venues_panel import broker_row, feed_row
from widgets.watch_list import change_words, sparkline, watch_row

NAMES = ("id", "sym", "qty", "time")
ROW = {"id": "P104", "sym": "AAPL", "qty": "5000", "time": "14:42:07", "note": "outside price band (5%)"}


@pytest.mark.parametrize(
    ("line", "is_shown"),
    [
        ("", True),
        ("aapl", True),
        ("aapl msft", False),
        ("aapl|msft", True),
        ("-aapl", False),
        ("-msft p104", True),
        ("sym:AAP", True),
        ("sym:msft|aapl", True),
        ("sym=aap", False),
        ("sym=aapl", True),
        ("qty>100", True),
        ("qty>=5,000", True),
        ("qty<5000", False),
        ("time>14:30", True),
        ("time<14:42:07", False),
        ('"price band"', True),
        ('"band price"', False),
        ("band (5%)", True),
        ("(.*)+$", False),
        ("sym:", True),
        ("-", False),
    ],
)
def test_a_filter_holds_what_its_words_say(line: str, is_shown: bool) -> None:
    found = read_filter(line, NAMES)
    assert found.error == ""
    assert found.passes(ROW) is is_shown


def test_a_wrong_number_in_a_filter_is_named_and_hides_nothing() -> None:
    found = read_filter("aapl qty>many", NAMES)
    assert "'many'" in found.error
    assert "qty>100" in found.error
    assert found.passes({})


@given(line=st.text(max_size=60))
def test_no_filter_line_ever_fails(line: str) -> None:
    read_filter(line, NAMES).passes(ROW)


def test_a_limit_is_a_bar_with_its_line_of_the_policy_and_what_is_unknown_says_so() -> None:
    rows = {row.id: words_of(row) for row in limit_rows(frozen.working_day().limits)}
    assert rows["GROSS_MAX/PAPER"] == (
        " gross exposure PAPER [######    ] 62% 12,214,300.00 USD 20,000,000 USD policy.yaml:50"
    )
    assert "not known ? ? 200 % policy.yaml:54" in rows["LEVERAGE_MAX/PAPER"]
    assert rows["POSITION_MAX/AAPL"].endswith("100% 50,000 50,000 policy.yaml:46 FULL")


def test_exposure_is_in_four_sections_with_the_largest_first() -> None:
    rows = exposure_rows(frozen.working_day().exposures)
    assert [row.id for row in rows if row.is_rule] == ["#symbol", "#source", "#broker", "#currency"]
    assert [row.id for row in rows[1:5]] == ["symbol/AAPL", "symbol/MSFT", "symbol/BTCUSD", "symbol/ESZ6"]
    assert words_of(rows[2]) == " MSFT 42,112.00 -42,112.00 0.00 -42,112.00   [####      ] 40%"
    assert "?" in words_of(rows[4])


def tca(order_id: str, cost: CostView | None, width: int = 78) -> str:
    order = next(order for order in frozen.working_day().orders if order.order_id == order_id)
    return "\n".join(
        words for words, _ in tca_lines(TcaModel(order=order, cost=cost, digits=2, now_ns=frozen.NOW_NS), width)
    )


def test_tca_says_what_was_paid_and_what_is_not_measured() -> None:
    shown = tca("P104", frozen.working_day().costs[0])
    assert "arrival 189.020  avg 189.064  slip +2.3bp" in shown
    assert "timing +1.6bp  execution +0.7bp  fees +0.2bp" in shown
    assert "venue   XSIM 58.3%  XSIX 41.7%" in shown
    assert "(-0.4bp against it)" in shown
    assert "after   0.1s -0.2bp, 1s +0.1bp, 10s +0.4bp (3 of 4), 60s not yet (+ went our way)" in " ".join(
        shown.split("\n        ")
    )
    assert "queue   ~1,300 ahead, estimated from the depth" in shown


def test_tca_invents_nothing() -> None:
    assert "arrival not known" in tca("P104", None)
    order = next(order for order in frozen.working_day().orders if order.order_id == "P104")
    for age_s, words in ((1, "arrival is worked out each second"), (2, "arrival not known: no quote was journaled")):
        model = TcaModel(order=order, cost=None, digits=2, now_ns=order.created_ns + age_s * NS_PER_S)
        assert words in [line for line, _ in tca_lines(model, 78)]
    bare = CostView(order_id="P105", arrival=Price("421.5"), arrival_ns=0)
    shown = tca("P105", bare)
    assert "avg none yet  slip none yet" in shown
    assert "nothing has filled yet" in shown
    assert "the engine was started again since" in shown
    cut = msgspec.structs.replace(frozen.working_day().costs[0], timing_bp=None, market_qty=None, markouts=())
    assert "after   no tape holds the prices after its fills" in tca("P104", cut)
    assert "a child was sent without a journaled quote" in tca("P104", cut)


@pytest.mark.parametrize("width", [30, 44, 78])
def test_tca_breaks_its_lines_between_words(width: int) -> None:
    shown = tca("P104", frozen.working_day().costs[0], width)
    assert all(len(line) <= width for line in shown.splitlines())


def model(*marks: Mark) -> ChartModel:
    view = frozen.working_day()
    return ChartModel("AAPL", tuple(bar for bar in view.bars if bar.symbol == "AAPL"), marks, 2)


def test_a_chart_shows_prices_minutes_volume_and_each_fill_by_its_letter() -> None:
    bars = model().bars
    lines = chart_lines(
        model(Mark(bars[5].ts_ns, bars[5].close, Side.BUY), Mark(bars[9].ts_ns, bars[9].close, Side.SELL)), 60, 12
    )
    words = ["".join(part for part, _ in line) for line in lines]
    assert len(lines) == 12
    assert max(map(len, words)) <= 60
    body = [line[8:] for line in words[:-2]]
    assert [sum(line.count(letter) for line in body) for letter in "BS"] == [1, 1]
    columns = {letter: next(line.index(letter) for line in body if letter in line) for letter in "BS"}
    assert columns == {"B": 5, "S": 9}
    assert "14:15" in words[-2]
    assert words[-1].lstrip().startswith("vol ")
    prices = [Decimal(line[:7].strip()) for line in words[:-2:2]]
    assert prices == sorted(prices, reverse=True)


def test_no_price_stands_twice_at_a_chart_whose_rows_are_finer_than_the_tick() -> None:
    bar = msgspec.structs.replace(
        model().bars[0], open=Price("189.40"), high=Price("189.43"), low=Price("189.40"), close=Price("189.43")
    )
    labels = [line[0][0].strip() for line in chart_lines(ChartModel("AAPL", (bar,), (), 2), 60, 22)[:-2]]
    assert [label for label in labels if label] == ["189.43", "189.42", "189.41", "189.40"]


@pytest.mark.parametrize("change", ["+0", "0", "+0.4", "-1.25", ""])
def test_a_change_has_two_decimals_and_its_sign(change: str) -> None:
    quote = msgspec.structs.replace(frozen.working_day().quotes[0], change_pct=change)
    assert change_words(quote) == {"+0": "0.00", "0": "0.00", "+0.4": "+0.40", "-1.25": "-1.25", "": ""}[change]


def test_what_waits_says_for_what_and_no_share_done() -> None:
    order = msgspec.structs.replace(
        frozen.order("P9", OrderState.NEW), algo="when", waits="when SPY >= 700", note="when SPY >= 700"
    )
    assert words_of(order_row(order, "1s", 2)).endswith(" when SPY >= 700")
    assert "WHEN" not in words_of(order_row(order, "1s", 2))


@pytest.mark.parametrize("size", [(10, 3), (19, 12), (60, 4), (300, 40), (21, 5)])
def test_a_chart_never_fails_on_a_size(size: tuple[int, int]) -> None:
    lines = chart_lines(model(), *size)
    assert lines
    empty = chart_lines(ChartModel("AAPL", (), (), 2), *size)
    assert "".join(part for part, _ in empty[0]).strip()


def test_a_market_that_stands_still_is_drawn() -> None:
    flat = [
        msgspec.structs.replace(bar, open=Price(5), high=Price(5), low=Price(5), close=Price(5), volume=Qty(0))
        for bar in model().bars
    ]
    assert chart_lines(ChartModel("AAPL", tuple(flat), (), 2), 60, 10)


def test_a_sparkline_rises_with_its_values() -> None:
    assert sparkline([Price(n) for n in range(1, 9)]) == "▁▂▃▄▅▆▇█"
    assert sparkline([Price(5)] * 3) == "▄▄▄"
    assert sparkline([]) == ""


def test_a_stale_price_is_a_word_and_no_number() -> None:
    quote = msgspec.structs.replace(frozen.quotes()[0], stale=True, ts_ns=frozen.NOW_NS - 4_000_000_000)
    row = words_of(watch_row(quote, 2, "▁▂", frozen.NOW_NS))
    assert "STALE 4.0s" in row
    assert "189" not in row


def test_alerts_are_read_set_reached_once_and_taken_away() -> None:
    book = AlertBook()
    view = frozen.working_day()
    alert = read_alert("aapl > 189.05", ["AAPL"])
    assert alert == PriceAlert("AAPL", True, Decimal("189.05"))
    assert isinstance(alert, PriceAlert)
    far = PriceAlert("MSFT", False, Decimal(400))
    book.toggle(alert)
    book.toggle(far)
    assert book.check(view, 7) == [alert]
    assert book.check(view, 8) == []
    reached = alerts_of(view, book.alerts)[0]
    assert (reached.group, reached.words, reached.state) == ("reached", "AAPL > 189.05", "REACHED")
    shown = [words_of(row) for row in price_rows([far], frame_of(view, frozen.NOW_NS))]
    assert shown == [" MSFT < 400.00 21.50 away"]
    assert "taken away" in book.toggle(far)
    assert len(book.alerts) == 1


def test_a_stale_price_reaches_no_alert() -> None:
    book = AlertBook()
    book.toggle(PriceAlert("AAPL", True, Decimal(1)))
    view = frozen.working_day()
    stale = tuple(msgspec.structs.replace(quote, stale=True) for quote in view.quotes)
    assert book.check(msgspec.structs.replace(view, quotes=stale), 1) == []


@pytest.mark.parametrize("words", ["AAPL 190", "NOSUCH > 5", "AAPL > many", "AAPL > nan", "> 5", ""])
def test_a_wrong_alert_says_what_was_expected(words: str) -> None:
    found = read_alert(words, ["AAPL"])
    assert isinstance(found, str)
    assert "AAPL > 190.00" in found


def test_limits_that_come_near_are_warned_of() -> None:
    states = [alert.state.split()[0] for alert in alerts_of(frozen.working_day())]
    assert states == ["NOT", "100%", "85%"], "the worst stands first"


def test_sources_and_fills_say_their_state_in_words() -> None:
    row = source_row(SourceView(name="BuyTheDip", state="disabled", why="kept executing", parents=2))
    assert words_of(row) == " BuyTheDip DISABLED 2  kept executing"
    late = msgspec.structs.replace(frozen.working_day().fills[0], late=True)
    assert words_of(fill_row(late, 1)).endswith("0.35 USD LATE maker")


@pytest.mark.parametrize(
    ("fee", "words"),
    [("0", "0.00"), ("0.35", "0.35"), ("-0.14", "-0.14"), ("0.0012", "0.0012"), ("-0.0000123", "-0.00001")],
)
def test_a_fee_has_the_sign_of_the_ledger_and_is_never_shown_as_nothing(fee: str, words: str) -> None:
    assert fee_words(Money(fee)) == words


def test_what_an_empty_chart_waits_for_is_read_in_full() -> None:
    words = " ".join(part.strip() for line in chart_lines(ChartModel("AAPL", (), (), 2), 40, 8) for part, _ in line)
    assert words == "no trades yet: a chart begins with the market's first print"


@given(
    words=st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), max_size=40),
    width=st.integers(0, 30),
)
def test_what_does_not_fit_is_cut_between_words_only(words: str, width: int) -> None:
    shown = fit(words, width)
    assert len(shown) == width
    if len(words) > width > 2:
        kept = shown.rstrip().removesuffix("..")
        assert words.startswith(kept)
        assert not kept or not words[len(kept) :] or not (kept[-1].isalnum() and words[len(kept)].isalnum())


def test_the_frozen_day_has_every_state_that_a_row_can_show() -> None:
    shown = {order.state for order in frozen.working_day().orders}
    assert shown >= {
        OrderState.UNKNOWN,
        OrderState.STAGED,
        OrderState.DENIED,
        OrderState.PARTIALLY_FILLED,
        OrderState.FILLED,
    }


def test_each_venue_is_a_row_with_what_it_last_said() -> None:
    status = frozen.working_day().status
    assert words_of(broker_row(status.brokers[0])) == " paper UP 12s 2/7 1 of 41 2"
    down = msgspec.structs.replace(status.brokers[0], state="down", reconciled_s=None, latency_ms=None, sent=0)
    assert words_of(broker_row(down)) == " paper DOWN 2   never compared"
    assert [words_of(feed_row(feed, status.ts_ns)) for feed in status.feeds[:2]] == [
        " XSIC LIVE 0s   feed of 1 symbol",
        " XSIF STALE 14s   feed of 1 symbol",
    ]


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        (HoursView(calendar="XNYS", state="open", next_ns=frozen.NOW_NS + 197 * 60 * NS_PER_S), ["XNYS open 3h17m"]),
        (HoursView(calendar="XNYS", state="open", next_ns=frozen.NOW_NS + 59 * NS_PER_S, is_early=True), ["XNYS open 59s EARLY CLOSE"]),
        (HoursView(calendar="XNYS", state="closed", next_ns=frozen.NOW_NS + 51 * 3600 * NS_PER_S), ["XNYS opens in 2d03h"]),
        (HoursView(calendar="XNYS", state="unknown"), ["XNYS hours unknown"]),
        (HoursView(calendar="24x7", state="open"), ["24x7 open"]),
    ],
)  # fmt: skip
def test_the_status_bar_says_when_a_market_opens_or_closes(hours: HoursView, said: list[str]) -> None:
    assert [words for words, _ in hours_words((hours,), frozen.NOW_NS)] == said
    beside = HoursView(calendar="24x7", state="open")
    if hours != beside:
        assert [words for words, _ in hours_words((beside, hours), frozen.NOW_NS)] == said


@pytest.mark.parametrize("width", [100, 110, 120, 150, 200])
def test_a_source_is_named_with_its_state_or_counted(width: int) -> None:
    sources = tuple(SourceView(name=f"Strategy{number}", state="off", why="", parents=0) for number in range(6))
    view = msgspec.structs.replace(frozen.working_day(), status=frozen.status(sources=sources))
    line = day_content(view, width).plain
    assert len(line) <= width
    assert line.count("Strategy") == line.count(" OFF")
    left = 6 - line.count("Strategy")
    assert f"+{left} source" in line or not left or len(line) > width - 14
    assert "[" not in line or "]" in line, "a bar is whole or left out"


PRICES: tuple[tuple[str, dict[str, str], str], ...] = (
    ("market_if_touched", {"stop": "188.9"}, "MIT 188.90"),
    ("limit_if_touched", {"stop": "8.9", "limit": "8.95"}, "LIT 8.90/8.95"),
    ("limit_if_touched", {"stop": "188.9", "limit": "188.95"}, "LIT 188.90"),
    ("market_to_limit", {}, "MTL"),
    ("market_to_limit", {"limit": "188.9"}, "MTL 188.90"),
    ("trailing_stop", {"trail": "0.5"}, "TRL 0.50"),
    ("stop_limit", {"stop": "188.4", "limit": "188.1"}, "STL 188.10"),
)


@pytest.mark.parametrize(("kind", "prices", "said"), PRICES)
def test_the_price_of_every_kind_of_order_fits_its_cell(kind: str, prices: dict[str, str], said: str) -> None:
    terms = {"limit": None, **{name: Price(price) for name, price in prices.items()}}
    row = order_row(msgspec.structs.replace(frozen.order("P9", type=kind), **terms), "1s", 2)
    assert row.words(4) == said
    assert not fit_number(row.words(4), PRICE_WIDTH).startswith("#")
    both = f"{row.words(4)} {row.words(12)}"
    assert all(price in both for price in prices.values())


def test_no_kind_of_order_is_without_a_short_word() -> None:
    assert set(TYPES) == {*OrderType}


def test_what_has_no_column_is_in_the_note() -> None:
    row = order_row(frozen.order("P9", display=Qty(100), venue="SIMB", flags="post-only"), "1s", 2)
    assert row.words(12) == "show 100 at SIMB post"


@pytest.mark.parametrize(
    ("steps", "follow", "at"),
    [
        (-100_000, False, "r0"),
        (100_000, False, "r4"),
        (1, False, "r0"),
        (-1, False, "r4"),
        (-100_000, True, "r0"),
        (100_000, True, "r4"),
        (-1, True, "r4"),
    ],
)
def test_with_no_row_selected_the_cursor_goes_where_the_key_says(steps: int, follow: bool, at: str) -> None:
    table = Quiet([Column("id", 4)], title="t", empty="e", id="t")
    table.show([Row("#head", ("head",), is_rule=True), *(Row(f"r{number}", (f"r{number}",)) for number in range(5))])
    table.follow = follow
    table.move(steps)
    assert table.selected == at


class Quiet(LiveTable):
    """A table on no screen: there is nothing to scroll and nobody to tell."""

    def select(self, row_id: str, *, in_place: bool = False) -> None:
        self.selected = row_id

    def post_message(self, message: Message) -> bool:
        return True
