"""The order line: what it means, what it refuses, and that reading it never raises."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.clock import NS_PER_S, duration_word
from engine.domain.errors import SettingsError
from engine.domain.events import QuoteSeen
from engine.domain.instrument import make_instrument
from engine.domain.money import Price, Qty
from engine.domain.order import AUCTIONS, AlgoSpec, Link, LinkRole, OrderSpec, OrderType, Side, Source, SourceKind, Tif
from engine.intake.canonical import order_words
from engine.intake.drafts import AmendDraft, CancelDraft, Draft, GrammarError, NewOrderDraft, ReleaseDraft
from engine.intake.grammar import (
    ALGO_WORDS,
    GrammarContext,
    OrderRef,
    complete,
    parse_line,
    parse_order,
)
from engine.intake.line_words import LINE_CHARS_MAX
from engine.intake.presets import Default, Preset, Presets, check
from engine.intake.words import read_duration

INSTRUMENTS = {
    "AAPL": make_instrument("AAPL", "equity", "XSIM", "USD", "0.01"),
    "MSFT": make_instrument("MSFT", "equity", "XSIM", "USD", "0.01"),
    "BTC-USD": make_instrument("BTC-USD", "crypto_spot", "XSIM", "USD", "0.5", "0.001"),
    "BANDS": make_instrument("BANDS", "equity", "XSIM", "USD", (("0", "0.01"), ("10", "0.05"))),
    "ES": make_instrument("ES", "future", "XSIM", "USD", "0.25", multiplier="50", price_negative=True),
}
QUOTES = {
    "AAPL": QuoteSeen(bid=Price("189.05"), ask=Price("189.10"), ts_ns=5),
    "BTC-USD": QuoteSeen(bid=Price("61200"), ask=Price("61200.5")),
    "BANDS": QuoteSeen(bid=Price("9.99"), ask=Price("10.05")),
    "ES": QuoteSeen(bid=Price("5210")),
}
CONTEXT = GrammarContext(
    instruments=INSTRUMENTS,
    quote=QUOTES.get,
    orders={"P104": OrderRef("AAPL", Side.BUY), "C211": OrderRef("AAPL", Side.BUY)},
    position=lambda account, symbol: {("PAPER", "AAPL"): Qty(300), ("PAPER", "ES"): Qty(-3)}.get((account, symbol)),
)
ME = Source(SourceKind.DESK, "anna")


def order(line: str, context: GrammarContext = CONTEXT) -> OrderSpec:
    draft = parse_order(line, context)
    assert isinstance(draft, NewOrderDraft), draft
    return draft.spec


def wrong(line: str, context: GrammarContext = CONTEXT) -> GrammarError:
    error = parse_line(line, context)
    assert isinstance(error, GrammarError), error
    return error


def spec(**terms: object) -> OrderSpec:
    base = OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(100), type=OrderType.LIMIT, limit=Price("189.1"))
    return OrderSpec(**{**{name: getattr(base, name) for name in base.__struct_fields__}, **terms})


TWAP = AlgoSpec(name="twap", duration_ns=3600 * NS_PER_S)
VWAP = AlgoSpec(name="vwap", duration_ns=1800 * NS_PER_S)
MARKET = {"type": OrderType.MARKET, "limit": None}

LINES = [
    ("b 100 AAPL @189.10", spec()),
    ("BUY 100 aapl @189.10 Day", spec()),
    ("  b\t100   AAPL  @189.10  ", spec()),
    ("s 5k MSFT @mkt", spec(symbol="MSFT", side=Side.SELL, qty=Qty(5000), **MARKET)),
    ("buy 2.5m AAPL @189.1 gtc", spec(qty=Qty(2_500_000), tif=Tif.GTC)),
    ("buy 0.125 btc-usd @61200", spec(symbol="BTC-USD", qty=Qty("0.125"), limit=Price(61200))),
    ("buy 100 AAPL stop 188.4", spec(type=OrderType.STOP, limit=None, stop=Price("188.4"))),
    ("buy 100 AAPL stop 188.4 @mkt", spec(type=OrderType.STOP, limit=None, stop=Price("188.4"))),
    ("b 100 AAPL @189.10 stop 188.4", spec(type=OrderType.STOP_LIMIT, stop=Price("188.4"))),
    ("b 5000 AAPL vwap 30m", spec(qty=Qty(5000), algo=VWAP, **MARKET)),
    ("b 5000 AAPL @mkt vwap 30m", spec(qty=Qty(5000), algo=VWAP, **MARKET)),
    ("b 5k AAPL @join twap 1h ioc", spec(qty=Qty(5000), limit=Price("189.05"), tif=Tif.IOC, algo=TWAP)),
    ("b 100 AAPL @189.1 ioc", spec(tif=Tif.IOC)),
    ("b 100 AAPL fok @189.1 direct", spec(tif=Tif.FOK)),
    ("b 100 AAPL @189.1 post", spec(post_only=True)),
    ("b 100 AAPL @189.1 reduce-only post-only", spec(post_only=True, reduce_only=True)),
    ("b 100 AAPL @189.1 acct:DU1 broker:IBKR venue:xsim", spec(account="DU1", broker="ibkr", venue="XSIM")),
    (
        "b 100 AAPL twap 1h slices=12 style=passive",
        spec(algo=AlgoSpec("twap", TWAP.duration_ns, 0, {"slices": "12", "style": "passive"}), **MARKET),
    ),
    ("b 100 AAPL @join", spec(limit=Price("189.05"))),
    ("s 100 AAPL @join", spec(side=Side.SELL, limit=Price("189.1"))),
    ("b 100 AAPL @take", spec(limit=Price("189.1"))),
    ("s 100 AAPL @take", spec(side=Side.SELL, limit=Price("189.05"))),
    ("b 100 AAPL @mid", spec(limit=Price("189.07"))),
    ("s 100 AAPL @mid", spec(side=Side.SELL, limit=Price("189.08"))),
    ("b 100 AAPL @bid+2t", spec(limit=Price("189.07"))),
    ("b 100 AAPL @ask-1t", spec(limit=Price("189.09"))),
    ("b 100 BANDS @bid+2t", spec(symbol="BANDS", limit=Price("10.05"))),
    ("b 100 BANDS @ask-2t", spec(symbol="BANDS", limit=Price("9.99"))),
    ("b 1 ES @-37.5", spec(symbol="ES", qty=Qty(1), limit=Price("-37.5"))),
]


@pytest.mark.parametrize(("line", "expected"), LINES, ids=[line for line, _ in LINES])
def test_a_line_means_its_order(line: str, expected: OrderSpec) -> None:
    assert order(line) == expected


@pytest.mark.parametrize(
    ("line", "qty"),
    [
        ("b $10k AAPL @189.10", "52"),
        ("b $10k AAPL @mkt", "52"),
        ("s $10k AAPL @mkt", "52"),
        ("b $10k AAPL stop 200", "50"),
        ("b $1000 BTC-USD @61200", "0.016"),
        ("b $600k ES @5210", "2"),
    ],
)
def test_a_size_in_money_is_rounded_down_to_whole_lots(line: str, qty: str) -> None:
    assert order(line).qty == Qty(qty)


def test_the_echo_shows_what_money_and_price_words_became() -> None:
    draft = parse_order("b $10k AAPL @join", CONTEXT)
    assert isinstance(draft, NewOrderDraft)
    assert draft.echo == "buy 52 AAPL limit 189.05 day; @join = 189.05; 10000 USD at 189.05 = 52 (9830.6 USD)"
    assert draft.quote == QUOTES["AAPL"]


WRONG = [
    ("", "", 0, "b"),
    ("hold 100 AAPL", "hold", 0, "buy"),
    ("b", "", 1, "100"),
    ("b -5 AAPL @1", "-5", 2, "100"),
    ("b 1e3 AAPL @1", "1e3", 2, "100"),
    ("b 0 AAPL @1", "0", 2, "100"),
    ("b 1,5 AAPL @1", "1,5", 2, "100"),
    ("b ١٠٠ AAPL @1", "١٠٠", 2, "100"),
    ("b nan AAPL @1", "nan", 2, "100"),
    ("b 100", "", 5, "symbol"),
    ("b 100 APPL @1", "APPL", 6, "AAPL"),
    ("b 100 AAPL", "", 10, "@mkt"),
    ("b 100 AAPL direct", "", 17, "@mkt"),
    ("b 100 AAPL @", "@", 11, "@mkt"),
    ("b 100 AAPL @1e5", "@1e5", 11, "@mkt"),
    ("b 100 AAPL @mkt+1t", "@mkt+1t", 11, "@mkt"),
    ("b 100 AAPL @1 @2", "@2", 14, "day"),
    ("b 100 AAPL @1 gtc day", "day", 18, "post"),
    ("b 100 AAPL @1 foo", "foo", 14, "gtc"),
    ("b 25% AAPL @1", "25%", 2, "25%pos"),
    ("b 0%pos AAPL @1", "0%pos", 2, "25%pos"),
    ("b 50%pos MSFT @1", "50%pos", 2, "100"),
    ("b 0.1%pos AAPL @1", "0.1%pos", 2, "100"),
    ("b risk AAPL stop 1 AAPL @1", "AAPL", 7, "risk 200"),
    ("b risk 200 AAPL @1", "AAPL", 11, "risk 200"),
    ("b risk 200 stop 190 AAPL @189.10", "risk", 2, "100"),
    ("s risk 200 stop 188 AAPL @189.10", "risk", 2, "100"),
    ("b risk 0.5 stop 188 AAPL @189.10", "risk", 2, "100"),
    ("b 100 AAPL twap", "", 15, "30m"),
    ("b 100 AAPL twap 25h", "25h", 16, "30m"),
    ("b 100 AAPL twap 0s", "0s", 16, "30m"),
    ("b 100 AAPL twap 30m vwap 30m", "vwap", 20, "day"),
    ("b 100 AAPL twap 30m slices=x", "slices=x", 20, "whole number"),
    ("b 100 AAPL twap 30m style=bold", "style=bold", 20, "style=take"),
    ("b 100 AAPL twap 30m cap=5", "cap=5", 20, "slices="),
    ("b 100 AAPL @1 slices=5", "slices=5", 14, "twap"),
    ("b 100 AAPL twap 30m stop 5", "stop", 20, "limit"),
    ("b 100 AAPL twap 30m fok", "fok", 20, "gtc"),
    ("b 100 AAPL stop @join", "@join", 16, "188.40"),
    ("b 100 AAPL @1 post ioc", "post", 14, "gtc"),
    ("b 100 AAPL @mkt post", "post", 16, "@join"),
    ("b 100 MSFT @join", "@join", 11, "189.10"),
    ("b 100 ES @take", "@take", 9, "189.10"),
    ("b $5k MSFT @mkt", "$5k", 2, "189.10"),
    ("b $5 AAPL @189", "$5", 2, "100"),
    ("b $5 ES @-5", "$5", 2, "100"),
    ("b 100 BANDS @bid-999t", "@bid-999t", 12, "189.10"),
    ("b 100 AAPL @1 venue:", "venue:", 14, "NAME"),
    ("x", "", 1, "P104"),
    ("x P999", "P999", 2, "P104"),
    ("x P104 now", "now", 7, ""),
    ("x all FOO", "FOO", 6, "AAPL"),
    ("a P104", "", 6, "qty 200"),
    ("a P104 qty $5k", "$5k", 11, "100"),
    ("a P104 qty 5 qty 6", "qty", 13, "stop"),
    ("a P104 @mkt", "@mkt", 7, "189.20"),
]


@pytest.mark.parametrize(("line", "word", "position", "expected"), WRONG, ids=[row[0] for row in WRONG])
def test_the_first_wrong_word_is_named_with_what_was_expected(
    line: str, word: str, position: int, expected: str
) -> None:
    error = wrong(line)
    assert (error.word, error.position) == (word, position)
    assert any(expected in said for said in error.expected) or not expected
    assert word in error.text


def test_a_missing_quote_is_said() -> None:
    assert "MSFT has no quote" in wrong("b 100 MSFT @join").text


def test_a_line_is_bounded() -> None:
    assert "characters" in wrong("b " * LINE_CHARS_MAX).text


def test_known_routes_are_matched_without_case_and_others_refused() -> None:
    context = GrammarContext(accounts=("DU1", "DU2"), brokers=("ibkr",))
    assert order("b 1 ABC @1 acct:du2 broker:IBKR", context).account == "DU2"
    assert wrong("b 1 ABC @1 acct:x", context).expected == ("acct:DU1", "acct:DU2")


def test_without_instruments_any_symbol_is_taken_but_not_priced_by_words() -> None:
    context = GrammarContext(quote=QUOTES.get)
    assert order("b 1 xyz @5", context).symbol == "XYZ"
    assert "not known" in wrong("b 1 xyz @join", context).text


@pytest.mark.parametrize(
    ("line", "draft"),
    [
        ("x p104", CancelDraft(order_id="P104")),
        ("x all", CancelDraft()),
        ("cancel ALL aapl", CancelDraft(symbol="AAPL")),
        ("a P104 qty 200 @189.2", AmendDraft(order_id="P104", qty=Qty(200), limit=Price("189.2"))),
        ("a P104 stop 180", AmendDraft(order_id="P104", stop=Price(180))),
        ("a P104 @join", AmendDraft(order_id="P104", limit=Price("189.05"), quote=QUOTES["AAPL"])),
        ("release P104", ReleaseDraft(order_id="P104")),
    ],
)
def test_the_desks_other_lines(line: str, draft: Draft) -> None:
    assert parse_line(line, CONTEXT) == draft


def test_drafts_become_commands() -> None:
    draft = parse_line("b 100 AAPL @189.10", CONTEXT)
    assert isinstance(draft, NewOrderDraft)
    made = draft.command(ME, "i-1", staged=True)
    assert (made.spec, made.intent_id, made.staged) == (spec(), "i-1", True)
    assert CancelDraft(order_id="P104").command(ME).source == ME
    assert AmendDraft(order_id="P104", qty=Qty(5)).command(ME, "i-2").qty == Qty(5)
    assert ReleaseDraft(order_id="P104").command(ME).order_id == "P104"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", ["b", "buy", "s", "sell", "combo", "x", "cancel", "a", "amend", "release"]),
        ("bu", ["buy"]),
        ("b 100 ", ["AAPL", "BANDS", "BTC-USD", "ES", "MSFT"]),
        ("b 100 b", ["BANDS", "BTC-USD"]),
        ("b 2", ["25%pos"]),
        ("b r", ["risk"]),
        ("b risk ", ["100", "200", "500"]),
        ("b risk 200 ", ["stop"]),
        ("b risk 200 stop 188 A", ["AAPL"]),
        ("b 100 AAPL t", ["trail", "touch", "tp", "twap"]),
        ("b 100 AAPL @m", ["@mkt", "@mtl", "@mid"]),
        ("b 100 AAPL @1 @m", []),
        ("b 100 AAPL tw", ["twap"]),
        ("b 100 AAPL twap ", ["5m", "10m", "30m", "1h"]),
        ("b 100 AAPL twap 5m st", ["style=passive", "style=take"]),
        ("b 100 AAPL twap 5m style=take sl", ["slices="]),
        ("b 100 AAPL @1 i", ["ioc"]),
        ("b 100 NOPE ", []),
        ("x ", ["all", "P104", "C211"]),
        ("a P", ["P104"]),
        ("a P104 q", ["qty"]),
        ("a P104 qty 5 ", ["stop", "@join", "@take", "@mid", "@bid", "@ask"]),
    ],
)
def test_completion_offers_the_words_that_fit(line: str, expected: list[str]) -> None:
    assert complete(line, len(line), CONTEXT) == expected


def test_completion_reads_up_to_the_cursor_only() -> None:
    assert complete("bu 100 AAPL", 2, CONTEXT) == ["buy"]


PRICES = st.decimals("0.01", "99999.99", places=2).map(Price)


@st.composite
def specs(draw: st.DrawFn) -> OrderSpec:
    qty = draw(st.one_of(st.integers(1, 10**9).map(Qty), st.decimals("0.001", "999", places=3).map(Qty)))
    limit = draw(st.none() | PRICES)
    name = draw(st.sampled_from(["direct", "twap", "vwap"]))
    scheduled = name != "direct"
    stop = None if scheduled else draw(st.none() | PRICES)
    params = draw(st.sampled_from([{}, {"slices": "7"}, {"style": "take"}, {"slices": "3", "style": "passive"}]))
    seconds = draw(st.integers(1, 86_400))
    own = [tif for tif in Tif if stop is None or tif not in AUCTIONS]
    tif = draw(st.sampled_from([Tif.DAY, Tif.GTC, Tif.IOC] if scheduled else own))
    may_post = tif in {Tif.DAY, Tif.GTC, Tif.GTD} and (scheduled or (limit is not None and stop is None))
    kind = {
        (False, False): OrderType.MARKET,
        (True, False): OrderType.LIMIT,
        (False, True): OrderType.STOP,
        (True, True): OrderType.STOP_LIMIT,
    }[limit is not None, stop is not None]
    return OrderSpec(
        symbol=draw(st.sampled_from(sorted(INSTRUMENTS))),
        side=draw(st.sampled_from(Side)),
        qty=qty,
        type=kind,
        limit=limit,
        stop=stop,
        tif=tif,
        expires_ns=draw(st.integers(1, 1 << 62)) if tif is Tif.GTD else 0,
        post_only=may_post and draw(st.booleans()),
        reduce_only=draw(st.booleans()),
        broker=draw(st.sampled_from(["paper", "ibkr"])),
        account=draw(st.sampled_from(["PAPER", "du-1"])),
        venue=draw(st.sampled_from(["", "XSIM"])),
        algo=AlgoSpec(name, seconds * NS_PER_S, 0, params) if scheduled else AlgoSpec(),
    )


@given(specs())
def test_an_order_said_in_words_reads_back_the_same(made: OrderSpec) -> None:
    assert order(order_words(made)) == made


SAMPLES = (
    "b s buy x a all 100 5k $10k $0.001 2.5m AAPL BTC-USD BANDS ES @mkt @join @mid @take @bid-999t @ask+9t @1 @-1 stop "
    "188 risk 200 25%pos tp sl trail touch show gtd 2026-12-01 oco @mtl twap vwap 30m 1h slices=4 style=take = : acct: broker:paper post reduce gtc ioc fok P104 qty @ é"
)
WORDS = st.sampled_from([*SAMPLES.split(), "", "\x1c"])


@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=9).map(" ".join)), st.integers(-3, 70))
def test_no_line_raises(line: str, cursor: int) -> None:
    for read in (parse_order, parse_line):
        result = read(line, CONTEXT)
        if isinstance(result, GrammarError):
            assert line[result.position :].startswith(result.word)
    assert all(isinstance(word, str) for word in complete(line, cursor, CONTEXT))


@given(st.integers(1, 86_400))
def test_durations_read_back(seconds: int) -> None:
    assert read_duration(duration_word(seconds * NS_PER_S)) == seconds * NS_PER_S


def test_money_is_cut_exactly_where_the_quotient_is_periodic() -> None:
    assert order("b $100 AAPL @3").qty == Decimal(33)
    assert order("b $99.99 AAPL @33.33").qty == Decimal(3)


# -- sizes by meaning, brackets, presets -----------------------------------------------------------------------------------

MEANT = [
    ("s 50%pos AAPL @189.10", "150", "50% of +300 = 150"),
    ("s 33%pos AAPL @189.10", "99", "33% of +300 = 99"),
    ("b 100%pos ES @5210", "3", "100% of -3 = 3"),
    ("b risk 200 stop 188.4 AAPL @189.10", "285", "risk 200 to 188.40 = 285 (199.5 USD); the stop is not sent"),
    ("b risk $200 stop 188.4 AAPL @mkt", "285", "risk 200 to 188.40 = 285 (199.5 USD); the stop is not sent"),
    ("s risk 1000 stop 5220 ES @5210", "2", "risk 1000 to 5220.00 = 2 (1000 USD); the stop is not sent"),
]


@pytest.mark.parametrize(("line", "qty", "note"), MEANT, ids=[row[0] for row in MEANT])
def test_a_size_said_by_its_meaning_becomes_whole_lots_and_says_both(line: str, qty: str, note: str) -> None:
    draft = parse_order(line, CONTEXT)
    assert isinstance(draft, NewOrderDraft), draft
    assert draft.spec.qty == Qty(qty)
    assert draft.echo.endswith(note)
    assert draft.spec.stop is None


TERMS = [
    ("s 100 AAPL trail 0.50 gtc", {"type": OrderType.TRAILING_STOP, "trail": Price("0.50"), "tif": Tif.GTC}),
    ("b 100 AAPL touch 188.4", {"type": OrderType.MARKET_IF_TOUCHED, "stop": Price("188.4")}),
    (
        "b 100 AAPL @188.5 touch 188.4",
        {"type": OrderType.LIMIT_IF_TOUCHED, "stop": Price("188.4"), "limit": Price("188.5")},
    ),
    ("b 100 AAPL @mtl", {"type": OrderType.MARKET_TO_LIMIT}),
    ("b 100 AAPL @189 show 10", {"type": OrderType.LIMIT, "limit": Price(189), "display": Qty(10)}),
    ("b 100 AAPL @189 gtd 1970-01-02", {"type": OrderType.LIMIT, "tif": Tif.GTD, "expires_ns": 2 * 86_400 * NS_PER_S}),
    ("b 100 AAPL @189 gtd 1970-01-02T00:00Z", {"tif": Tif.GTD, "expires_ns": 86_400 * NS_PER_S}),
    ("b 100 AAPL @189 gtd 1970-01-02t05:30+05:30", {"tif": Tif.GTD, "expires_ns": 86_400 * NS_PER_S}),
]


@pytest.mark.parametrize(("line", "terms"), TERMS, ids=[row[0] for row in TERMS])
def test_the_words_of_further_terms(line: str, terms: dict[str, object]) -> None:
    made = order(line)
    assert {name: getattr(made, name) for name in terms} == terms
    assert order(order_words(made)) == made


@pytest.mark.parametrize("trigger", ["when AAPL >= 188.5", "when AAPL <= 188", "when 2026-12-01T14:30:00Z"])
def test_what_an_order_waits_for_comes_back_from_its_canonical_line(trigger: str) -> None:
    made = order(f"b 100 AAPL @189 {trigger}")
    assert made.algo.trigger == trigger
    assert order(order_words(made)) == made


WRONG_TERMS = [
    ("b 100 AAPL @189 trail 0.5", "trail", "takes no price"),
    ("b 100 AAPL stop 190 trail 0.5", "trail", "one trigger"),
    ("b 100 AAPL stop 190 touch 188", "touch", "one trigger"),
    ("b 100 AAPL @mkt show 10", "show", "only an order with a limit"),
    ("b 100 AAPL @189 show $5", "$5", "no size"),
    ("b 100 AAPL @189 gtd tomorrow", "tomorrow", "no time"),
    ("b 100 AAPL @189 gtd 2026-12-01T21:00", "2026-12-01T21:00", "has no zone"),
    ("b 100 AAPL @189 gtc gtd 2026-12-01", "gtd", "already gave the tif"),
    ("b 100 AAPL @189 tp 188", "tp", "must lie above"),
    ("b 100 AAPL @189 sl 190", "sl", "must lie below"),
    ("s 100 AAPL @189 tp 190", "tp", "must lie below"),
    ("b 100 AAPL @189 tp 191 oco stop 187", "oco", "either one of a pair"),
    ("b 100 AAPL @189 oco 187", "187", "not understood"),
    ("b 100 AAPL twap 30m tp 191", "tp", "plain market and limit orders"),
    ("b 100 AAPL twap 30m gtd 2026-12-01", "gtd", "plain market and limit orders"),
    ("b 100 AAPL stop 190 cls", "cls", "plain market and limit orders"),
    ("b 100 AAPL @189 post opg", "opg", "plain market and limit orders"),
    ("b 100 AAPL twap 30m cls", "cls", "plain market and limit orders"),
    ("b 100 AAPL @189 when AAPL = 188", "=", "not understood"),
    ("b 100 AAPL @189 when NONE >= 188", "NONE", "NONE is no known symbol"),
    ("b 100 AAPL @189 when 2026-12-01T14:30", "2026-12-01T14:30", "has no zone"),
    ("b 100 AAPL @189 when AAPL >= 188 tp 191", "when", "goes alone"),
    ("b 100 AAPL twap 30m when AAPL >= 188", "when", "plain market and limit orders"),
    ("b 100 AAPL @189 foo 1", "foo", "not understood"),
]


@pytest.mark.parametrize(("line", "word", "text"), WRONG_TERMS, ids=[row[0] for row in WRONG_TERMS])
def test_terms_that_cannot_be_are_named(line: str, word: str, text: str) -> None:
    error = wrong(line)
    assert error.word == word
    assert text in error.text


def test_a_bracket_brings_its_exits() -> None:
    draft = parse_order("b 100 AAPL @189.10 ioc tp 191 sl 188.4", CONTEXT)
    assert isinstance(draft, NewOrderDraft), draft
    assert draft.spec.link == Link(LinkRole.ENTRY)
    assert [(leg.side, leg.qty, leg.limit, leg.stop, leg.tif, leg.reduce_only) for leg in draft.linked] == [
        (Side.SELL, Qty(100), Price(191), None, Tif.GTC, True),
        (Side.SELL, Qty(100), None, Price("188.4"), Tif.GTC, True),
    ]
    assert {leg.link for leg in draft.linked} == {Link(LinkRole.LEG)}
    assert draft.command(ME, "i1").linked == draft.linked


def test_a_pair_brings_its_other_order() -> None:
    three = parse_order("b 100 AAPL @189 gtc oco stop 191 oco @187.5", CONTEXT)
    assert isinstance(three, NewOrderDraft)
    assert [one.words() for one in three.linked] == ["buy 100 AAPL stop 191 gtc", "buy 100 AAPL limit 187.5 gtc"]
    draft = parse_order("s 100 AAPL @191 gtc reduce oco stop 187", CONTEXT)
    assert isinstance(draft, NewOrderDraft), draft
    (other,) = draft.linked
    assert (draft.spec.link, other.link) == (Link(LinkRole.PEER), Link(LinkRole.PEER))
    assert (other.side, other.qty, other.stop, other.tif, other.reduce_only) == (
        Side.SELL, Qty(100), Price(187), Tif.GTC, True,
    )  # fmt: skip


def test_an_id_that_a_late_picture_does_not_hold_is_still_taken() -> None:
    context = GrammarContext(orders={"P104": OrderRef("AAPL", Side.BUY)}, is_orders_whole=False)
    assert parse_line("x P999", context) == CancelDraft(order_id="P999")


PRESETS = Presets(
    all=Preset(size="100", tif="gtc"),
    types={"limit": Preset(price="join+1t", venue="XSIM"), "twap": Preset(tif="ioc"), "market": Preset(tif="ioc")},
    symbols={"AAPL": Preset(size="50", price="bid+2t"), "MSFT": Preset(algo="twap 5m style=take")},
)


def preset(line: str) -> NewOrderDraft:
    draft = parse_order(line, msgspec.structs.replace(CONTEXT, presets=PRESETS))
    assert isinstance(draft, NewOrderDraft), draft
    return draft


def test_presets_give_what_the_line_leaves_out_and_the_later_level_wins() -> None:
    draft = preset("b AAPL")
    assert draft.spec == spec(qty=Qty(50), limit=Price("189.07"), tif=Tif.GTC, venue="XSIM")
    assert draft.defaults == (
        Default("price", "bid+2t", "presets.symbols.AAPL"),
        Default("size", "50", "presets.symbols.AAPL"),
        Default("tif", "gtc", "presets.all"),
        Default("venue", "XSIM", "presets.types.limit"),
        Default("account", "PAPER", "the desk"),
        Default("broker", "paper", "the desk"),
    )


def test_a_buys_preset_is_mirrored_for_a_sell() -> None:
    draft = preset("s AAPL")
    assert (draft.spec.side, draft.spec.limit) == (Side.SELL, Price("189.08"))
    assert Default("price", "ask-2t", "presets.symbols.AAPL, mirrored for a sell") in draft.defaults


def test_what_is_typed_wins_over_every_preset() -> None:
    draft = preset("b 7 AAPL @189.10 day venue:XSIM")
    assert draft.spec == spec(qty=Qty(7), venue="XSIM")
    assert {found.name for found in draft.defaults} == {"account", "broker"}
    assert preset("b 7 AAPL @mkt").spec.tif is Tif.IOC
    assert preset("b 7 AAPL stop 190").spec.type is OrderType.STOP


def test_a_preset_may_choose_the_algorithm_and_its_type_gives_the_rest() -> None:
    draft = preset("b 500 MSFT")
    assert (draft.spec.algo.name, draft.spec.algo.params, draft.spec.tif) == ("twap", {"style": "take"}, Tif.IOC)
    assert preset("b 500 MSFT direct @189").spec.algo.name == "direct"


def test_without_presets_a_line_says_everything_itself() -> None:
    assert wrong("b AAPL @1").word == "AAPL"
    draft = parse_order("b 100 AAPL @189.10", CONTEXT)
    assert isinstance(draft, NewOrderDraft)
    assert [found.where for found in draft.defaults] == ["the grammar", "the desk", "the desk"]


def test_a_preset_that_cannot_hold_now_names_itself() -> None:
    presets = Presets(symbols={"MSFT": Preset(price="join", size="5")})
    error = parse_order("b MSFT", msgspec.structs.replace(CONTEXT, presets=presets))
    assert isinstance(error, GrammarError)
    assert error.text.startswith("presets.symbols.MSFT.price: ")
    assert "no quote" in error.text
    flat = Presets(all=Preset(size="50%pos"))
    error = parse_order("b MSFT @1", msgspec.structs.replace(CONTEXT, presets=flat))
    assert isinstance(error, GrammarError)
    assert error.text.startswith("presets.all.size: there is no position in MSFT")


BAD_PRESETS = [
    (Presets(all=Preset(size="many")), "presets.all.size was 'many'; expected 100"),
    (Presets(all=Preset(price="189.10")), "expected a price word"),
    (Presets(types={"iceberg": Preset()}), "presets.types.iceberg: no type of order; expected one of market"),
    (Presets(symbols={"aapl": Preset()}), "presets.symbols.aapl: no symbol"),
    (Presets(types={"limit": Preset(tif="week")}), "presets.types.limit.tif was 'week'; expected day"),
    (Presets(symbols={"AAPL": Preset(algo="vwap")}), "presets.symbols.AAPL.algo was 'vwap'"),
]


@pytest.mark.parametrize(("presets", "said"), BAD_PRESETS, ids=[row[1] for row in BAD_PRESETS])
def test_a_preset_that_no_line_could_say_is_refused(presets: Presets, said: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        check(presets, ALGO_WORDS)
    assert said in str(refusal.value)


def test_the_echo_names_the_venue_that_the_line_names() -> None:
    draft = parse_order("b 100 AAPL @189.10 venue:xsim", CONTEXT)
    assert isinstance(draft, NewOrderDraft)
    assert draft.echo == "buy 100 AAPL limit 189.10 day; at XSIM and nowhere else"
