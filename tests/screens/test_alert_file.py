"""Price alerts outlive their desk; what cannot be kept or read costs nothing else."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from bolt_tui.alert_file import NAME, AlertFile
from engine.views import LimitView
from tests.screens import frozen
from widgets.alerts import Alert, AlertBook, Kept, PriceAlert, alerts_of

ALERT = PriceAlert("AAPL", True, Decimal("189.05"))


def test_an_alert_and_that_it_was_reached_outlive_the_desk(tmp_path: Path) -> None:
    kept = AlertFile(tmp_path)
    assert "outlives" in AlertBook(kept.load(), kept.keep).toggle(ALERT)
    book = AlertBook(AlertFile(tmp_path).load(), kept.keep)
    assert book.alerts == (ALERT,)
    assert book.check(frozen.working_day(), 7) == [ALERT]
    again = AlertBook(AlertFile(tmp_path).load(), kept.keep)
    assert again.alerts[0].hit_ns == 7
    assert again.check(frozen.working_day(), 8) == [], "it was told of once and is not told of again"
    again.toggle(ALERT)
    assert AlertFile(tmp_path).load() == Kept()


@pytest.mark.parametrize("spoiled", [b"{", b"[1]", b'[{"symbol":"A","is_above":true,"price":"NaN"}]'])
def test_a_spoiled_file_is_none(tmp_path: Path, spoiled: bytes) -> None:
    (tmp_path / NAME).write_bytes(spoiled)
    assert AlertFile(tmp_path).load() == Kept()


def test_where_it_cannot_be_kept_the_desk_says_so(tmp_path: Path) -> None:
    said = AlertBook(keep=AlertFile(tmp_path / "nowhere").keep).toggle(ALERT)
    assert "as long as this desk runs" in said


def test_the_fullest_limit_is_warned_of_first() -> None:
    limits = tuple(
        LimitView(code=code, control="C1", what="gross", scope="PAPER", value="1", limit="2", used_pct=used)
        for code, used in (("A", 85), ("B", None), ("C", 99))
    )
    view = msgspec.structs.replace(frozen.empty(), limits=limits)
    shown = [alert.state for alert in alerts_of(view)]
    assert shown == ["NOT KNOWN", "99% USED", "85% USED"]


def test_an_older_file_with_prices_alone_is_read(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(msgspec.json.encode((ALERT,)))
    assert AlertFile(tmp_path).load() == Kept((ALERT,))


def limits(used: int) -> list[Alert]:
    one = LimitView(code="A", control="C1", what="gross", scope="PAPER", value="1", limit="2", used_pct=used)
    return alerts_of(msgspec.structs.replace(frozen.empty(), limits=(one,)))


def test_what_was_acknowledged_stays_so_over_a_restart_until_it_gets_worse(tmp_path: Path) -> None:
    kept = AlertFile(tmp_path)
    book = AlertBook(kept.load(), kept.keep)
    assert book.acknowledge(limits(84)) == 1
    again = AlertBook(AlertFile(tmp_path).load(), kept.keep)
    assert not again.is_new(limits(82)[0])
    assert not again.is_new(limits(89)[0])
    assert again.is_new(limits(91)[0]), "it got worse"
    again.forget(limits(70))
    assert AlertBook(AlertFile(tmp_path).load()).is_new(limits(84)[0]), "it had ended and came back"


def blocked(*words: str) -> list[Alert]:
    view = frozen.empty()
    halt = msgspec.structs.replace(view.status.halt, blocks=words)
    return alerts_of(msgspec.structs.replace(view, status=msgspec.structs.replace(view.status, halt=halt)))


def test_a_block_is_the_same_one_while_its_seconds_pass_and_many_are_one_line() -> None:
    book = AlertBook()
    book.acknowledge(blocked("AAPL: stale 4.0 s"))
    assert not book.is_new(blocked("AAPL: stale 9.5 s")[0])
    assert book.is_new(blocked("MSFT: stale 4.0 s")[0])
    (folded,) = blocked(*(f"{name}: stale {at}.0 s" for at, name in enumerate(("AAPL", "MSFT", "SPY", "ESZ6"))))
    assert (folded.state, folded.words) == ("4 BLOCKED", "stale: AAPL, MSFT, SPY, ESZ6")
