"""Each scenario of a halt under stress, with its figures; what must hold whatever the machine does is asserted."""

from __future__ import annotations

import json

import pytest

from tests.bench import kill_stress


@pytest.mark.bench
@pytest.mark.parametrize("name", [name for name in kill_stress.SCENARIOS if name != "gate"])
def test_a_halt_under_stress_leaves_nothing_working(name: str) -> None:
    found = kill_stress.run(name)
    print(f"\n{json.dumps(found)}")
    assert found["orders"] >= kill_stress.ORDERS
    assert (found["left_working"], found["late_arrivals"]) == (0, 0)
    assert found["verified_ms"] is not None
    if name in {"disk", "writer"}:
        assert found["durable"] is False, "it does not claim what the disk does not hold"


@pytest.mark.bench
def test_the_gate_by_itself() -> None:
    print(f"\n{json.dumps(kill_stress.run('gate'))}")
