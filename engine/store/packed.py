"""Records that are looked at seldom: encoded, compressed in blocks, and given back when they are asked for.

Why: a finished order with its fills takes 3 kB as objects and about 200 bytes packed, and a day has a hundred thousand of them.
"""

from __future__ import annotations

import zlib
from typing import Any, Generic, TypeVar

import msgspec

from engine.domain import events as ev

V = TypeVar("V")

BLOCK = 64
"""Records in a block: small ones compress badly alone, and a block has to be unpacked for one of its records."""
LEVEL = 1
"""Of compression: the higher ones take twice as long for a tenth less."""


class Packed(Generic[V]):
    """An append-only list of records of one kind."""

    def __init__(self, kind: Any) -> None:
        self._reader: msgspec.json.Decoder[list[V]] = ev.decoder(list[kind])
        self._blocks: list[bytes] = []
        self._looked_at: tuple[int, list[V]] = (-1, [])

    def add(self, records: list[V]) -> int:
        """Pack at most :data:`BLOCK` records together; the place of the first, the others follow it."""
        assert 0 < len(records) <= BLOCK
        self._blocks.append(zlib.compress(ev.ENCODER.encode(records), LEVEL))
        return (len(self._blocks) - 1) * BLOCK

    def get(self, place: int) -> V:
        """The record at a place, as new objects or as those of the last look into its block."""
        number, index = divmod(place, BLOCK)
        if self._looked_at[0] != number:
            self._looked_at = (number, self._reader.decode(zlib.decompress(self._blocks[number])))
        return self._looked_at[1][index]

    def clear(self) -> None:
        """Drop everything."""
        self._blocks.clear()
        self._looked_at = (-1, [])
