"""Currencies: rates with their age, limits in base currency, conversion with its cost, and cash that adds up in each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from brokers.paper.exchange import ExchangeTerms
from engine.domain import commands as co
from engine.domain.clock import NS_PER_S, iso, parse_iso
from engine.domain.errors import DataError, InstrumentError
from engine.domain.instrument import make_instrument
from engine.domain.money import Money, Qty, Rate
from engine.domain.money_events import FxRate
from engine.domain.order import OrderSpec, OrderType, Side
from engine.market.feed import QuoteTick
from engine.market.fx_rates import read_fx
from tests.core.lab import ME, Lab
from tests.core.test_risk_day import with_policy
from tests.replay.tape import quotes, replay, trade

SAP = make_instrument("AAPL", "equity", "XSIM", "EUR", "0.01")
"""Priced in EUR, under the symbol that the laboratory trades."""
RATES = """name: test
convert: {bps: 5, automatic: true}
rates:
  - {of: EUR, to: USD, rate: 1.10, at: 2024-03-05T14:00:00Z}
  - {of: EUR, to: USD, rate: 1.20, at: 2024-03-05T15:05:00Z}
"""


def rate(lab: Lab, value: str, *, age_s: int = 0, of: str = "EUR", to: str = "USD") -> co.CommandResult:
    stated = FxRate(of=of, to=to, rate=Rate(value), ts_ns=lab.clock.now_ns() - age_s * NS_PER_S, source="test")
    return lab.submit(co.SetFxRates(source=ME, rates=(stated,)))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path, listed=(SAP,))
    made.connect()
    return made


def test_no_rate_is_denied_and_a_stated_one_lets_the_order_pass(lab: Lab) -> None:
    assert lab.buy(10).code == "RATE_NONE"
    assert rate(lab, "1.10").ok
    assert lab.buy(10, intent="i2").ok


def test_a_rate_that_is_too_old_is_denied_with_its_own_code(lab: Lab) -> None:
    rate(lab, "1.10", age_s=93_600)
    assert lab.buy(10).ok
    lab.pass_time(1)
    denied = lab.buy(11, intent="i2")
    assert denied.code == "RATE_STALE"
    assert "RATE_NONE" not in {one.code for one in denied.denials}


def test_a_rate_that_nothing_could_be_worked_out_with_is_refused(lab: Lab) -> None:
    for value in ("1e18", "1e-19", "0", "-1"):
        refused = rate(lab, value)
        assert (refused.ok, refused.code) == (False, "FX_BAD")
    assert "fx_rate_set" not in lab.kinds()


def test_limits_are_in_base_currency(lab: Lab) -> None:
    rate(lab, "1.10")
    preview = lab.engine.what_if(co.Preview(source=ME, spec=_spec()))
    rate(lab, "2.20")
    dearer = lab.engine.what_if(co.Preview(source=ME, spec=_spec()))
    assert Money(dearer.preview["notional"].split()[0].replace(",", "")) == 2 * Money(
        preview.preview["notional"].split()[0].replace(",", "")
    )


def _spec() -> OrderSpec:
    return OrderSpec(symbol="AAPL", side=Side.BUY, qty=Qty(10), type=OrderType.MARKET)


def test_a_rate_may_be_read_the_other_way_round_and_the_newer_one_counts(lab: Lab) -> None:
    rate(lab, "1.10", age_s=60)
    rate(lab, "0.8", of="USD", to="EUR")
    seen = lab.engine.view_of_risk.rate_seen("EUR")
    assert seen is not None
    assert (str(seen.rate.normalize()), seen.source) == ("1.25", "test, turned round")
    assert lab.engine.view_of_risk.rate_seen("JPY") is None


def test_a_fresh_quote_of_the_pair_goes_before_a_stated_rate(lab: Lab) -> None:
    rate(lab, "1.10")
    lab.engine.define((make_instrument("EUR-USD", "crypto_spot", "XSIM", "USD", "0.0001"),))
    lab.engine.on_market(QuoteTick("EUR-USD", "XSIM", lab.clock.now_ns(), 1, 11998, 5, 12002, 5))
    seen = lab.engine.view_of_risk.rate_seen("EUR")
    assert seen is not None
    assert (str(seen.rate), seen.source) == ("1.20000", "quote of EUR-USD")


def test_the_result_of_the_day_names_the_moment_of_its_rate(lab: Lab) -> None:
    rate(lab, "1.10", age_s=30)
    lab.buy(10)
    wire = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire))
    lab.answer(lab.fill(wire, 10, "k1", "189.00"))
    lab.quote()
    status = lab.engine.view().status
    assert status.pnl_day == Money("0.00")
    lab.quote(18910, 18912)
    status = lab.engine.view().status
    assert status.pnl_day == Money("1.10")
    assert status.pnl_rate_ns == lab.clock.now_ns() - 30 * NS_PER_S
    assert [(one.currency, str(one.amount), str(one.base_amount)) for one in lab.engine.view().cash] == [
        ("EUR", "-1890", "-2079"),
        ("USD", "1000000", "1000000"),
    ]
    assert not lab.engine.ledger.conservation_faults()


def test_an_older_rate_and_one_from_the_future_change_nothing(lab: Lab) -> None:
    rate(lab, "1.10")
    assert "known already" in rate(lab, "1.50", age_s=10).text
    ahead = rate(lab, "1.50", age_s=-3600)
    assert (ahead.ok, ahead.code) == (False, "FX_BAD")
    assert rate(lab, "0").code == "FX_BAD"
    seen = lab.engine.view_of_risk.rate_seen("EUR")
    assert seen is not None
    assert str(seen.rate) == "1.1"


def test_rates_live_over_a_restart(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    (tmp_path / "a").mkdir()
    one = Lab(tmp_path / "a", listed=(SAP,), ledger=ledger)
    rate(one, "1.10")
    one.engine.stop("done")
    one.journal.commit()
    one.journal.close()
    (tmp_path / "b").mkdir()
    two = Lab(tmp_path / "b", listed=(SAP,), ledger=ledger)
    assert two.engine.fx.seen("EUR", "USD") == one.engine.fx.seen("EUR", "USD") is not None
    two.journal.close()


def test_a_policy_in_another_currency_than_the_ledgers_is_refused(tmp_path: Path) -> None:
    lab = Lab(tmp_path, policy=with_policy(tmp_path, ("currency: USD", "currency: EUR")))
    lab.connect()
    denied = lab.buy(1)
    assert denied.code == "POLICY_NONE"
    assert "this ledger's base currency is USD" in lab.engine.parts.policy.error


@pytest.mark.parametrize(
    ("symbol", "currency"), [("BTCUSD", "BTC"), ("XBTUSD", "XBT"), ("BTC-USD-PERP", "BTC"), ("ETH/USD", "ETH")]
)
def test_an_inverse_contract_is_refused_with_the_reason(symbol: str, currency: str) -> None:
    with pytest.raises(InstrumentError, match="divided by the price"):
        make_instrument(symbol, "perpetual", "XSIM", currency, "0.5")
    make_instrument(symbol, "perpetual", "XSIM", "USD", "0.5")
    make_instrument("USDINR", "future", "XNSE", "INR", "0.0025")


def test_a_conversion_costs_what_is_stated_and_is_rounded_against_us() -> None:
    at = parse_iso("2024-03-05T15:00:00Z")
    stated = FxRate(of="EUR", to="USD", rate=Rate("1.10"), ts_ns=at, source="t")
    terms = ExchangeTerms(base="USD", rates=(stated,), bps=Rate(5))
    gave = terms.change(Money("1000.01"), "EUR", "USD", at)
    got = terms.change(Money("-1000.01"), "EUR", "USD", at)
    back = terms.change(Money("1100"), "USD", "EUR", at)
    assert gave is not None
    assert got is not None
    assert back is not None
    assert [str(leg.amount) for leg in gave[0]] == ["-1000.01", "1099.46"]  # 1100.011 less 0.55
    assert [str(leg.amount) for leg in got[0]] == ["1000.01", "-1100.57"]
    assert [str(leg.amount) for leg in back[0]] == ["-1100", "999.5"]
    assert "5 bp, cost 0.55 USD" in gave[1]
    assert terms.change(Money(1), "EUR", "USD", at - 1) is None


def test_a_replay_changes_currencies_and_every_unit_is_accounted_for(tmp_path: Path) -> None:
    fx = tmp_path / "fx.yaml"
    fx.write_text(RATES)
    rows = quotes("2024-03-05T15:00:00Z", "2024-03-05T15:10:00Z", mic="XPAR", every_s=1)
    rows += [trade(f"2024-03-05T15:0{minute}:30Z", "10.00", 200, mic="XPAR") for minute in range(10)]
    result = replay(tmp_path, rows, "b 600 ABC twap 8m", terms="tick=0.01,lot=1,ccy=EUR,mic=XPAR", base="USD", fx=fx)
    assert int(result["parent"]["qty_filled"]) > 500
    assert result["conservation"] == []
    assert result["cash_all"]["EUR"] == "0"
    kinds = {one["kind"] for one in result["movements"]}
    assert kinds == {"conversion"}
    texts = " ".join(one["text"] for one in result["movements"])
    assert "1 EUR = 1.1 USD" in texts
    assert "1 EUR = 1.2 USD" in texts
    assert result["base"] == "USD"
    assert iso(result["pnl_rate_ns"]).startswith("2024-03-05T15:05:00")
    effect = next(one for one in result["realism"]["effects"] if one["code"] == "P25")
    assert effect["state"] == "on"
    off = replay(tmp_path, rows, "b 600 ABC twap 8m", terms="tick=0.01,lot=1,ccy=EUR,mic=XPAR")
    assert next(one for one in off["realism"]["effects"] if one["code"] == "P25")["state"] == "off"
    denied = replay(tmp_path, rows, "b 600 ABC @mkt", terms="tick=0.01,lot=1,ccy=EUR,mic=XPAR", base="USD")
    assert denied["denied"][0]["code"] == "RATE_NONE"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("1.10", "ten", "not a number"),
        ("1.10", "0", "above zero"),
        ("EUR, to: USD, rate: 1.10", "EUR, to: EUR, rate: 1.10", "in itself"),
        ("of: EUR", "of: eu", "no currency code"),
        ("14:00:00Z", "14:00:00", "has no zone"),
        ("bps: 5", "bps: -1", "basis points from 0"),
        ("name: test", "title: test", "title"),
    ],
)
def test_a_wrong_file_of_rates_names_the_value(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "fx.yaml"
    path.write_text(RATES.replace(old, new))
    with pytest.raises(DataError, match=words):
        read_fx(path)
