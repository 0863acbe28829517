"""The loss limit's input over a day and over restarts: the cut, the marks it is taken at, fees in any currency, the best result."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from engine.domain import day_events as de
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S, iso, parse_iso
from engine.domain.instrument import make_instrument
from engine.domain.money import Money, Price, Qty
from engine.market.calendar import SessionTable
from engine.market.feed import QuoteTick
from engine.market.sessions import Sessions
from engine.oms import broker_interface as bi
from tests.core.lab import AAPL, POLICY, Lab

MIDNIGHT = parse_iso("2023-11-15T00:00:00Z")
BEFORE = MIDNIGHT - 60 * NS_PER_S
BNB = make_instrument("BNB-USD", "crypto_spot", "XSIM", "USD", "0.01", "0.001")


def open_lab(folder: Path, *, held: int = 0, **more: object) -> Lab:
    """An engine that is connected; ``held`` is what the venue says that a restarted one holds."""
    words: dict[str, object] = {"start_ns": BEFORE, **more}
    lab = Lab(folder, **words)  # type: ignore[arg-type] # as Lab takes them
    return lab if lab.engine.view_of_risk.verified or held else connected(lab)


def connected(lab: Lab, **parts: object) -> Lab:
    lab.connect(lab.snapshot(**parts) if lab.broker.asked else None)
    return lab


def with_policy(folder: Path, *changes: tuple[str, str]) -> Path:
    words = POLICY.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in words
        words = words.replace(old, new, 1)
    path = folder / "policy.yaml"
    path.write_text(words, encoding="utf-8")
    return path


def bought(lab: Lab, qty: int = 100, price: str = "189.02", fee: str = "0", currency: str = "") -> None:
    """A position of so many shares."""
    lab.buy(qty, intent=f"i{len(lab.broker.sent)}")
    wire = lab.broker.sent[-1].wire_id
    lab.answer(lab.ack(wire))
    filled = lab.fill(wire, qty, f"k{wire}", price)
    paid = msgspec.structs.replace(filled.fill, fee=Money(fee), fee_currency=currency)
    lab.answer(bi.Filled(broker="paper", ts_ns=filled.ts_ns, fill=paid))


def pnl(lab: Lab) -> str | None:
    found = lab.engine.view_of_risk.pnl_day("PAPER")
    return None if found is None else str(found)


def begun(lab: Lab) -> list[de.RiskDayBegan]:
    events = [ev.decode_event(row.payload) for row in lab.journal.read()]
    return [event for event in events if isinstance(event, de.RiskDayBegan)]


def tick(lab: Lab, bid: int, ask: int, seconds: float = 1) -> None:
    """Time passes on one quote."""
    lab.quote(bid, ask)
    end = lab.clock.now_ns() + int(seconds * NS_PER_S)
    while lab.clock.now_ns() < end:
        lab.clock.set_ns(min(end, lab.clock.now_ns() + NS_PER_S // 2))
        lab.quote(bid, ask)
        lab.engine.on_time(lab.clock.now_ns(), lab.clock.now_ns())
        lab.settle()


def restarted(lab: Lab, folder: Path, ledger: Path, at_ns: int, *, clean: bool = True, **more: object) -> Lab:
    """The next life on the same ledger; the venue confirms what we hold."""
    if clean:
        lab.engine.stop("asked")
        lab.journal.commit()
    held = lab.engine.ledger.qty("PAPER", "AAPL")
    cash = {key[2]: amount for key, amount in lab.engine.ledger.cash.items()}
    lab.journal.close()
    again = Lab(folder, ledger=ledger, start_ns=at_ns, **more)  # type: ignore[arg-type] # as Lab takes them
    now = again.clock.now_ns()
    again.engine.on_broker(bi.ChannelChanged(broker="paper", ts_ns=now, state=ev.BrokerState.RESYNCING))
    again.answer(again.snapshot(positions=(bi.VenuePosition("AAPL", held),) if held else (), cash=cash))
    return again


def test_at_the_cut_the_day_begins_anew_at_the_mark(tmp_path: Path) -> None:
    lab = open_lab(tmp_path)
    bought(lab, 100, "180.00")
    tick(lab, 18900, 18902)
    assert pnl(lab) == "900", "what closing would meet"
    tick(lab, 19000, 19002, 59)
    (_, day) = begun(lab)
    assert (day.begins_ns, day.cut, day.waiting) == (MIDNIGHT, "00:00 UTC", ())
    assert [(mark.symbol, str(mark.price), str(mark.qty), mark.note) for mark in day.marks] == [
        ("AAPL", "190", "100", "")
    ]
    assert lab.clock.now_ns() == MIDNIGHT
    assert pnl(lab) == "0"
    tick(lab, 18950, 18952)
    assert pnl(lab) == "-50"


@pytest.mark.parametrize(
    ("words", "cut"),
    [
        ("starts: 17:00 America/New_York", "2023-11-14T22:00:00"),
        ("starts: 09:15 Asia/Kolkata", "2023-11-14T03:45:00"),
        ("starts: 00:00 UTC", "2023-11-14T00:00:00"),
    ],
)
def test_the_cut_is_the_policys(tmp_path: Path, words: str, cut: str) -> None:
    lab = open_lab(tmp_path, policy=with_policy(tmp_path, ("starts: 00:00 UTC", words)))
    (day,) = begun(lab)
    assert iso(day.begins_ns)[:19] == cut


def test_an_account_may_have_its_own_cut(tmp_path: Path) -> None:
    own = ("  accounts: {}", "  accounts:\n    PAPER: { day.starts: 16:00 America/New_York, order.max_qty: 9 }")
    lab = open_lab(tmp_path, policy=with_policy(tmp_path, own))
    (day,) = begun(lab)
    assert (iso(day.begins_ns)[:19], day.cut) == ("2023-11-14T21:00:00", "16:00 America/New_York")


def test_counts_of_the_day_turn_with_it(tmp_path: Path) -> None:
    lab = open_lab(tmp_path, policy=with_policy(tmp_path, ("max_orders: 20_000", "max_orders: 1")))
    assert lab.buy(1).ok
    assert lab.buy(2, intent="i2").code == "DAY_ORDERS"
    tick(lab, 18900, 18902, 60)
    assert lab.buy(3, intent="i3").ok


def test_a_restart_within_the_day_changes_nothing(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    lab = open_lab(tmp_path, ledger=ledger)
    bought(lab, 100, "180.00")
    tick(lab, 19000, 19002, 61)
    tick(lab, 19500, 19502)
    tick(lab, 19300, 19302)
    assert pnl(lab) == "300"
    peak = lab.engine.view_of_risk.peak_day("PAPER")
    assert str(peak) == "500"
    for clean in (True, False):
        lab = restarted(lab, tmp_path, ledger, lab.clock.now_ns() + NS_PER_S, clean=clean)
        lab.quote(19300, 19302)
        assert pnl(lab) == "300"
        assert lab.engine.view_of_risk.peak_day("PAPER") == peak
    assert len(begun(lab)) == 2


def test_a_drawdown_is_still_one_after_a_restart(tmp_path: Path) -> None:
    """Kill the engine at its best result: the fall from there must trip the next one."""
    ledger = tmp_path / "ledger.db"
    policy = with_policy(tmp_path, ("max_drawdown: 300_000", "max_drawdown: 400"))
    lab = open_lab(tmp_path, ledger=ledger, policy=policy)
    bought(lab, 100, "180.00")
    tick(lab, 18500, 18502, 2)
    lab = restarted(lab, tmp_path, ledger, lab.clock.now_ns() + NS_PER_S, clean=False, policy=policy)
    tick(lab, 18100, 18102, 2)
    assert pnl(lab) == "100"
    assert lab.buy(1).ok, "a fall of 400 is at the limit"
    tick(lab, 18099, 18101)
    assert lab.buy(1, intent="i9").code in {"HALTED", "DRAWDOWN_MAX"}
    assert [held.code for held in lab.engine.kill.held()] == ["DRAWDOWN_MAX"]


def test_a_best_result_is_journaled_in_steps_and_not_at_every_look(tmp_path: Path) -> None:
    lab = open_lab(tmp_path, policy=with_policy(tmp_path, ("max_drawdown: 300_000", "max_drawdown: 100_000")))
    bought(lab, 100, "189.00")
    for number in range(1, 111):
        tick(lab, 18900 + number, 18902 + number, 0.5)
    peaks = [row for row in lab.journal.read() if row.kind == "result_peaked"]
    assert pnl(lab) == "110"
    assert len(peaks) == 1, "one step is a thousandth of the limit"


@pytest.mark.parametrize(
    ("then", "now", "mark"),
    [
        # It was 190.00 when we last looked. The worse starting value counts, for a long position the higher one.
        (19000, 18800, "190"),
        (19000, 19300, "193"),
    ],
)
@pytest.mark.parametrize("clean", [True, False])
def test_a_cut_that_nobody_saw_counts_at_the_worse_neighbour(
    tmp_path: Path, then: int, now: int, mark: str, clean: bool
) -> None:
    ledger = tmp_path / "ledger.db"
    lab = open_lab(tmp_path, ledger=ledger, start_ns=MIDNIGHT - 1_000 * NS_PER_S)
    bought(lab, 100, "180.00")
    tick(lab, then, then + 2, 901)
    lab = restarted(lab, tmp_path, ledger, MIDNIGHT + 3_600 * NS_PER_S, clean=clean)
    assert pnl(lab) is None
    denied = lab.buy(1)
    assert denied.code == "QUOTE_NONE" or "AAPL had no price when the day began" in str(denied.denials)
    assert any("AAPL had no price" in block.why for block in lab.engine.safety.blocks(lab.clock.now_ns()))
    tick(lab, now, now + 2)
    assert pnl(lab) == str(Money((Decimal(now) / 100 - Decimal(mark)) * 100))
    (late,) = [event for event in decoded(lab) if isinstance(event, de.RiskDayMarked)]
    assert str(late.marks[0].price) == mark
    assert "nobody looked at the cut" in late.marks[0].note
    lab = restarted(lab, tmp_path, ledger, lab.clock.now_ns() + NS_PER_S, clean=False)
    lab.quote(now, now + 2)
    assert pnl(lab) == str(Money((Decimal(now) / 100 - Decimal(mark)) * 100))


def decoded(lab: Lab) -> list[ev.AnyEvent]:
    return [ev.decode_event(row.payload) for row in lab.journal.read()]


def test_until_the_day_has_its_marks_only_orders_that_shrink_pass(tmp_path: Path) -> None:
    """The feed of another position is silent over the cut: its mark is missing, and the denial says so."""
    msft = make_instrument("MSFT", "equity", "XSIM", "USD", "0.01")
    lab = open_lab(tmp_path, listed=(AAPL, msft))
    bought(lab)
    foreign = lab.fill("nobody", 10, "kMSFT", "400.00").fill
    lab.answer(bi.Filled(broker="paper", ts_ns=1, fill=msgspec.structs.replace(foreign, symbol="MSFT")))
    tick(lab, 18900, 18902, 61)
    assert begun(lab)[-1].waiting == ("MSFT",)
    denied = lab.buy(1, intent="more")
    told = {item.code: item.text for item in denied.denials}
    assert "MSFT had no price when the day began at 2023-11-15T00:00Z" in told["PNL_UNKNOWN"]
    assert lab.sell(10, intent="less").ok
    now = lab.clock.now_ns()
    lab.engine.on_market(QuoteTick("MSFT", "XSIM", now, 1, 40100, 500, 40102, 500))
    tick(lab, 18900, 18902)
    assert pnl(lab) == "0"


def test_a_closed_session_keeps_its_last_price_as_the_mark(tmp_path: Path) -> None:
    """The exchange closed hours ago: its last quote is what the position is worth, at the cut and after it."""
    close = BEFORE + 30 * NS_PER_S
    table = SessionTable(
        name="XSIM", days=("a", "b"), opens=(BEFORE - 1, MIDNIGHT * 2), closes=(close, MIDNIGHT * 2 + 1)
    )
    listed = (msgspec.structs.replace(AAPL, calendar="XSIM"), BNB)
    lab = open_lab(tmp_path, listed=listed, sessions=Sessions({"XSIM": table}))
    bought(lab, 100, "180.00")
    tick(lab, 19000, 19002, 30)
    while lab.clock.now_ns() < MIDNIGHT + 120 * NS_PER_S:
        lab.clock.set_ns(lab.clock.now_ns() + NS_PER_S)
        lab.engine.on_time(lab.clock.now_ns(), lab.clock.now_ns())
        lab.settle()
    assert begun(lab)[-1].waiting == ()
    assert [str(mark.price) for mark in begun(lab)[-1].marks] == ["190"]
    assert pnl(lab) == "0"


def test_a_fee_in_a_third_currency_is_converted_or_makes_the_day_unknown(tmp_path: Path) -> None:
    lab = open_lab(tmp_path, listed=(AAPL, BNB))
    bought(lab, 100, "189.00", "0.5", "BNB")
    lab.quote()
    assert pnl(lab) is None
    told = {item.code: item.text for item in lab.buy(1, intent="x").denials}
    assert "there is no rate from BNB to USD" in told["PNL_UNKNOWN"]
    assert "there is no rate from BNB to USD" in told["EQUITY_NONE"], "what is missing is named"
    now = lab.clock.now_ns()
    lab.engine.on_market(QuoteTick("BNB-USD", "XSIM", now, 1, 20000, 500, 20002, 500))
    assert pnl(lab) == "-100.005", "half a coin at the middle of 200.00 and 200.02"
    assert str(lab.engine.view_of_risk.equity("PAPER")) == "999899.995"
    assert lab.engine.ledger.conservation_faults() == []
    lab.clock.set_ns(now + 61 * NS_PER_S)
    lab.quote()
    assert pnl(lab) is None, "a rate grows stale like any price"


def test_a_foreign_position_without_a_rate_is_denied(tmp_path: Path) -> None:
    eur = make_instrument("SAP", "equity", "XSIM", "EUR", "0.01")
    lab = open_lab(tmp_path, listed=(AAPL, eur))
    foreign = lab.fill("nobody", 10, "kSAP", "100.00").fill
    lab.answer(bi.Filled(broker="paper", ts_ns=1, fill=msgspec.structs.replace(foreign, symbol="SAP")))
    now = lab.clock.now_ns()
    lab.engine.on_market(QuoteTick("SAP", "XSIM", now, 1, 9900, 500, 9902, 500))
    assert pnl(lab) is None
    codes = {item.code for item in lab.buy(1).denials}
    assert {"PNL_UNKNOWN", "MARK_NONE", "EQUITY_NONE"} <= codes
    assert lab.engine.ledger.position("paper", "PAPER", "SAP") is not None
    assert Qty(10) == lab.engine.ledger.qty("PAPER", "SAP")
    assert Price("99") == lab.engine.view_of_risk.mark("SAP", Decimal(10))


def test_a_new_policy_moves_the_next_cut_and_not_the_day_that_runs(tmp_path: Path) -> None:
    from engine.domain.commands import ReloadPolicy
    from tests.core.lab import ME

    lab = open_lab(tmp_path, policy=with_policy(tmp_path, ("starts: 00:00 UTC", "starts: 22:00 UTC")))
    with_policy(tmp_path, ("starts: 00:00 UTC", "starts: 21:00 UTC"))
    assert lab.submit(ReloadPolicy(source=ME)).ok
    tick(lab, 18900, 18902, 2)
    assert [iso(day.begins_ns)[11:16] for day in begun(lab)] == ["22:00"]
    with_policy(tmp_path, ("starts: 00:00 UTC", "starts: 23:30 UTC"))
    assert lab.submit(ReloadPolicy(source=ME)).ok
    tick(lab, 18900, 18902, 2)
    assert [iso(day.begins_ns)[11:16] for day in begun(lab)] == ["22:00", "23:30"]
