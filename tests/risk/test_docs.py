"""Every reason code can be explained, and the page of the controls is current."""

from __future__ import annotations

import re
from pathlib import Path

from engine.risk import controls_docs as docs
from engine.risk.controls import ROWS

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_current() -> None:
    assert (ROOT / "docs" / "controls.md").read_text(encoding="utf-8") == docs.render()


def test_every_code_is_explained() -> None:
    for code in docs.codes():
        words = docs.explain(code)
        assert words
        assert words == docs.explain(code.lower())
    assert docs.explain("NOTHING") is None
    assert docs.nearest("QTY_MAXX") == "QTY_MAX"


def test_every_unknown_input_has_a_code_that_is_explained() -> None:
    assert {row.unknown for row in ROWS if row.unknown} <= set(docs.codes())


def test_every_code_in_the_source_is_explained() -> None:
    """Codes that the monitors and the kill switch write, read from the source."""
    found = set()
    for name in ("safety", "kill_switch", "latch", "risk_manager"):
        source = (ROOT / "engine" / "risk" / f"{name}.py").read_text(encoding="utf-8")
        found |= set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', source))
    assert found - {"BOLTLTCH"} <= set(docs.codes())


def test_every_code_that_the_engine_answers_with_is_explained() -> None:
    """Whatever a command is refused or answered with can be asked for."""
    found = set()
    for path in (ROOT / "engine").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        found |= set(re.findall(r'(?:_no\(|_denial\(|\bcode=|_amend_unsent\(order, )\s*"([A-Z][A-Z_]+)"', source))
    assert len(found) > 20
    assert sorted(found - set(docs.codes())) == []
