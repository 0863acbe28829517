"""The registry of instruments: names, contracts, rolls, and files that are taken whole or refused with their line."""

from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from engine.domain.clock import iso, parse_iso
from engine.domain.errors import InstrumentError
from engine.domain.instrument import make_instrument
from engine.market.days import end_of, start_of
from engine.market.registry import Registry, differences
from engine.market.registry_files import SHIPPED, load_registry, read_registry

MINE = """\
instruments:
  META: {name: Meta Platforms, kind: equity, venue: XNAS, currency: USD, tick: 0.01, calendar: XNYS, adv: 15000000,
    was: {FB: 2022-06-09}, aliases: {ibkr: META, zerodha: META-US}}
  AAPL240119C00190000: {kind: option, name: Apple call}
  HK5: {name: A Hong Kong share, kind: equity, venue: XHKG, currency: HKD, tick: "0:0.001|0.25:0.005", lot: 400}
families:
  ESF:
    name: E-mini S&P 500
    venue: XCME
    currency: USD
    tick: 0.25
    multiplier: 50
    contracts:
      ESM4: {expiry: 2024-06-21, roll: 2024-06-13}
      ESH4: {expiry: 2024-03-15T13:30:00Z, aliases: {ibkr: ES MAR24}}
"""


SHIPPED_ES = ("ESZ6", "ESH7", "ESM7", "ESU7", "ESZ7", "ESH8", "ESM8", "ESU8", "ESZ8")


@pytest.fixture
def mine(tmp_path: Path) -> Registry:
    (tmp_path / "mine.yaml").write_text(MINE, encoding="utf-8")
    return load_registry((SHIPPED, tmp_path))


def on(day: str) -> int:
    return start_of(day)


@pytest.mark.parametrize(
    ("words", "symbols"),
    [
        ("meta", ["META"]),
        ("FB", ["META"]),
        ("meta-us", ["META"]),
        ("platforms xnas", ["META"]),
        ("es mar24", ["ESH4"]),
        ("esf", ["ESH4", "ESM4"]),
        ("esf front", ["ESH4"]),
        ("esf next", ["ESM4"]),
        ("option", ["AAPL240119C00190000"]),
        ("hkd", ["HK5"]),
        ("es", ["ES", "ESM4", "ESH4", *SHIPPED_ES]),
        ("es -12", ["ESZ6", "ESZ7", "ESZ8"]),
        ("zzz", []),
    ],
)
def test_words_find_instruments_the_best_first(mine: Registry, words: str, symbols: list[str]) -> None:
    found = [one.symbol for one in mine.find(words.split(), on("2024-03-01"))]
    assert sorted(found) == sorted(symbols)
    assert found[:1] == symbols[:1] or words == "esf"


@pytest.mark.parametrize(
    ("day", "march", "june"),
    [
        ("2024-03-06", ("front", "ESM4"), ("next", "")),
        ("2024-03-08", ("roll", "ESM4"), ("front", "")),
        ("2024-03-15T13:29:59Z", ("roll", "ESM4"), ("front", "")),
        ("2024-03-15T13:30:00Z", ("expired", "ESM4"), ("front", "")),
        ("2024-06-13", ("expired", ""), ("roll", "")),
        ("2024-06-21T23:59:59Z", ("expired", ""), ("roll", "")),
        ("2024-06-22", ("expired", ""), ("expired", "")),
    ],
)
def test_a_contract_is_front_until_its_roll_day(
    mine: Registry, day: str, march: tuple[str, str], june: tuple[str, str]
) -> None:
    places = [mine.place_of(mine.entries[symbol], on(day)) for symbol in ("ESH4", "ESM4")]
    assert [(one.state, one.into) for one in places] == [march, june]


