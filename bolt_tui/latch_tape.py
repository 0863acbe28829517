"""The latch on the tape: other processes trip it, so what an engine read there is an input like any other.

Live, :class:`HeardLatch` tells the tape each change with the number of the look that saw it; deciding again, :class:`ToldLatch` shows
that change at that look, whatever the engine itself did to its latch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from engine.domain.commands import HaltScope, HaltScopeKind
from engine.domain.events import TradingState
from engine.risk.latch import GLOBAL, SIZE, Latch, LatchEntry

Answer = TypeVar("Answer")

_GONE = (LatchEntry(HaltScopeKind.GLOBAL, "", TradingState.HALTED),)


class LatchInput(msgspec.Struct, frozen=True, array_like=True):
    """What a look at the latch found that the look before it did not."""

    look: int
    """Number of the look since the input before."""
    page: bytes
    """Its bytes without the zeros at the end; empty where it could not be read, which is HALTED."""
    damage: str
    """What :meth:`Latch.damage` says of it."""


class HeardLatch(Latch):
    """The shared latch as the engine of a live session reads it. On the engine's thread only."""

    __slots__ = ("_seen", "looks", "tell", "tell_lift")

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._seen: tuple[bytes, str] | None = None
        self.looks = 0
        """Looks since the input before; the tape begins anew with each input."""
        self.tell: Callable[[LatchInput], None] = lambda _: None
        self.tell_lift: Callable[[bool], None] = lambda _: None

    def read(self, scopes: Sequence[HaltScope] = ()) -> TradingState:
        """As :meth:`Latch.read`."""
        return self._look(lambda: Latch.read(self, scopes))

    def entries(self) -> tuple[LatchEntry, ...]:
        """As :meth:`Latch.entries`."""
        return self._look(lambda: Latch.entries(self))

    def is_clear(self) -> bool:
        """As :meth:`Latch.is_clear`."""
        return self._look(lambda: Latch.is_clear(self))

    def damage(self) -> str:
        """As :meth:`Latch.damage`."""
        return self._look(lambda: Latch.damage(self))

    def lift(self, scope: HaltScope, seen_trips: int) -> bool:
        """As :meth:`Latch.lift`."""
        is_lifted = super().lift(scope, seen_trips)
        self.tell_lift(is_lifted)
        return is_lifted

    def _look(self, ask: Callable[[], Answer]) -> Answer:
        """Ask until nobody changed a byte meanwhile, so that what is told is what was answered."""
        self.looks += 1
        page = self.page()
        while True:
            answer = ask()
            after = self.page()
            if after == page:
                break
            page = after
        if self._seen is None or page != self._seen[0] or not page:
            seen = (page, Latch.damage(self))
            if seen != self._seen:
                self._seen = seen
                self.tell(LatchInput(self.looks, page.rstrip(b"\0"), seen[1]))
        return answer


class ToldLatch(Latch):
    """The latch of a session that is decided again: it holds what the tape tells, at the look that found it then."""

    __slots__ = ("_damage", "_is_gone", "_next", "_was_lifted", "looks")

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.looks = 0
        self._is_gone, self._damage = False, ""
        self._next: Callable[[int], LatchInput | None] = lambda _: None
        self._was_lifted: Callable[[], bool] = lambda: False

    def follow(self, at_look: Callable[[int], LatchInput | None], was_lifted: Callable[[], bool]) -> None:
        """Say where changes come from: what the tape holds for a look, and how a lift ended."""
        self._next, self._was_lifted = at_look, was_lifted

    def put(self, told: LatchInput) -> None:
        """Be as the latch was then."""
        self._is_gone, self._damage = not told.page, told.damage
        if self._map is not None and told.page:
            self._map[:SIZE] = told.page.ljust(SIZE, b"\0")

    def read(self, scopes: Sequence[HaltScope] = ()) -> TradingState:
        """As it was at this look."""
        self._look()
        return TradingState.HALTED if self._is_gone else super().read(scopes)

    def entries(self) -> tuple[LatchEntry, ...]:
        """As they were at this look."""
        self._look()
        return _GONE if self._is_gone else super().entries()

    def is_clear(self) -> bool:
        """As it was at this look."""
        self._look()
        return not self._is_gone and super().is_clear()

    def damage(self) -> str:
        """As it was at this look."""
        self._look()
        return self._damage

    def trip(self, scope: HaltScope = GLOBAL, state: TradingState = TradingState.HALTED) -> bool:
        """Nothing: the next look finds what the trip made of it then."""
        del scope, state
        return True

    def tighten(self, scope: HaltScope, state: TradingState) -> None:
        """Nothing, as above."""
        del scope, state

    def lift(self, scope: HaltScope, seen_trips: int) -> bool:
        """Whether it was lifted then."""
        del scope, seen_trips
        return self._was_lifted()

    def _look(self) -> None:
        self.looks += 1
        while (told := self._next(self.looks)) is not None:
            self.put(told)
