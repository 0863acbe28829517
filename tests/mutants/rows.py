"""Guards that are found in the source: each row of the control table, and each doubt of the gate's short way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from engine.risk.controls import ROWS, Row
from tests.mutants.guards import Mutant

TABLE, SHORT_WAY = "engine/risk/controls.py", "engine/risk/fast_gate.py"
_END = '"""What an order passes, in the order of the gate."""\n'
_PART = re.compile(r"^ +(?:or|and) .*\n", re.MULTILINE)
_TEST = re.compile(r"^( +)if (?!TYPE_CHECKING)([^\n]*):\n( +)raise Doubt", re.MULTILINE)


def _blind(row: Row) -> str:
    """What makes a row let everything pass."""
    if row.rule is not None:
        return "rule=lambda case: None"
    return f"measure=lambda case: {2**62 if row.is_floor else -(2**62)}"


def controls() -> Iterator[Mutant]:
    """Each row of the table, blind."""
    for row in ROWS:
        blind = f'ROWS = tuple(msgspec.structs.replace(row, {_blind(row)}) if row.code == "{row.code}" else row for row in ROWS)\n'
        yield Mutant(
            f"{row.control}-{row.code}",
            f"{row.control}: {row.doc.rstrip('.')}",
            TABLE,
            _END,
            f"{_END}{blind}",
            ("tests/risk/test_controls.py", "-k", row.code),
        )


SAME = frozenset(
    {
        "and paths is not None", "or jump_ns is None", "or offset_ns is None", "or equity is None", "or verified_ns is None",
        "or pnl is None", "quote is None", "parent is None", "original is None", "book is None",
        # The order itself makes the exposure larger than zero, so no leverage of it holds on no equity.
        "or equity <= 0",
    }
)  # fmt: skip
"""Left out they change nothing: the next term breaks on None, and whatever breaks there is for the table."""


def doubts(root: Path) -> Iterator[Mutant]:
    """Each condition of the short way, left out."""
    source = (root / SHORT_WAY).read_text("utf-8")
    body = source[source.index("class _Prices") :]
    seen: dict[str, int] = {}
    for found in (*_PART.finditer(body), *_TEST.finditer(body)):
        text = found.group(0)
        at = len(source) - len(body) + found.start()
        words = " ".join((found.group(2) if found.re is _TEST else text).split())
        if words in SAME:
            continue
        seen[words] = seen.get(words, 0) + 1
        new = "" if found.re is _PART else f"{found.group(1)}if None:\n{found.group(3)}raise Doubt"
        # The place is part of the text that is replaced, so that one of two equal lines can be meant.
        begin = source.rindex("\n", 0, max(0, at - 300)) + 1
        yield Mutant(
            f"short-way-{len(seen)}-{seen[words]}",
            f"short way: {words}",
            SHORT_WAY,
            source[begin : at + len(text)],
            source[begin:at] + new,
            ("tests/risk/test_fast_gate.py",),
        )