@pytest.mark.parametrize(
    ("symbol", "words"),
    [
        ("FB", "FB is called META since 2022-06-09; ask for META"),
        ("META-US", "META-US is a broker's name of META; ask for that"),
        ("ESF", "ESF is a family of contracts: ESH4, ESM4"),
        ("ESH4", "ESH4 expired at 2024-03-15T13:30:00.000000000Z; the front contract is ESM4"),
        ("META", "META is known (mine.yaml:2), but no connected broker lists it"),
        ("AAPL240119C00190000", "of kind option, which is refused: greeks, exercise and assignment are not modelled"),
        ("AAPL240119P00180000", "the name of an option, which is refused: greeks"),
        ("NIFTY24JAN21500CE", "the name of an option, which is refused: greeks"),
        ("BTC-240329-50000-C", "the name of an option, which is refused: greeks"),
        ("ESH4-ESM4", "the name of a combo, which is refused: a combination is ordered by its legs"),
        ("NOBODY", ""),
        ("BTC-USDT", ""),
    ],
)
def test_a_symbol_that_nobody_lists_gets_what_is_known_of_it(mine: Registry, symbol: str, words: str) -> None:
    said = mine.why_not(symbol, on("2024-03-20"))
    assert words in said
    assert bool(words) == bool(said)


def test_a_brokers_name_leads_to_ours_and_back(mine: Registry) -> None:
    entry = mine.of_broker("ibkr", "ES MAR24")
    assert entry is not None
    assert entry.symbol == "ESH4"
    assert mine.name_at("ibkr", "ESH4") == "ES MAR24"
    assert mine.name_at("zerodha", "ESH4") == "ESH4"
    assert mine.of_broker("zerodha", "ES MAR24") is None, "a name holds at its own broker only"


def test_a_broker_keeps_its_terms_and_gets_what_only_a_file_says(mine: Registry) -> None:
    listed = make_instrument("ES MAR24".replace(" ", "-"), "future", "XCME", "USD", "0.25", multiplier="50")
    theirs = make_instrument("META", "equity", "XNAS", "USD", "0.05")
    made = mine.completed("ibkr", theirs)
    assert (str(made.ticks[0].tick), made.calendar, str(made.adv)) == ("0.05", "XNYS", "15000000")
    assert differences(mine.entries["META"], theirs) == (
        "META: tick is 0.01 in mine.yaml:2 and 0.05 at the broker, which holds",
    )
    assert mine.completed("ibkr", listed) == listed, "what no file knows stays as it is"
    both = mine.with_listed("ibkr", (theirs,)).entries["META"]
    assert (both.terms.tick, both.listed, both.was[0].old) == ("0.05", ("ibkr",), "FB")


