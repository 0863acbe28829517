"""Plays one schedule: the world, the line with its faults, a market that moves, and a person at the desk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bolt_tui.faults import pipe
from bolt_tui.faults.line import Line
from bolt_tui.faults.person import Person
from bolt_tui.faults.schedule import BEGINS_NS, Schedule
from bolt_tui.faults.venue import MIC
from bolt_tui.faults.world import Outcome, World
from engine.domain.clock import NS_PER_MS, NS_PER_S
from engine.market.feed import QuoteTick
from engine.risk.policy import PolicyHolder

MOVE_NS = 500 * NS_PER_MS
STILL_AFTER_NS = BEGINS_NS + 45 * NS_PER_S
"""From here on the market stands, and only says so."""
STILL_NS = 5 * NS_PER_S
SIZE = 500


def play(schedule: Schedule, folder: Path, policy: PolicyHolder) -> tuple[Outcome, list[dict[str, Any]]]:
    """Play it on an empty folder; what came of it, and the venue's own log. The folder holds the ledger then."""
    world = World(schedule, folder, policy)
    line = Line(world)
    world.on_frame, world.on_death = line.hear, line.engine_died
    for act in schedule.acts:
        if act.do == "order":
            line.venue.parts[act.symbol, act.qty] = act.parts
    world.at(BEGINS_NS, world.start_engine)
    world.at(BEGINS_NS, lambda: _move(world, line))
    person = Person(world, line)
    world.play()
    world.out.unsettled = person.unsettled()
    return world.out, line.venue.log


def _move(world: World, line: Line) -> None:
    """The market takes a step and is quoted."""
    venue, now_ns = line.venue, world.now_ns
    is_still = now_ns > STILL_AFTER_NS
    if not is_still:
        venue.move(now_ns)
    world.after(STILL_NS if is_still else MOVE_NS, lambda: _move(world, line))
    quotes = {symbol: venue.touch(symbol) for symbol in venue.mids}
    ticks = tuple(
        QuoteTick(symbol, MIC, now_ns, venue.row, bid, SIZE, ask, SIZE) for symbol, (bid, ask) in quotes.items()
    )
    world.tell(lambda at_ns: pipe.Market(at_ns=at_ns, ticks=ticks))
