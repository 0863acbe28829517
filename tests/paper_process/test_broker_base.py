"""The way out and the way market data comes in: what goes first, what is dropped, what never is."""

from brokers.broker_base import Lanes, TickBuffer
from engine.market.feed import BookTick, QuoteTick, StatusTick, TradeTick


def test_cancels_go_first_then_orders_then_questions() -> None:
    lanes: Lanes[str] = Lanes()
    lanes.put_question("q1")
    lanes.put_new("A", "new A")
    lanes.put_amend("amend B")
    lanes.put_cancel("C", "cancel C")
    lanes.put_question("q2")
    assert [lanes.take() for _ in range(6)] == ["cancel C", "new A", "amend B", "q1", "q2", None]


def test_a_cancel_takes_its_own_new_order_along() -> None:
    """Overtaken by its cancel an order would rest for ever."""
    lanes: Lanes[str] = Lanes()
    lanes.put_new("A", "new A")
    lanes.put_new("B", "new B")
    lanes.put_cancel("B", "cancel B")
    assert lanes.drain() == ["new B", "cancel B", "new A"]
    assert not len(lanes)


def test_questions_wait_when_enough_are_under_way() -> None:
    lanes: Lanes[str] = Lanes()
    lanes.put_question("q")
    assert lanes.take(may_ask=False) is None
    lanes.put_new("A", "new A")
    assert lanes.take(may_ask=False) == "new A"
    assert lanes.take(may_ask=True) == "q"


def test_a_full_lane_refuses_and_the_others_do_not() -> None:
    lanes: Lanes[str] = Lanes(lane_max=2)
    assert [lanes.put_question(f"q{number}") for number in range(3)] == [True, True, False]
    assert [lanes.put_new(str(number), f"n{number}") for number in range(3)] == [True, True, False]
    assert lanes.put_cancel("9", "cancel")
    assert len(lanes) == 5


def test_one_id_waits_once() -> None:
    lanes: Lanes[str] = Lanes()
    assert lanes.put_new("A", "first")
    assert not lanes.put_new("A", "second")
    assert lanes.drain() == ["first"]


def trade(row: int) -> TradeTick:
    return TradeTick("AAPL", "SIMA", row, row, 100, 1, "B")


def test_a_slow_reader_gets_the_newest_state_and_the_newest_prints() -> None:
    buffer = TickBuffer(trades_max=3)
    for row in range(1, 6):
        buffer.put(QuoteTick("AAPL", "SIMA", row, row, 100 + row, 1, 200, 1))
        buffer.put(trade(row))
        buffer.put(BookTick("AAPL", "SIMA", row, row, ((100 + row, 1),), ()))
        buffer.put(StatusTick("AAPL", "SIMA", row, "open"))
    buffer.put(QuoteTick("AAPL", "SIMB", 1, 1, 7, 1, 8, 1))
    drained = buffer.drain()
    assert [tick.row for tick in drained if isinstance(tick, TradeTick)] == [3, 4, 5]
    assert buffer.dropped == 2
    assert [(tick.venue, tick.bid) for tick in drained if isinstance(tick, QuoteTick)] == [("SIMA", 105), ("SIMB", 7)]
    assert sum(isinstance(tick, BookTick) for tick in drained) == 1
    assert drained[0] == StatusTick("AAPL", "SIMA", 5, "open")
    assert not buffer
    assert buffer.drain() == ()
