"""One order as the journal tells it."""

from __future__ import annotations

from decimal import Decimal

from engine.domain import events as ev
from engine.domain.commands import Denial
from engine.domain.money import ZERO_QTY, Price, Qty
from engine.domain.order import LIVE, OrderSpec, OrderState, Source

FillId = tuple[str, str, str]
"""Broker, account, fill key."""

_ZERO = Decimal(0)


class Order:
    """One parent or child as it stands. Changed by :class:`OrderStore` only; everybody else reads."""

    __slots__ = (
        "acked_ns",
        "algo_data",
        "amend",
        "awaits",
        "cancel_asked",
        "children",
        "children_live",
        "committed",
        "counter",
        "created_ns",
        "decision",
        "denials",
        "end_state",
        "fills",
        "intent_id",
        "is_foreign",
        "is_parent",
        "limit",
        "note",
        "order_id",
        "overfill",
        "parent",
        "parent_id",
        "paused",
        "qty",
        "qty_filled",
        "source",
        "spec",
        "state",
        "stop",
        "stopping",
        "suspended",
        "told_committed",
        "told_filled",
        "told_over",
        "told_value",
        "told_worst",
        "unknown_since_ns",
        "updated_ns",
        "updated_seq",
        "value_filled",
        "venue_order_id",
        "why",
        "wire_id",
    )  # fmt: skip

    def __init__(self, order_id: str, spec: OrderSpec, source: Source, state: OrderState, ts_ns: int) -> None:
        self.order_id = order_id
        self.counter = int(order_id[1:])
        self.spec = spec
        self.source = source
        self.state = state
        self.qty: Qty = spec.qty
        """Total quantity in force."""
        self.limit: Price | None = spec.limit
        self.stop: Price | None = spec.stop
        self.parent_id = ""
        self.parent: Order | None = None
        self.intent_id = ""
        self.wire_id = ""
        self.venue_order_id = ""
        self.is_parent = False
        self.is_foreign = False
        self.qty_filled: Qty = ZERO_QTY
        self.value_filled: Decimal = _ZERO
        """Sum of price times quantity over the fills."""
        self.overfill: Qty = ZERO_QTY
        self.amend: ev.AmendIntent | None = None
        self.cancel_asked = False
        self.stopping = False
        self.awaits = ""
        """Hash that a second person has to approve; empty where nobody is waited for."""
        self.suspended = self.paused = False
        """Its trigger passed while no engine was up; a person lets it send nothing for now."""
        self.end_state: OrderState | None = None
        self.children: list[Order] = []
        self.children_live: dict[str, Order] = {}
        """Children that the venue has or may have, by id, in order of birth."""
        self.committed: Qty = ZERO_QTY
        """Of a parent: filled plus what every live child may still fill."""
        # What the parent's sums hold of this child.
        self.told_filled: Qty = ZERO_QTY
        self.told_committed: Qty = ZERO_QTY
        self.told_over: Qty = ZERO_QTY
        self.told_value: Decimal = _ZERO
        self.told_worst: Qty = ZERO_QTY
        """What the open quantity of its account, symbol and side holds of it."""
        self.fills: list[FillId] = []
        self.denials: tuple[Denial, ...] = ()
        self.decision: ev.Decision | None = None
        self.algo_data: dict[str, str] = {}
        self.why = ""
        self.note = ""
        self.created_ns = ts_ns
        self.updated_ns = ts_ns
        self.updated_seq = 0
        self.unknown_since_ns = 0
        self.acked_ns = 0

    @property
    def worst_qty(self) -> Qty:
        """What may still fill at worst; zero for parents (their children count) and for what has ended."""
        if self.is_parent or self.state not in LIVE:
            return ZERO_QTY
        total = self.qty if self.amend is None else self.most_qty
        filled = self.qty_filled
        if not filled:
            return total
        return total - filled if total > filled else ZERO_QTY

    @property
    def most_qty(self) -> Qty:
        """What may fill in total: while an amend is under way, the larger of old and new quantity."""
        return self.qty if self.amend is None else max(self.qty, self.amend.qty)

    @property
    def is_live(self) -> bool:
        """The venue has it or may have it; for a parent: it has not ended."""
        return self.state in LIVE

    @property
    def live_children(self) -> list[Order]:
        """Children that the venue has or may have, as they are now: a list of its own."""
        return list(self.children_live.values())
