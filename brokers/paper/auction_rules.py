"""When a venue takes orders for its auctions, and from when on they are bound."""

from __future__ import annotations

import msgspec

from engine.domain.clock import NS_PER_S
from engine.domain.order import Tif


class AuctionRules(msgspec.Struct, frozen=True, kw_only=True):
    """Times before an auction, in nanoseconds."""

    open_call_ns: int = 1_800 * NS_PER_S
    """From so long before the open on orders for it are taken."""
    open_cut_off_ns: int = 120 * NS_PER_S
    close_cut_off_ns: int = 600 * NS_PER_S

    def cut_off_ns(self, tif: Tif) -> int:
        """So long before its auction an order is bound, and no new one is taken."""
        return self.open_cut_off_ns if tif is Tif.OPG else self.close_cut_off_ns
