"""Whatever a venue says, in whatever order: nothing raises, and filled + working + unknown stays within what was ordered."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain import commands as co
from engine.domain.money import Price, Qty
from engine.oms import broker_interface as bi
from tests.core.lab import ME, Lab

WORDS = st.sampled_from(
    [
        "buy",
        "ack",
        "reject",
        "fill",
        "same_fill",
        "cancel",
        "cancelled",
        "expired",
        "uncertain",
        "cancel_refused",
        "amend",
        "amended",
        "amend_refused",
        "bust",
        "nobody",
        "snapshot",
        "release",
        "resolve",
    ]
)


def say(lab: Lab, word: str, pick: int, qty: int, number: int) -> None:  # noqa: PLR0912 - one branch for each word
    """One legal or illegal input."""
    now = lab.clock.now_ns()
    sent = lab.broker.sent
    wire = sent[pick % len(sent)].wire_id if sent else "NOBODY00000000"
    order_id = f"C{2 * (pick % 3 + 1)}"
    at: Any = {"broker": "paper", "ts_ns": now}
    match word:
        case "buy":
            lab.buy(qty, "189", intent=f"i{number}")
        case "ack":
            lab.answer(lab.ack(wire))
        case "reject":
            lab.answer(bi.Rejected(**at, wire_id=wire, code="X", text="no"))
        case "fill":
            lab.answer(lab.fill(wire, qty, f"k{number}"))
        case "same_fill":
            lab.answer(lab.fill(wire, qty, "again"))
        case "cancel":
            lab.submit(co.CancelOrder(source=ME, order_id=order_id))
        case "cancelled":
            lab.answer(bi.Cancelled(**at, wire_id=wire))
        case "expired":
            lab.answer(bi.Expired(**at, wire_id=wire))
        case "uncertain":
            lab.answer(bi.Uncertain(**at, wire_id=wire, why="timeout"))
        case "cancel_refused":
            lab.answer(bi.CancelRefused(**at, wire_id=wire, code="LATE", text="too late"))
        case "amend":
            lab.submit(co.AmendOrder(source=ME, intent_id=f"a{number}", order_id=order_id, qty=Qty(qty)))
        case "amended":
            lab.answer(bi.Amended(**at, wire_id=wire, qty=Qty(qty), limit=Price("189")))
        case "amend_refused":
            lab.answer(bi.AmendRefused(**at, wire_id=wire, code="X", text="no"))
        case "bust":
            lab.answer(bi.Busted(**at, fill_key=f"k{number - 1}", symbol="AAPL"))
        case "nobody":
            lab.answer(lab.ack("NOBODY00000000"))
        case "snapshot":
            lab.submit(co.Reconcile(source=ME))
            lab.answer(lab.snapshot())
        case "release":
            lab.submit(co.ReleaseOrder(source=ME, order_id="P1"))
        case _:
            lab.submit(co.Resolve(source=ME, order_id=order_id, as_=co.ResolveAs.CANCELLED, reason="asked"))


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(WORDS, st.integers(0, 5), st.integers(1, 200)), max_size=25))
def test_any_inputs_keep_the_books(script: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        lab.connect()
        lab.buy(100, "189", intent="first")
        for number, (word, pick, qty) in enumerate(script):
            say(lab, word, pick, qty, number)
            lab.clock.set_ns(lab.clock.now_ns() + 300_000_000)
            lab.quote()
            for order in lab.engine.store.orders.values():
                if order.wire_id:
                    ordered = max(order.qty, order.amend.qty if order.amend else order.qty)
                    assert order.qty_filled + order.worst_qty <= ordered + order.overfill
            assert lab.engine.ledger.conservation_faults() == []
        assert len({order.wire_id for order in lab.broker.sent}) == len(lab.broker.sent), "one id was sent twice"
        lab.latch.close()
