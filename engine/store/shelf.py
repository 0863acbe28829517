"""A mapping whose newest entries are at hand and whose older ones are packed, in the order in which they came."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, MutableMapping
from itertools import islice
from typing import Any, TypeVar

from engine.store.packed import BLOCK, Packed

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

AT_HAND_MAX = 4_096


class Shelf(MutableMapping[K, V]):
    """A dictionary of records that never change. ``kind`` is their type.

    What is packed is equal to what was put in, not the same object. Taking out or changing an old entry unpacks all of them: it is
    what a bust of an old execution does, and that works the whole position out again anyway.
    """

    def __init__(self, kind: Any, at_hand_max: int = AT_HAND_MAX) -> None:
        self._at_hand: dict[K, V] = {}
        self._places: dict[K, int] = {}
        """Of the packed ones; all of them came before those at hand."""
        self._packed: Packed[V] = Packed(kind)
        self.at_hand_max, self.step = at_hand_max, BLOCK

    def __getitem__(self, key: K) -> V:
        """The entry; KeyError where there is none."""
        found = self._at_hand.get(key)
        return self._packed.get(self._places[key]) if found is None else found

    def get(self, key: K, default: Any = None) -> Any:
        """The entry, or ``default``."""
        found = self._at_hand.get(key)
        if found is not None:
            return found
        place = self._places.get(key)
        return default if place is None else self._packed.get(place)

    def __contains__(self, key: object) -> bool:
        """Whether there is such an entry."""
        return key in self._at_hand or key in self._places

    def __setitem__(self, key: K, value: V) -> None:
        """Put an entry behind the others, or change one where it stands."""
        if self._places and key in self._places:
            self._unpack()
        self._at_hand[key] = value
        if len(self._at_hand) >= self.at_hand_max + self.step:
            self._pack()

    def __delitem__(self, key: K) -> None:
        """Take an entry out; KeyError where there is none."""
        if key not in self._at_hand and key in self._places:
            self._unpack()
        del self._at_hand[key]

    def __len__(self) -> int:
        """Entries, packed ones as well."""
        return len(self._at_hand) + len(self._places)

    def __iter__(self) -> Iterator[K]:
        """Keys, oldest first."""
        yield from self._places
        yield from self._at_hand

    def rearrange(self, change: Callable[[dict[K, V]], dict[K, V]]) -> None:
        """Replace everything by what ``change`` makes of it."""
        self._unpack()
        self._at_hand = change(self._at_hand)

    def _pack(self) -> None:
        oldest = list(islice(self._at_hand.items(), self.step))
        first = self._packed.add([value for _, value in oldest])
        for number, (key, _) in enumerate(oldest, first):
            self._places[key] = number
            del self._at_hand[key]

    def _unpack(self) -> None:
        if self._places:
            self._at_hand = {key: self._packed.get(place) for key, place in self._places.items()} | self._at_hand
            self._places.clear()
            self._packed.clear()
