"""The engine's own lookout, look by look."""

import pytest

from bolt_tui.lookout import LATE_NS, Lookout
from engine.domain.clock import NS_PER_S, SimClock


class Loop:
    """A loop that a test lets turn or stand, and what the lookout made of it."""

    def __init__(self, limit_s: int = 10) -> None:
        self.clock = SimClock(NS_PER_S)
        self.beat_ns = self.clock.now_ns()
        self.asked: str | None = None
        self.halts: list[tuple[str, str]] = []
        self.lookout = Lookout(
            self.clock,
            lambda: self.beat_ns,
            lambda: limit_s * NS_PER_S,
            lambda: self.asked,
            lambda who, why, _source: self.halts.append((who, why)),
        )

    def stand(self, span_ns: int) -> list[str]:
        """Time passes without a turn; who halted at the look behind it."""
        self.clock.set_ns(self.clock.now_ns() + span_ns)
        before = len(self.halts)
        self.lookout.look()
        return [who for who, _ in self.halts[before:]]

    def turn(self) -> None:
        self.beat_ns = self.clock.now_ns()
        self.lookout.look()


def test_each_stall_halts_once() -> None:
    loop = Loop()
    assert loop.stand(10 * NS_PER_S) == []
    assert loop.stand(1) == ["lookout"]
    assert loop.stand(60 * NS_PER_S) == []
    loop.turn()
    assert loop.stand(11 * NS_PER_S) == ["lookout"]
    assert "did not turn for 11 s" in loop.halts[-1][1]


def test_without_a_limit_a_stall_is_not_judged() -> None:
    assert Loop(limit_s=0).stand(1_000 * NS_PER_S) == []


@pytest.mark.parametrize("again", ["fire", "water"])
def test_a_sentinel_halts_where_the_loop_does_not_turn_and_once_for_each_request(again: str) -> None:
    loop = Loop()
    loop.asked = "fire"
    assert loop.stand(LATE_NS) == [], "a loop that turned lately reads it by itself"
    assert loop.stand(1) == ["sentinel"]
    assert loop.halts == [("sentinel", "fire")]
    assert loop.stand(1) == []
    if again == "fire":
        loop.turn()
    loop.asked = again
    assert loop.stand(LATE_NS + 1) == ["sentinel"]
    loop.asked = None
    assert loop.stand(1) == []
