"""A strategy's orders beyond limit and stop: each becomes the order that a person's line would make."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.domain.commands import NewOrder
from engine.domain.errors import InputError
from engine.domain.money import Price, Qty
from engine.domain.order import LinkRole
from engine.intake.strategy_base import Strategy, StrategyContext
from engine.intake.strategy_orders import OrderTerms, when_time, when_trades
from tests.intake.fakes import BUY, SELL, Desk

Ask = Callable[[StrategyContext], str | None]


def asked(ask: Ask) -> tuple[str, ...]:
    """The orders that a strategy's one call asked for, in words."""

    class Asks(Strategy):
        symbol: str

        def on_start(self, ctx: StrategyContext) -> None:
            assert ask(ctx) == "P1"

    desk = Desk(Asks)
    assert desk.start("Asks", symbol="AAPL").ok
    assert [(state, why) for state, why in desk.changes if state == "disabled"] == []
    (command,) = [one for one in desk.commands if isinstance(one, NewOrder)]
    return tuple(spec.words() for spec in (command.spec, *command.linked))


@pytest.mark.parametrize(
    ("terms", "limit", "words"),
    [
        (OrderTerms(trail=Price("0.5")), None, "buy 100 AAPL trail 0.5 day"),
        (OrderTerms(touch=Price("188")), None, "buy 100 AAPL touch 188 day"),
        (OrderTerms(touch=Price("188")), Price("188.1"), "buy 100 AAPL touch 188 limit 188.1 day"),
        (OrderTerms(to_limit=True), None, "buy 100 AAPL market to limit day"),
        (OrderTerms(display=Qty(10)), Price("188"), "buy 100 AAPL limit 188 show 10 day"),
    ],
)
def test_terms(terms: OrderTerms, limit: Price | None, words: str) -> None:
    assert asked(lambda ctx: ctx.order("AAPL", BUY, 100, why="a test", limit=limit, terms=terms)) == (words,)


def test_a_bracket_is_one_message_with_its_exits() -> None:
    found = asked(
        lambda ctx: ctx.bracket(
            "AAPL", BUY, 100, why="a test", limit=Price("189"), target=Price("191"), guard=Price("188")
        )
    )
    assert found == (
        "buy 100 AAPL limit 189 day",
        "sell 100 AAPL limit 191 gtc reduce-only",
        "sell 100 AAPL stop 188 gtc reduce-only",
    )


def test_rivals_are_one_message() -> None:
    found = asked(
        lambda ctx: ctx.rivals(
            "AAPL", SELL, 100, why="a test", limits=(Price("191"), Price("192")), stops=(Price("187"),)
        )
    )
    assert found == ("sell 100 AAPL limit 191 day", "sell 100 AAPL limit 192 day", "sell 100 AAPL stop 187 day")


def test_a_combination_is_one_message_of_legs_with_a_common_net_price() -> None:
    parts = (("AAPL", BUY, Qty(2)), ("MSFT", SELL, Qty(1)))
    found = asked(lambda ctx: ctx.combo(10, parts, why="a test", net=Price("-22")))
    assert found == (
        "buy 20 AAPL market day in 10 of a combo at net -22, all legs or none",
        "sell 10 MSFT market day in 10 of a combo at net -22, all legs or none",
    )
    legged = asked(lambda ctx: ctx.combo(1, parts, why="a test", is_legged=True))
    assert legged[0] == "buy 2 AAPL market day in 1 of a combo at market, not guaranteed"


def test_what_it_waits_for() -> None:
    above = when_trades("SPY", above=Price("500"))
    found = asked(lambda ctx: ctx.order("AAPL", BUY, 100, why="a test", limit=Price("189"), algo=above))
    assert found == ("buy 100 AAPL limit 189 day when SPY >= 500 (dies with this engine)",)
    assert when_trades("SPY", below=Price("480.5")).trigger == "when SPY <= 480.5"
    assert when_time(1_700_000_000 * 10**9).trigger == "when 2023-11-14T22:13:20Z"


def test_the_roles_of_a_bracket() -> None:
    class Asks(Strategy):
        symbol: str

        def on_start(self, ctx: StrategyContext) -> None:
            ctx.bracket("AAPL", BUY, 100, why="a test", guard=Price("188"))

    desk = Desk(Asks)
    desk.start("Asks", symbol="AAPL")
    (command,) = [one for one in desk.commands if isinstance(one, NewOrder)]
    links = [spec.link.role for spec in (command.spec, *command.linked) if spec.link is not None]
    assert links == [LinkRole.ENTRY, LinkRole.LEG]


@pytest.mark.parametrize(
    "ask",
    [
        lambda ctx: ctx.order("AAPL", BUY, 1, why="x", terms=OrderTerms(trail=Price(1), touch=Price(1))),
        lambda ctx: ctx.order("AAPL", BUY, 1, why="x", limit=Price(1), terms=OrderTerms(trail=Price(1))),
        lambda ctx: ctx.order("AAPL", BUY, 1, why="x", stop=Price(1), terms=OrderTerms(touch=Price(1))),
        lambda ctx: ctx.bracket("AAPL", BUY, 1, why="x"),
        lambda ctx: ctx.rivals("AAPL", BUY, 1, why="x", limits=(Price(1),)),
        lambda ctx: ctx.combo(1, (("AAPL", BUY, Qty(1)),), why="x"),
        lambda _: when_trades("SPY"),
        lambda _: when_trades("SPY", above=Price(1), below=Price(2)),
    ],
)
def test_what_excludes_itself_is_an_error_of_the_strategy(ask: Ask) -> None:
    class Asks(Strategy):
        symbol: str

        def on_start(self, ctx: StrategyContext) -> None:
            with pytest.raises(InputError):
                ask(ctx)

    desk = Desk(Asks)
    assert desk.start("Asks", symbol="AAPL").ok
    assert not desk.orders
