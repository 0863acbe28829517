"""What our own trading does to the price (effect P07): linear, permanent and temporary, decaying; integers only.

Linear on purpose: with exponential decay a concave impact lets a round trip earn money (Gatheral 2010, Quantitative
Finance 10:749, section 4), a linear one does not. On top of that a shift never improves a fill of ours here, so the cost of any round
trip under the model is at least zero.
"""

from __future__ import annotations

import msgspec

from engine.domain.clock import NS_PER_S

SCALE = 1_000_000
"""Shifts are kept in millionths of a price unit."""

# 2**(-k/16) in parts of 2**16: decay between whole half-lives, the same on every machine.
_SIXTEENTHS = (
    65536, 62757, 60097, 57549, 55109, 52773, 50535, 48393, 46341, 44376, 42495, 40693, 38968, 37316, 35734, 34219,
)  # fmt: skip


class ImpactParams(msgspec.Struct, frozen=True, kw_only=True):
    """Impact of one instrument, in millionths of a price unit per quantity unit; all zero = off."""

    permanent: int = 0
    temporary: int = 0
    half_life_ns: int = 60 * NS_PER_S
    """Of the temporary part."""

    @property
    def is_on(self) -> bool:
        """Whether it does anything."""
        return bool(self.permanent or self.temporary)


def decayed(amount: int, age_ns: int, half_life_ns: int) -> int:
    """``amount`` after ``age_ns`` of exponential decay, toward zero, in steps of a sixteenth of the half-life."""
    steps = age_ns * 16 // half_life_ns
    halves, rest = divmod(steps, 16)
    if halves > 62:
        return 0
    size = (abs(amount) >> halves) * _SIXTEENTHS[rest] >> 16
    return size if amount >= 0 else -size


class Impact:
    """Shift of one instrument's price by our own taking."""

    __slots__ = ("_fading", "_params", "_since_ns", "_standing")

    def __init__(self, params: ImpactParams) -> None:
        self._params = params
        self._standing = 0
        self._fading = 0
        self._since_ns = 0

    def shift(self, ts_ns: int) -> int:
        """Price shift now, in millionths of a price unit; positive after our buying."""
        return self._standing + decayed(self._fading, max(0, ts_ns - self._since_ns), self._params.half_life_ns)

    def absorb(self, ts_ns: int, sign: int, qty: int) -> None:
        """We took ``qty``."""
        if ts_ns > self._since_ns:
            self._fading = decayed(self._fading, ts_ns - self._since_ns, self._params.half_life_ns)
            self._since_ns = ts_ns
        self._standing += sign * qty * self._params.permanent
        self._fading += sign * qty * self._params.temporary

    def concession(self, ts_ns: int, sign: int, qty: int) -> int:
        """Whole price units by which a taking fill of ``qty`` is worse than the book: the shift that stands against us, and half
        of what the fill itself adds (its average over the fill); rounded up, never below zero.
        """
        own = qty * (self._params.permanent + self._params.temporary)
        against = max(0, sign * self.shift(ts_ns)) * 2 + own
        return -(-against // (2 * SCALE))
