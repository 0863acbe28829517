"""Prices behind fills out of the tape are those that the engine which heard it took itself."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from bolt_tui.input_tape import encode
from bolt_tui.recall import Reader
from bolt_tui.tape_middles import Chunk, Question, middles_in
from engine.api.market_state import MarketState
from engine.api.markouts import HORIZONS_MS, Asked, Markouts
from engine.domain.clock import NS_PER_MS, NS_PER_S, SimClock
from engine.domain.errors import DataError
from engine.domain.order import Side
from engine.market.feed import QuoteTick
from engine.market.tape import Chunk as Written
from engine.market.tape import TapeWriter, chunk_path
from engine.risk.policy import PolicyHolder
from tests.core.lab import AAPL, POLICY, START_NS
from tests.core.test_markouts import filled
from tests.risk.world import shipped_policy

AGE_NS = shipped_policy().ns("price.max_quote_age_s")


class Heard:
    """Quotes of some minutes with silences in them, on a tape and in the engine's own markouts of the fills among them."""

    def __init__(self, folder: Path, seed: int) -> None:
        market, clock, random = MarketState(), SimClock(START_NS), Random(seed)
        market.instruments["AAPL"] = AAPL
        self.marks = Markouts(market, clock, PolicyHolder(shipped_policy(), POLICY), is_on=True)
        self.written: list[Written] = []
        self.fills: list[Asked] = []
        writer = TapeWriter(folder, encode, self.written.append)
        now_ns = START_NS
        for number in range(1, 400):
            for _ in range(random.choice((1, 2, 14, 800 if number % 97 == 0 else 6))):
                now_ns += 50 * NS_PER_MS
                clock.set_ns(now_ns)
                writer.beat(now_ns)
                writer.add("time", number, now_ns, now_ns)  # a live engine looks at its clock so often
            quote = QuoteTick("AAPL", "XSIM", now_ns - 3, number, 10_000 + random.randrange(50), 5, 10_060, 5)
            writer.add("tick", number, now_ns, quote)
            self.marks.settle()
            market.on_tick(quote)
            if number % 40 == 0:
                fill = filled(f"k{number}", Side.BUY, "100.2", 10, now_ns)
                self.marks.booked(f"P{number}", fill, 1)
                self.fills.append(Asked(f"P{number}", "AAPL", now_ns))
        self.end_ns = now_ns
        writer.close(20)
        clock.set_ns(now_ns)
        self.marks.settle()

    def question(self, folder: Path, fills: tuple[Asked, ...] = ()) -> Question:
        # The journal names a chunk when it is written, in this test long after all of them.
        chunks = tuple(Chunk(one.name, one.sha256, self.end_ns) for one in self.written)
        return Question(str(folder), (AAPL,), fills or tuple(self.fills), AGE_NS, chunks)


@pytest.mark.parametrize("seed", range(3))
def test_they_are_what_the_engine_took_itself(tmp_path: Path, seed: int) -> None:
    heard = Heard(tmp_path, seed)
    found = middles_in(heard.question(tmp_path))
    assert found.faults == []
    assert len(heard.written) > 3
    seen = 0
    for fill in heard.fills:
        (traded,) = heard.marks._of[fill.key].values()
        for at, horizon_ms in enumerate(HORIZONS_MS):
            if fill.ts_ns + horizon_ms * NS_PER_MS <= heard.end_ns:
                assert found.middles[fill.key][at] == (traded.mids[at] or None), (fill, horizon_ms)
                seen += found.middles[fill.key][at] is not None
    assert seen > 10


def test_a_fill_of_a_time_that_was_not_recorded_is_left_out(tmp_path: Path) -> None:
    heard = Heard(tmp_path, 1)
    before, after = START_NS - 90 * NS_PER_S, heard.end_ns + NS_PER_S
    asked = (Asked("before", "AAPL", before), Asked("after", "AAPL", after), heard.fills[0])
    assert [*middles_in(heard.question(tmp_path, asked)).middles] == [heard.fills[0].key]


def test_only_proven_chunks_are_read_and_only_those_that_a_fill_needs(tmp_path: Path) -> None:
    heard = Heard(tmp_path, 2)
    first, last = heard.written[0], heard.written[-1]
    chunk_path(tmp_path, last.name).write_bytes(b"x")
    early = (Asked("P0", "AAPL", START_NS + NS_PER_S),)
    assert middles_in(heard.question(tmp_path, early)).faults == [], (
        "a minute behind the fill ends long before the last one"
    )
    chunk_path(tmp_path, first.name).write_bytes(b"x")
    found = middles_in(heard.question(tmp_path, early))
    assert "not the chunk whose hash" in found.faults[0]


def test_it_is_read_in_a_process_of_its_own(tmp_path: Path) -> None:
    heard = Heard(tmp_path, 1)
    question = heard.question(tmp_path)
    with Reader(question) as reader:
        reader.wait(60)
        found = reader.answer()
    assert found == middles_in(question)
    assert any(isinstance(one, Decimal) for row in found.middles.values() for one in row)
    bad = Question(str(tmp_path), (AAPL,), (Asked("k", "NONE", START_NS),), AGE_NS, (Chunk("tape/1", "x", START_NS),))
    with Reader(bad) as reader:
        reader.wait(60)
        with pytest.raises(DataError, match="ended with code 1"):
            reader.answer()
