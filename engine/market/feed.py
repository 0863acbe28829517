"""Market data as the core sees it: three frozen messages in hot-path integers.

Prices and quantities are integers of ``10**-price_digits`` and ``10**-qty_digits`` of the instrument; ``row`` is the
position in the feed (tape), so that a decision can name what it saw. Nothing here is journaled.
"""

from __future__ import annotations

from typing import final

import msgspec


@final
class QuoteTick(msgspec.Struct, frozen=True, array_like=True, tag="q"):
    """Best bid and offer of one symbol at one venue. A missing side has price and size 0."""

    symbol: str
    venue: str
    ts_ns: int
    row: int
    bid: int
    bid_qty: int
    ask: int
    ask_qty: int


@final
class TradeTick(msgspec.Struct, frozen=True, array_like=True, tag="t"):
    """One print of the market (own fills are not prints)."""

    symbol: str
    venue: str
    ts_ns: int
    row: int
    price: int
    qty: int
    aggressor: str
    """``B``, ``S`` or ``N``."""
    hidden: bool = False


@final
class BookTick(msgspec.Struct, frozen=True, array_like=True, tag="b"):
    """Visible levels, best first, as ``(price, qty)``; sent for display and cost preview, at a bounded rate."""

    symbol: str
    venue: str
    ts_ns: int
    row: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]


class StatusTick(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """A venue's trading status for a symbol (empty symbol: the venue): ``open``, ``closed``, ``halted``, ``stale``."""

    symbol: str
    venue: str
    ts_ns: int
    status: str


MarketTick = QuoteTick | TradeTick | BookTick | StatusTick
