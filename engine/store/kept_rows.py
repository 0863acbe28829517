"""Journal rows of a ledger that has no file: the newest as they are, the older ones compressed in blocks.

An order's rows take 2.4 kB as text and 330 bytes so, most of it hashes, for about 8 us of compression
(``python -m tests.bench.bolt_workload W2b``).
"""

from __future__ import annotations

import zlib

import msgspec

Row = tuple[int, int, str, bytes, bytes, bytes]
"""Sequence number, time, kind, payload, hash before, hash."""

BLOCK = 512
_PACKED = msgspec.msgpack.Decoder(list[Row])


class KeptRows:
    """Rows 1, 2, 3... in the order in which they came."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._newest: list[Row] = []

    def append(self, rows: list[Row]) -> None:
        """Put rows behind the others."""
        newest = self._newest
        newest += rows
        while len(newest) >= 2 * BLOCK:
            self._blocks.append(zlib.compress(msgspec.msgpack.encode(newest[:BLOCK]), 1))
            del newest[:BLOCK]

    def rows(self, from_seq: int, limit: int) -> list[Row]:
        """At most ``limit`` rows (all of them where it is negative) from a sequence number on."""
        first = max(0, from_seq - 1)
        most = len(self._blocks) * BLOCK + len(self._newest) - first
        left = most if limit < 0 else min(limit, most)
        found: list[Row] = []
        for number in range(first // BLOCK, len(self._blocks)):
            if len(found) >= left:
                break
            block = _PACKED.decode(zlib.decompress(self._blocks[number]))
            found += block[max(0, first - number * BLOCK) :]
        start = max(0, first - len(self._blocks) * BLOCK)
        return (found + self._newest[start:])[: max(0, left)]
