"""The record of one execution at the paper venue, with its fee."""

from __future__ import annotations

from brokers.paper.config import VenueConfig
from brokers.paper.matching import Listing
from brokers.paper.orders import Working
from engine.domain.errors import InvariantError
from engine.domain.events import Fill
from engine.domain.money import EXACT, ZERO_MONEY
from engine.domain.order import Liquidity
from engine.market.fees import charge


def fill_of(
    config: VenueConfig, now_ns: int, listing: Listing, order: Working, qty: int, price: int, liquidity: Liquidity, *,
    guessed: bool, note: str = "",
) -> Fill:  # fmt: skip
    """One execution of an order, in the instrument's own units; its fee counts on the order."""
    instrument, spec = listing.instrument, order.spec
    size, at = instrument.qty_of(qty), instrument.price_of(price)
    fee, currency = ZERO_MONEY, instrument.currency
    schedule = config.fees.get(listing.mic)
    if schedule is not None:
        rates = schedule.at(now_ns)
        if rates is None:
            raise InvariantError(f"order {order.wire_id} was admitted, but {schedule.missing_text(now_ns)}")
        fee = charge(rates, order.fees, spec.side, liquidity, size, EXACT.abs(instrument.notional(at, size)))
        currency = schedule.currency
    day = listing.calendar.trading_day(now_ns)
    return Fill(
        broker=config.broker,
        account=order.account,
        fill_key=f"{spec.symbol}:{day}:{order.venue_order_id}:{order.executions}",
        symbol=spec.symbol,
        side=spec.side,
        qty=size,
        price=at,
        ts_ns=now_ns,
        venue=listing.mic,
        liquidity=liquidity,
        fee=fee,
        fee_currency=currency,
        wire_id=order.wire_id,
        venue_order_id=order.venue_order_id,
        tape_row=listing.row,
        rests_from_row=order.rests_from if liquidity is Liquidity.MAKER else 0,
        guessed=guessed,
        note=note,
    )
