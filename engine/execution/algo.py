"""What an execution algorithm is: a plan for a parent, told of time and children, that asks for children.

An algorithm is synchronous and does no I/O. It holds no state of its own: what it must remember it gives to
:meth:`AlgoContext.save`, and everything else it reads from the parent, the children and the clock. So one instance serves
every parent, and going on after a crash is the same code as going on after a timer.

The context never calls back from inside a call: a child's answer arrives as a later :meth:`Algo.on_child`, also where the
venue answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from engine.domain.events import QuoteSeen
from engine.domain.instrument import Instrument
from engine.domain.money import Price, Qty
from engine.domain.order import OrderSpec, OrderState, OrderType, Tif


class ParentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A parent as it stands when the algorithm is called."""

    order_id: str
    spec: OrderSpec
    qty_filled: Qty
    """Sum over its children, late fills and overfills included."""
    qty_leaves: Qty
    """What may still be sent: quantity minus filled minus the unfilled rest of every live child; never below zero.

    UNKNOWN children are live."""
    start_ns: int
    end_ns: int


class ChildView(msgspec.Struct, frozen=True, kw_only=True):
    """One child of a parent."""

    order_id: str
    qty: Qty
    qty_filled: Qty
    state: OrderState
    is_live: bool
    """The venue has it or may have it (``OrderState.is_live``)."""
    limit: Price | None = None
    tif: Tif = Tif.DAY


class AlgoContext(Protocol):
    """What an algorithm may see and ask for."""

    def now_ns(self) -> int:
        """Engine time."""
        ...

    def quote(self, symbol: str) -> QuoteSeen | None:
        """Best bid and ask over the venues; None where there is none to act on (missing, stale, halted, closed)."""
        ...

    def instrument(self, symbol: str) -> Instrument:
        """Terms of a symbol that the gate has let through."""
        ...

    def children(self, parent_id: str) -> Sequence[ChildView]:
        """All children so far, oldest first, as they are now (a child just sent is among them)."""
        ...

    def live_children(self, parent_id: str) -> Sequence[ChildView]:
        """Those of them that the venue has or may have: few, however long the parent works."""
        ...

    def child(self, child_id: str) -> ChildView | None:
        """One child as it is now; None where the gate denied it."""
        ...

    def volume_weights(self, symbol: str, start_ns: int, end_ns: int, bins: int) -> tuple[list[int], str]:
        """Expected share of volume of ``bins`` equal parts of a span, and where it is from (``flat: no volume curve``)."""
        ...

    def send_child(
        self,
        parent_id: str,
        qty: Qty,
        order_type: OrderType,
        *,
        limit: Price | None = None,
        stop: Price | None = None,
        tif: Tif = Tif.DAY,
        post_only: bool = False,
        why: str,
    ) -> str | None:
        """Send a child through the gate; its id, or None where the gate denied it.

        Symbol, side, reduce-only, broker, account and venue are the parent's.
        """
        ...

    def cancel_child(self, child_id: str, why: str) -> None:
        """Ask for a cancel; the child stays live until the venue confirms."""
        ...

    def set_timer(self, parent_id: str, at_ns: int, tag: str) -> None:
        """Call :meth:`Algo.on_timer` at ``at_ns`` (or at once, later, where it has passed). Timers die with the process."""
        ...

    def last(self, symbol: str) -> Price | None:
        """Price of the last trade of a watched symbol; None where there was none since."""
        ...

    def watch(self, parent_id: str, symbol: str, tag: str) -> None:
        """Call :meth:`Algo.on_timer` with ``tag`` at each trade of a symbol; replaces an earlier watch of this parent."""
        ...

    def unwatch(self, parent_id: str) -> None:
        """End that."""
        ...

    def suspend(self, parent_id: str, why: str) -> None:
        """Do nothing more for this parent until a person releases or cancels it."""
        ...

    def save(self, parent_id: str, data: Mapping[str, str]) -> None:
        """Journal what is needed to go on; replaces what was saved before."""
        ...

    def saved(self, parent_id: str) -> Mapping[str, str]:
        """What was last saved, empty at first; shows a :meth:`save` at once."""
        ...

    def finish(self, parent_id: str, why: str) -> None:
        """Say that nothing more will be sent. The parent ends when no child is live any more."""
        ...


class Algo(Protocol):
    """One way to work a parent."""

    name: str
    params: Mapping[str, tuple[str, ...]]
    """Parameter words and their allowed values; an empty tuple means a whole number. One with ``style`` has an urgency."""

    def validate(self, spec: OrderSpec) -> str | None:
        """Why this algorithm cannot work that order; None where it can."""
        ...

    def start(self, parent: ParentInfo, ctx: AlgoContext) -> None:
        """Begin with a parent that was just accepted."""
        ...

    def resume(self, parent: ParentInfo, data: Mapping[str, str], ctx: AlgoContext) -> None:
        """Go on after a restart with what was saved; timers must be set anew. Never catches up by firing late at once."""
        ...

    def on_timer(self, parent: ParentInfo, tag: str, ctx: AlgoContext) -> None:
        """A timer of this parent is due."""
        ...

    def on_child(self, parent: ParentInfo, child_id: str, ctx: AlgoContext) -> None:
        """A child filled, ended, became unknown or got new terms. Its confirmation alone is not told."""
        ...

    def on_stop(self, parent: ParentInfo, ctx: AlgoContext) -> None:
        """A person or a halt stops the parent: cancel what rests, send nothing more."""
        ...


def window(spec: OrderSpec, accepted_ns: int) -> tuple[int, int]:
    """Start and end of a parent accepted at ``accepted_ns``: a start in the past means at once."""
    start_ns = max(accepted_ns, spec.algo.start_ns)
    return start_ns, start_ns + spec.algo.duration_ns
