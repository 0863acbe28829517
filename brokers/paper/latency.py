"""How long messages take: integer distributions with bursts, drawn from the venue's own seeded generator."""

from __future__ import annotations

import msgspec

from engine.domain.clock import NS_PER_MS
from engine.domain.ids import Random

PER_MILLION = 1_000_000


class Delay(msgspec.Struct, frozen=True):
    """One leg: at least ``base_ns``, plus a right-skewed part of mean ``jitter_ns``."""

    base_ns: int
    jitter_ns: int = 0


class LatencyParams(msgspec.Struct, frozen=True, kw_only=True):
    """Legs between engine and matching. The feed leg is part of the way in: the engine sees rows at once."""

    insert: Delay = Delay(400_000, 100_000)
    modify: Delay = Delay(400_000, 100_000)
    cancel: Delay = Delay(300_000, 80_000)
    ack: Delay = Delay(250_000, 60_000)
    """From the matching back to the engine: acknowledgements, rejects and confirmations."""
    report: Delay = Delay(250_000, 60_000)
    """From the matching back to the engine: executions."""
    burst_per_million: int = 2_000
    """Chance per message that a busy spell begins."""
    burst_ns: int = 50 * NS_PER_MS
    """How long a busy spell lasts."""
    burst_factor: int = 8
    """In a busy spell every leg takes this many times as long."""


NO_LATENCY = LatencyParams(
    insert=Delay(0), modify=Delay(0), cancel=Delay(0), ack=Delay(0), report=Delay(0), burst_per_million=0
)
"""Everything arrives at once: for closed-form checks."""


class Latency:
    """Draws delays. Two runs with the same seed and the same calls draw the same."""

    __slots__ = ("_busy_until_ns", "_params", "_random", "bursts", "drawn")

    def __init__(self, params: LatencyParams, random: Random) -> None:
        self._params = params
        self._random = random
        self._busy_until_ns = 0
        self.drawn = 0
        self.bursts = 0

    def draw(self, delay: Delay, ts_ns: int) -> int:
        """Nanoseconds that one message takes on one leg."""
        self.drawn += 1
        params = self._params
        if params.burst_per_million and self._random.chance(params.burst_per_million):
            self._busy_until_ns = ts_ns + params.burst_ns
            self.bursts += 1
        took = delay.base_ns + (self._skewed(delay.jitter_ns) if delay.jitter_ns else 0)
        return took * params.burst_factor if ts_ns < self._busy_until_ns else took

    def _skewed(self, mean_ns: int) -> int:
        # Geometric number of halves of the mean: mean 1 x mean, a tail that falls by half per step, integers only.
        halves = 0
        bits = self._random.bits64()
        while bits & 1 and halves < 40:
            halves += 1
            bits >>= 1
        return mean_ns * halves // 2 + self._random.below(mean_ns + 1)
