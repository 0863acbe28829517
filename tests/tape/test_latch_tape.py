"""What an engine read in the shared latch is read again from the tape, look by look."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from bolt_tui.latch_tape import HeardLatch, LatchInput, ToldLatch
from engine.domain.commands import HaltScope, HaltScopeKind
from engine.domain.events import TradingState
from engine.risk.latch import Latch

SCOPES = (HaltScope(), HaltScope(HaltScopeKind.SYMBOL, "AAPL"), HaltScope(HaltScopeKind.STRATEGY, "BuyTheDip"))


def meddle(random: Random, path: Path, other: Latch) -> None:
    """What another process does to the file."""
    scope, act = random.choice(SCOPES), random.randrange(8)
    if act < 3:
        other.trip(scope, random.choice([TradingState.REDUCING, TradingState.HALTED]))
    elif act < 5:
        other.lift(scope, other.trips())
    elif act == 5:
        other.shut()
    elif act == 6 and path.exists():
        spoiled = bytearray(path.read_bytes())
        spoiled[20] ^= 0xFF
        path.write_bytes(spoiled)
    else:
        path.unlink(missing_ok=True)


def look(latch: Latch, random: Random) -> Any:
    """One of the questions that an engine has."""
    asked = random.randrange(6)
    if asked == 0:
        return latch.entries()
    if asked == 1:
        return latch.is_clear()
    if asked == 2:
        return latch.damage()
    if asked == 3:
        return latch.lift(random.choice(SCOPES), latch.trips() if isinstance(latch, HeardLatch) else 0)
    if asked == 4:
        latch.trip(random.choice(SCOPES[1:]), TradingState.HALTED)
    return latch.read(SCOPES[: random.randrange(4)])


@pytest.mark.parametrize("seed", range(40))
def test_every_answer_is_given_again(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    path = tmp_path / "latch"
    heard = HeardLatch.open(path, ledger_used=False)
    other = Latch.attach(path)
    tape: list[list[LatchInput | bool]] = []

    def put(told: LatchInput | bool) -> None:
        tape[-1].append(told)

    heard.tell = heard.tell_lift = put
    plan: list[tuple[int, list[Any]]] = []
    for number in range(30):
        tape.append([])
        heard.looks = 0
        answers: list[Any] = []
        for _ in range(random.randrange(5)):
            if random.randrange(3) == 0:
                meddle(random, path, other)
            answers.append(look(heard, Random(number * 100 + len(answers))))
        plan.append((number, answers))

    told = ToldLatch.open(tmp_path / "told", ledger_used=False)
    left: list[LatchInput | bool] = []

    def at_look(number: int) -> LatchInput | None:
        first = left[0] if left else None
        if isinstance(first, LatchInput) and first.look == number:
            left.pop(0)
            return first
        return None

    told.follow(at_look, lambda: bool(left.pop(0)))
    for (number, answers), row in zip(plan, tape, strict=True):
        left[:] = row
        told.looks = 0
        again = [look(told, Random(number * 100 + at)) for at in range(len(answers))]
        assert again == answers
        assert not left
    for latch in (heard, other, told):
        latch.close()
    assert sum(map(len, tape)) > 10, "nothing was put on the tape"