def test_terms_make_instruments_with_ticks_by_price_and_an_expiry(mine: Registry) -> None:
    share = mine.entries["HK5"].make()
    assert [str(share.tick_at(share.price_of(units))) for units in (249, 250)] == ["0.001", "0.005"]
    assert mine.entries["ESH4"].make().expiry_ns == parse_iso("2024-03-15T13:30:00Z")
    assert mine.entries["ESM4"].make().expiry_ns == end_of("2024-06-21")
    assert mine.terms_of("ESH4").expiry.startswith("2024-03-15T13:30:00")
    assert mine.terms_of("AAPL").tick == "", "a shipped name brings no terms"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x: 1", ":1: 'x' is no section; expected instruments or families"),
        ("instruments: [1]", ":1: expected symbols under instruments"),
        ("instruments:\n  A: {tick: 1}", ":2: A has tick and no kind, venue, currency"),
        ("instruments:\n  A:\n    nme: 1", ":3: A: Object contains unknown field `nme`; expected name, kind"),
        ("instruments:\n  aapl: {}", ":2: 'aapl' is no symbol; expected capitals"),
        ("instruments:\n  A: {}\n  A: {}", ":3: 'A' stands in line 2 already"),
        ("instruments:\n  A:\n    name: x\n    name: y", ":4: 'name' stands in line 3 already"),
        ("instruments:\n  A:\n    name: x\n    expiry: soon", ":4: expiry was 'soon'; expected a date as 2024-03-15"),
        ("instruments:\n  A:\n    was: {B: 2024-13-01}", ":3: was.B was '2024-13-01'; expected a date"),
        ("instruments:\n  A:\n    adv: lots", ":3: adv was 'lots'"),
        ("instruments:\n  A:\n    words: one", ":3: A: Expected `array`, got `str`"),
        ("instruments:\n  A:\n    aliases: {IBKR: A}", ":3: alias IBKR: 'A'; expected a broker's name in small"),
        (
            "instruments:\n  A: {kind: zip, venue: X, currency: U, tick: 1}",
            ":2: kind was 'zip'; expected one of equity",
        ),
        ("instruments:\n  A: {kind: equity, venue: XNAS, currency: USD, tick: 0}", ":2: A: tick was 0; it must be"),
        ("instruments:\n  A: {kind: equity, venue: XNAS, currency: USD, tick: '0:1|'}", ":2: tick was '0:1|'"),
        ("instruments:\n  A: {roll: 2024-01-01}", ":2: A rolls after it expires"),
        ("families:\n  F: {venue: XCME}", ":2: F: Object missing required field `contracts`"),
        (
            "families:\n  F:\n    venue: XCME\n    currency: USD\n    tick: 1\n    contracts:\n      FH4: {expiry: 2024-02-31}",
            ":7: contracts.FH4.expiry was '2024-02-31'",
        ),
        ("instruments: {A: {aliases: {ibkr: X}}, B: {aliases: {ibkr: X}}}", "ibkr calls A"),
        ("instruments: {A: {was: {X: 2020-01-01}}, B: {was: {X: 2020-01-01}}}", "X was the name of A"),
        ("a: [", "not valid YAML"),
        ("- 1", ":1: expected instruments: and families:"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "wrong.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InstrumentError) as found:
        load_registry((tmp_path,))
    assert words in str(found.value)
    assert "wrong.yaml" in str(found.value)


def test_a_symbol_stands_in_one_file_only_and_mine_goes_before_the_shipped(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("instruments: {AAPL: {name: Mine}}", encoding="utf-8")
    assert load_registry((SHIPPED, tmp_path)).entries["AAPL"].name == "Mine"
    (tmp_path / "b.yaml").write_text("instruments: {AAPL: {}}", encoding="utf-8")
    with pytest.raises(InstrumentError, match=r"b.yaml:1: AAPL stands in a.yaml:1 already"):
        load_registry((tmp_path,))


def test_an_empty_or_missing_folder_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "none.yaml").write_text("# nothing yet\n", encoding="utf-8")
    assert read_registry(tmp_path / "none.yaml") == ()
    assert load_registry((tmp_path / "nowhere",)).entries == {}


def test_the_shipped_family_ends_on_third_fridays_or_the_day_before_a_holiday() -> None:
    registry = load_registry((SHIPPED,))
    contracts = registry.contracts("ES")
    assert tuple(one.symbol for one in contracts) == SHIPPED_ES
    for one in contracts:
        assert one.expiry_ns is not None
        day = date.fromisoformat(iso(one.expiry_ns)[:10])
        friday = day if day.weekday() == 4 else day + timedelta(days=1)
        assert (friday.weekday(), friday.day in range(15, 22)) == (4, True), one.symbol
        local = datetime.fromtimestamp(one.expiry_ns // 10**9, ZoneInfo("America/New_York"))
        assert (local.hour, local.minute) == (9, 30), one.symbol
        assert "HMUZ"[day.month // 3 - 1] == one.symbol[2]
    place = registry.place_of(contracts[0], parse_iso("2026-11-29T00:00:00Z"))
    assert (place.state, place.into) == ("front", "ESH7")
    place = registry.place_of(contracts[0], parse_iso("2026-12-10T14:30:00Z"))
    assert (place.state, place.into) == ("roll", "ESH7")


def test_a_family_of_ones_own_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    """Else a contract of the other file could be what a position is rolled into."""
    own = MINE.replace("  ESF:", "  ES:")
    (tmp_path / "mine.yaml").write_text(own, encoding="utf-8")
    registry = load_registry((SHIPPED, tmp_path))
    assert [one.symbol for one in registry.contracts("ES")] == ["ESH4", "ESM4"]
    assert "ESZ6" not in registry.entries
    assert "ES" in registry.entries
