"""Price alerts outlive their desk; what cannot be kept or read costs nothing else."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from bolt_tui.alert_file import NAME, AlertFile
from engine.views import LimitView
from tests.screens import frozen
from widgets.alerts_panel import AlertBook, PriceAlert, warning_rows
from widgets.live_table import words_of

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
    assert AlertFile(tmp_path).load() == ()


@pytest.mark.parametrize("spoiled", [b"{", b"[1]", b'[{"symbol":"A","is_above":true,"price":"NaN"}]'])
def test_a_spoiled_file_is_none(tmp_path: Path, spoiled: bytes) -> None:
    (tmp_path / NAME).write_bytes(spoiled)
    assert AlertFile(tmp_path).load() == ()


def test_where_it_cannot_be_kept_the_desk_says_so(tmp_path: Path) -> None:
    said = AlertBook(keep=AlertFile(tmp_path / "nowhere").keep).toggle(ALERT)
    assert "as long as this desk runs" in said


def test_the_fullest_limit_is_warned_of_first() -> None:
    limits = tuple(
        LimitView(code=code, control="C1", what="gross", scope="PAPER", value="1", limit="2", used_pct=used)
        for code, used in (("A", 85), ("B", None), ("C", 99))
    )
    view = msgspec.structs.replace(frozen.empty(), limits=limits)
    shown = [words_of(row) for row in warning_rows(view)]
    assert ["NOT KNOWN" in shown[0], "99%" in shown[1], "85%" in shown[2]] == [True, True, True]
