"""The values that people type: sizes, prices, durations. Each reader takes one word and gives None where it is another.

Only plain digits are numbers: no exponent, no thousands separator (``1,5`` means two things on two keyboards).
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from engine.domain.clock import NS_PER_S
from engine.domain.events import QuoteSeen
from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, Money, Price, Qty, Rounding
from engine.domain.order import Side

DURATION_S_MAX = 24 * 3600
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,12})?"
_SIZE = re.compile(rf"(\$?)({_NUMBER})([km]?)")
_PRICE = re.compile(rf"-?{_NUMBER}")
_PRICE_WORD = re.compile(r"(mkt|join|take|mid|bid|ask)(?:([+-])([0-9]{1,3})t)?")
_DURATION = re.compile(r"(?:([0-9]{1,5})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,6})s)?")
_SCALE = {"": Decimal(1), "k": Decimal(1_000), "m": Decimal(1_000_000)}

PRICE_WORDS = ("@mkt", "@mtl", "@join", "@take", "@mid", "@bid", "@ask")


class PriceWord(msgspec.Struct, frozen=True):
    """A price said by its place in the quote: ``mid``, ``bid`` plus two ticks."""

    anchor: str
    ticks: int = 0


def read_size(word: str) -> Qty | Money | None:
    """``100``, ``5k``, ``2.5m`` as Qty, ``$10k`` as Money; zero is no size."""
    match = _SIZE.fullmatch(word)
    if not match:
        return None
    value = EXACT.multiply(Decimal(match[2]), _SCALE[match[3]])
    if not value:
        return None
    return Money(value) if match[1] else Qty(value)


def read_price(word: str) -> Price | PriceWord | None:
    """A number or a price word, without its ``@``."""
    if _PRICE.fullmatch(word):
        return Price(word)
    match = _PRICE_WORD.fullmatch(word)
    if not match or (match[1] == "mkt" and match[2]):
        return None
    ticks = int(match[3] or 0)
    return PriceWord(match[1], -ticks if match[2] == "-" else ticks)


def read_duration(word: str) -> int | None:
    """``30s``, ``30m``, ``1h``, ``1h30m`` in nanoseconds; from a second to a day."""
    match = _DURATION.fullmatch(word)
    if not match:
        return None
    seconds = int(match[1] or 0) * 3600 + int(match[2] or 0) * 60 + int(match[3] or 0)
    return seconds * NS_PER_S if 0 < seconds <= DURATION_S_MAX else None


def anchor_price(anchor: str, side: Side, quote: QuoteSeen, instrument: Instrument) -> Price | None:
    """The price that ``join``, ``take``, ``mid``, ``bid`` or ``ask`` means on this quote; None where that side is missing.

    The middle of an odd spread is rounded to the tick away from the other side: it never pays more than asked.
    """
    near, far = (quote.bid, quote.ask) if side is Side.BUY else (quote.ask, quote.bid)
    if anchor == "mid":
        if quote.bid is None or quote.ask is None:
            return None
        middle = EXACT.multiply(EXACT.add(quote.bid, quote.ask), Decimal("0.5"))
        return instrument.round_price(middle, Rounding.FLOOR if side is Side.BUY else Rounding.CEILING)
    return {"join": near, "take": far, "bid": quote.bid, "ask": quote.ask}[anchor]
