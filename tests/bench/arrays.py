"""The common workload as columns: the same arrays for every engine that is measured, made from the row number alone.

One instrument, tick 0.01, lot 1; 80 % quotes and 20 % prints with bursts; each column is a function of splitmix64 of the row, so that
every Python and numpy makes the same bytes (checksum of a million rows: ``82046d3c8c30ebe0``).
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

SYMBOL = "BOLT"
START_NS = 1_700_000_000_000_000_000
MILLION = "82046d3c8c30ebe0"


def _below(rows: int, seed: int, bound: int) -> Any:
    with np.errstate(over="ignore"):
        z = np.arange(1, rows + 1, dtype=np.uint64) + np.uint64(seed) * np.uint64(0x632BE59BD9B4E019)
        z = z * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(33)) % np.uint64(bound)).astype(np.int64)


def columns(rows: int) -> dict[str, Any]:
    """Columns ``ts trade bid ask bsz asz px qty buy``; prices in ticks."""
    r, step, wide = _below(rows, 1, 100), _below(rows, 2, 100), _below(rows, 3, 100)
    ts = START_NS + np.cumsum(np.where(r < 50, 50_000, np.where(r < 80, 500_000, 4_000_000)))
    mid = np.maximum(10_000 + np.cumsum(np.where(step < 10, -1, np.where(step >= 90, 1, 0))), 5_000)
    bid, ask = mid, mid + np.where(wide < 70, 1, np.where(wide < 95, 2, 3))
    bsz, asz = (1 + _below(rows, 4, 50)) * 100, (1 + _below(rows, 5, 50)) * 100
    trade = _below(rows, 6, 100) < 20
    trade[0] = False
    buy = _below(rows, 7, 2) == 1
    last = np.maximum.accumulate(np.where(trade, -1, np.arange(rows)))
    bid, ask = bid[last], ask[last]
    qty = (1 + _below(rows, 8, 5)) * 20
    return {
        "ts": ts, "trade": trade, "bid": bid, "ask": ask, "bsz": bsz, "asz": asz,
        "px": np.where(buy, ask, bid), "qty": qty, "buy": buy,
    }  # fmt: skip


def checksum(made: dict[str, Any]) -> str:
    """First 16 hex digits of SHA-256 over the columns, in order of their names."""
    digest = hashlib.sha256()
    for name in sorted(made):
        digest.update(np.ascontiguousarray(made[name]).tobytes())
    return digest.hexdigest()[:16]
