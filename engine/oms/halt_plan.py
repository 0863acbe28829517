"""What a halt is asked to do, and the terms and ids of its exit orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from engine.domain.clock import NS_PER_MS, NS_PER_S
from engine.domain.commands import HaltScope
from engine.domain.ids import exit_wire_id
from engine.domain.instrument import Instrument
from engine.domain.money import EXACT, Price, Qty, Rounding, round_to
from engine.domain.order import OrderSpec, OrderType, Side, Tif
from engine.oms.broker_interface import VenueOrder


class Turn(Protocol):
    """A lock, as the threads' and others are."""

    def acquire(self, *, timeout: float) -> bool:
        """Whether it is ours now; waits for it so many seconds."""
        ...

    def release(self) -> None:
        """Let the next one."""
        ...


class HaltPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to halt and how far to go."""

    halt_id: str
    scope: HaltScope
    who: str
    why: str
    protective: str = "keep"
    """``keep`` leaves reduce-only orders at the venue and lists them; ``cancel`` takes them too."""
    flatten: bool = False
    collar_ticks: int = 0
    collar_bps: int = 0
    """How far beyond the far touch an exit reaches at its first attempt: the wider of the two collars."""
    widen_steps: int = 3
    """Each further attempt adds one collar, this many times; later attempts stay there."""
    deadline_ns: int = 10 * NS_PER_S
    """For cancels and their verification, from the trigger."""
    flatten_deadline_ns: int = 0
    """For the flatten, from its start; 0 takes ``deadline_ns``."""
    grace_ns: int = 2_500 * NS_PER_MS
    """How long past its deadline a broker's lane is waited for before it is left behind as unreachable."""
    hook_wait_ns: int = 200 * NS_PER_MS
    """How long each of the caller's hooks (latch, journal, sources) may hold up the next step. A healthy disk answers in a tenth
    of it; with a dead one all three together still leave time to cancel within a second."""
    quote_age_max_ns: int = 60 * NS_PER_S
    instruments: Mapping[str, Instrument] = {}
    drill: bool = False
    orders_of_scope: Callable[[VenueOrder], bool] | None = None
    """Which venue orders belong to a scope (for strategies). Without it a strategy's halt cancels all: more, not less."""


def exit_terms(
    plan: HaltPlan,
    instrument: Instrument,
    held: Qty,
    status: str,
    quote: tuple[Price | None, Price | None, int],
    step: int,
) -> OrderSpec | str:
    """The order that would take ``held`` to zero, or why there can be none."""
    side = Side.SELL if held > 0 else Side.BUY
    touch = quote[0] if side is Side.SELL else quote[1]
    if status != "open":
        return f"the market is {status}"
    if touch is None:
        return f"no price: no {'bid' if side is Side.SELL else 'ask'}"
    if quote[2] > plan.quote_age_max_ns:
        return f"no price: the quote is {quote[2] // NS_PER_MS} ms old, {plan.quote_age_max_ns // NS_PER_MS} ms allowed"
    size = abs(held) if instrument.qty_max is None else min(abs(held), instrument.qty_max)
    qty = Qty(round_to(size, instrument.lot, Rounding.DOWN))
    if not qty or (instrument.qty_min is not None and qty < instrument.qty_min):
        return f"less than can be ordered (lot {instrument.lot}, minimum {instrument.qty_min or instrument.lot})"
    return OrderSpec(
        symbol=instrument.symbol,
        side=side,
        qty=qty,
        type=OrderType.LIMIT,
        limit=_collar(plan, instrument, side, touch, step),
        tif=Tif.IOC,
        reduce_only=True,
    )


def _collar(plan: HaltPlan, instrument: Instrument, side: Side, touch: Price, step: int) -> Price:
    """The worst price taken at this attempt: rounded to a tick inside the collar, never through the touch."""
    widths = step + 1
    share = EXACT.multiply(EXACT.scaleb(abs(touch), -4), plan.collar_bps * widths)
    ticks = plan.collar_ticks * widths
    if side is Side.SELL:
        by_share = instrument.round_price(touch - share, Rounding.CEILING)
        worst = min(by_share, instrument.step_price(touch, -ticks))
        return worst if worst > 0 or instrument.price_negative else min(touch, instrument.ticks[0].tick)
    by_share = instrument.round_price(touch + share, Rounding.FLOOR)
    return max(by_share, instrument.step_price(touch, ticks))


def emergency_wire_ids(ledger_id: str) -> Callable[[], str]:
    """Wire ids for a process without the journal."""
    return lambda: exit_wire_id(ledger_id)
