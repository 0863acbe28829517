"""Every kind of event has a line of the trade log, or stands in the list of those that only machines read."""

from __future__ import annotations

import inspect
import re

from engine.api import log_lines
from engine.domain import events as ev
from engine.domain.money import Money


def test_every_kind_is_told_or_silent() -> None:
    told = set(re.findall(r"case (?:ev\.)?(\w+)\(\)", inspect.getsource(log_lines)))
    silent = {kind.__name__ for kind in log_lines.SILENT}
    assert not told & silent
    assert told | silent == {kind.__name__ for kind in ev.EVENT_KINDS}


def test_money_that_a_person_moves_is_told() -> None:
    event = ev.PositionAdjusted(
        broker="paper", account="PAPER", cash=Money(-5), currency="USD", reason="bank fee", who="cli:anna"
    )
    assert log_lines.is_told(event)
    line = log_lines.line(7, 1, event, None)
    assert line is not None
    assert (line.word, line.text) == ("ADJUST", "cash -5 USD by cli:anna: bank fee")
