"""Every layout that is read."""

from __future__ import annotations

from engine.market.formats.bars import BAR_LAYOUTS
from engine.market.formats.binance import BINANCE_LAYOUTS
from engine.market.formats.bitstamp import BITSTAMP_LAYOUTS
from engine.market.formats.cme import CME_LAYOUT
from engine.market.formats.ib import IB_LAYOUT
from engine.market.formats.layout import Layout
from engine.market.formats.orders import ORDER_LAYOUT
from engine.market.formats.own import OWN_LAYOUT
from engine.market.formats.taq import TAQ_LAYOUTS

LAYOUTS: dict[str, Layout] = {
    one.header: one
    for one in (
        ORDER_LAYOUT, OWN_LAYOUT, CME_LAYOUT, *BITSTAMP_LAYOUTS, *BINANCE_LAYOUTS, *TAQ_LAYOUTS, IB_LAYOUT, *BAR_LAYOUTS,
    )
}  # fmt: skip
"""By header line."""
