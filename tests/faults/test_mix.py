"""Mixes and schedules of one's own: what is drawn from them, what is refused, and that a planted fault is found and played again."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bolt_tui.commands.exits import Exit
from bolt_tui.faults.mix import fault_of, read_mix, read_schedules
from bolt_tui.faults.schedule import (
    FAULTS,
    MARKETS,
    NONE,
    ORDERS,
    POINTS,
    Act,
    Crash,
    Fault,
    Market,
    Schedule,
    make,
    order_spec,
)
from engine.domain.errors import SettingsError
from engine.domain.events import encode
from engine.domain.order import LinkRole, OrderType, Tif
from engine.execution.algos import ALGOS
from tests.cli.conftest import Ran, bolt, home
from tests.mutants.__main__ import copy_source

__all__ = ["bolt", "home"]

ROOT = Path(__file__).parents[2]


def run(*words: str, root: Path = ROOT) -> tuple[int, dict[str, Any], str]:
    """The command in a process of its own, from this source or from a copy of it."""
    done = subprocess.run(
        [sys.executable, "-m", "bolt_tui", "faults", *words, "--json"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=1_000,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def test_without_words_everything_is_drawn() -> None:
    mix = read_mix()
    assert (mix.faults, mix.points, mix.orders) == ((NONE, *FAULTS), (NONE, *POINTS), tuple(ORDERS))
    assert make(57) == make(57, mix)


@pytest.mark.parametrize("seed", range(1, 60))
def test_a_mix_draws_nothing_else(seed: int) -> None:
    mix = read_mix("timeout,bust", "send,before:kill4", "rest,twap", "down")
    schedule = make(seed, mix)
    assert {fault.kind for fault in schedule.faults} <= {"timeout", "bust"}
    assert schedule.faults
    assert {crash.point for crash in schedule.crashes} <= {"before:send", "after:send", "before:kill4"}
    assert schedule.crashes
    assert {act.order for act in schedule.acts[1:] if act.do == "order"} <= {"rest", "twap"}
    assert schedule.market is MARKETS["down"]
    assert fault_of(schedule) == ""


def test_a_laboratory_whose_worker_fails_does_not_pass(tmp_path: Path) -> None:
    """What was judged until then says nothing of the rest."""
    broken = copy_source(tmp_path)
    path = broken / "bolt_tui/faults/recount.py"
    path.write_text(path.read_text("utf-8").replace("found += venue.turned", "found += venue.no_such"), "utf-8")
    code, _, told = run("--seeds", "2", "--faults", "none", "--steps", "none", "--orders", "market", root=broken)
    assert code != Exit.OK
    assert "0 of 2 schedules were judged" in told


def test_nothing_can_be_asked_for() -> None:
    mix = read_mix("none", "none")
    assert all((make(seed, mix).faults, make(seed, mix).crashes) == ((), ()) for seed in range(50))


def test_every_kind_of_order_that_the_engine_has_is_a_row() -> None:
    acts = [
        Act(name="a1", at_ms=0, do="order", order=name, symbol=row.symbols[0], qty=10) for name, row in ORDERS.items()
    ]
    specs = [order_spec(act, 10_000) for act in acts]
    assert {spec.type for spec in specs} == set(OrderType)
    assert {spec.tif for spec in specs} == set(Tif)
    assert {spec.link.role for spec in specs if spec.link is not None} == {
        LinkRole.ENTRY,
        LinkRole.PEER,
        LinkRole.COMBO,
    }
    assert {spec.algo.name for spec in specs} == set(ALGOS)
    assert {(spec.post_only, spec.reduce_only) for spec in specs} >= {(True, False), (False, True), (False, False)}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--faults", "timout"), "did you mean timeout?"),
        (("--steps", "kil4"), "it has none, intent, send"),
        (("--orders", "iceberg"), "--orders has no 'iceberg'"),
        (("--market", "mars"), "it has usual, still, wild, up, down"),
        (("--seeds", "0"), "--seeds was 0; give a number from 1"),
        (("--seed", "-4"), "--seed was -4"),
        (("--jobs", "-1"), "--jobs was -1"),
        (("--schedule", "nowhere.json"), "nowhere.json cannot be read"),
        (("--schedule", "x", "--faults", "bust"), "leave out --faults bust"),
        (("--dump", str(Path(__file__)), "--seeds", "1"), "cannot be made a folder"),
        (("--seed", "3", "--only", "zz"), "seed 3 has no part 'zz'"),
    ],
)
def test_what_cannot_be_meant_is_refused(bolt: Callable[..., Ran], words: tuple[str, ...], said: str) -> None:
    ran = bolt("faults", *words)
    assert ran.code == Exit.USAGE
    assert said in ran.err


Change = Callable[[Schedule], Schedule]


def change(**parts: Any) -> Change:
    return lambda whole: msgspec.structs.replace(whole, **parts)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (change(acts=()), "the first act must be the opening trade"),
        (change(seed=-1), "seed is 0 or more"),
        (change(faults=(Fault(name="f0", kind="flood", nth=1),)), "kind was 'flood'"),
        (change(faults=(Fault(name="f0", kind="bust", nth=0),)), "nth is 1 or more"),
        (change(faults=(Fault(name="a0", kind="bust", nth=1),)), "stands once"),
        (change(crashes=(Crash(name="c0", life=0, point="before:lunch"),)), "point was 'before:lunch'"),
        (change(crashes=(Crash(name="c0", life=0, point="before:send"), Crash(name="c1", life=0, point="after:ack"))), "dies once"),
        (change(market=Market(step=1_000)), "they are 0 to 100"),
        (change(market=Market(mids={"AAPL": (5,)})), "give cents from"),
    ],
)  # fmt: skip
def test_a_schedule_that_cannot_be_played_is_refused_with_its_line(tmp_path: Path, spoil: Change, said: str) -> None:
    path = tmp_path / "own.json"
    path.write_bytes(encode(make(7)) + b"\n" + encode(spoil(make(8))) + b"\n")
    with pytest.raises(SettingsError, match=r"line 2: .*" + said):
        read_schedules(path)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (Act(name="x", at_ms=1_000, do="dance"), "do is one of order"),
        (Act(name="x", at_ms=1_000, do="cancel", order="a9"), "name the act of an order"),
        (Act(name="x", at_ms=1_000, do="order", order="rst", symbol="AAPL", qty=10), "did you mean rest?"),
        (Act(name="x", at_ms=1_000, do="order", order="rest", symbol="XOM", qty=10), "rest is for AAPL or MSFT"),
        (Act(name="x", at_ms=1_000, do="order", order="rest", symbol="AAPL", qty=0), "qty 1 to 1000"),
        (Act(name="x", at_ms=1_000, do="order", order="market", symbol="SPY", qty=1_000), "is for AAPL or MSFT"),
    ],
)
def test_an_act_that_cannot_be_done_is_refused(act: Act, said: str) -> None:
    schedule = make(7)
    assert said in fault_of(msgspec.structs.replace(schedule, acts=(*schedule.acts, act)))


def test_schedules_of_a_file_are_played_and_a_part_of_one(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    market = Market(mids={"AAPL": (10_000, 10_020, 9_990)})
    own = msgspec.structs.replace(make(7), seed=70_007, market=market)
    path.write_bytes(encode(make(57)) + b"\n\n" + encode(own) + b"\n")
    code, found, _ = run("--schedule", str(path))
    assert (code, found["schedules"], found["failing"]) == (Exit.OK, 2, [])
    code, found, _ = run("--schedule", str(path), "--seed", "70007", "--only", "a1")
    assert code == Exit.OK
    assert [act["name"] for act in found["schedule"]["acts"]] == ["a0", "a1"]


@pytest.mark.proof
@pytest.mark.parametrize(
    ("old", "new", "words", "rule"),
    [
        ("known = self._store.fills.get(key)", "known = None", ("--faults", "duplicate"), "broken"),
        ("return ev.OrderUnknown(order_id=order_id, why=event.why), state.is_live and state != OrderState.UNKNOWN",
         'return ev.OrderRejected(order_id=order_id, code="NOT_SENT", text=event.why, ts_ns=ts_ns), state.is_live',
         ("--faults", "timeout"), "doubled"),
        ("while self._effects and self._effects[0].waits_for <= durable_seq:", "while self._effects:",
         ("--steps", "none"), "lost"),
    ],
    ids=["the fill key is ignored", "what has no answer is taken for refused", "an order does not wait for the disk"],
)  # fmt: skip
def test_a_planted_fault_is_found_shrunk_and_played_again(
    tmp_path: Path, old: str, new: str, words: tuple[str, ...], rule: str
) -> None:
    broken = copy_source(tmp_path)
    path = broken / "engine/oms/orders.py"
    source = path.read_text("utf-8")
    assert source.count(old) == 1
    path.write_text(source.replace(old, new), "utf-8")
    code, found, _ = run("--seeds", "26", *words, root=broken)
    assert code == Exit.INCOMPLETE
    assert found[rule] > 0, found["failing"]
    replay = shlex.split(found["replay"][0])
    assert replay[:2] == ["bolt", "faults"]
    code, again, _ = run(*replay[2:], root=broken)
    assert (code, again["ok"]) == (Exit.INCOMPLETE, False)
    whole = make(again["seed"], read_mix(**{words[0].removeprefix("--"): words[1]}))
    kept = [part["name"] for kind in ("acts", "faults", "crashes") for part in again["schedule"][kind]]
    assert len(kept) <= len(whole.names()), "without the opening trade that counts as one more"
    assert len(kept) <= 5
    code, sound, _ = run(*replay[2:])
    assert (code, sound["ok"]) == (Exit.OK, True)
