"""A trader's tasks by keys alone, in a real tmux of 80x24, on a real engine and venue: the same on every kind of terminal.

What is judged is what the engine and the venue say, not what the screen claims. It needs tmux.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from bolt_tui.client import EngineClient
from bolt_tui.launch import is_running
from bolt_tui.resources import data_file
from bolt_tui.settings import Home
from brokers.paperbroker import stop_venue
from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.commands import StopEngine
from engine.domain.order import OrderState, Side
from engine.views import DeskView, OrderView
from tests.server.fakes import ME

TERMINALS: dict[str, dict[str, str]] = {
    "xterm": {"TERM": "xterm"},
    "xterm-256color": {"TERM": "xterm-256color"},
    "no colour": {"TERM": "xterm-256color", "NO_COLOR": "1"},
    "C locale": {"TERM": "xterm", "LC_ALL": "C"},
}
DEADLINE_S = 30
CLOCK = SystemClock()
POLL_S = 0.05
GUARD_S = 0.3
"""A preview takes enter from 0.25 s after it appeared; each key that comes sooner makes it wait anew."""
BUY_KEYS_MAX = 12
CANCEL_KEYS_MAX = 2
_PAUSE = threading.Event()


def wait(condition: Callable[[], object], what: str, said: Callable[[], str] = str) -> None:
    end_ns = CLOCK.monotonic_ns() + DEADLINE_S * NS_PER_S
    while not condition():
        assert CLOCK.monotonic_ns() < end_ns, f"{what} did not come within {DEADLINE_S} s:\n{said()}"
        _PAUSE.wait(POLL_S)


class Trader:
    """Hands on a tmux pane with a desk in it, and eyes on the engine."""

    def __init__(self, home: Home, terminal: dict[str, str]) -> None:
        self.home = home
        self.pressed = 0
        self.socket = str(home.root / "tmux")
        self.tmux(
            "start-server",
            ";",
            "set-option",
            "-g",
            "remain-on-exit",
            "on",
            ";",
            "set-option",
            "-g",
            "exit-empty",
            "off",
        )
        words = [f"{name}={value}" for name, value in {**terminal, "BOLT_HOME": str(home.root)}.items()]
        self.tmux("new-session", "-d", "-x", "80", "-y", "24", "env", *words, sys.executable, "-P", "-m", "bolt_tui")

    def begins(self) -> None:
        """The desk stands, and the market it needs."""
        self.sees("PAPER")
        self.becomes(lambda: self.quoted("AAPL") and self.quoted("MSFT"), "the market")

    def tmux(self, *words: str) -> str:
        ran = subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *words], capture_output=True, check=True)
        return ran.stdout.decode()

    def keys(self, *keys: str) -> None:
        """Named keys, as tmux calls them."""
        self.pressed += len(keys)
        self.tmux("send-keys", *keys)

    def types(self, words: str) -> None:
        self.pressed += len(words)
        self.tmux("send-keys", "-l", words)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def becomes(self, condition: Callable[[], object], what: str) -> None:
        wait(condition, what, self.screen)

    def sees(self, words: str) -> None:
        self.becomes(lambda: words in self.screen(), repr(words))

    def sees_no(self, words: str) -> None:
        self.becomes(lambda: words not in self.screen(), f"a screen without {words!r}")

    def view(self) -> DeskView:
        with EngineClient(self.home.socket, DEADLINE_S) as client:
            return client.view()

    def quoted(self, symbol: str) -> bool:
        if not is_running(self.home):
            return False
        return any(quote.symbol == symbol and quote.bid and quote.ask for quote in self.view().quotes)

    def bid(self, symbol: str) -> Decimal:
        return next(quote.bid for quote in self.view().quotes if quote.symbol == symbol and quote.bid)

    def parents(self) -> list[OrderView]:
        return [row for row in self.view().orders if not row.parent_id]

    def row(self, order_id: str) -> OrderView:
        return next(row for row in self.view().orders if row.order_id == order_id)

    def position(self, symbol: str) -> Decimal:
        return sum((row.qty for row in self.view().positions if row.symbol == symbol), Decimal(0))

    def confirms(self) -> None:
        """Enter on the preview after its guard; where that only refreshed a stale quote, once more."""
        self.sees("nothing has been sent")
        self.becomes(lambda: " sends " in self.screen() or "refreshes:" in self.screen(), "a preview that can be sent")
        while not self._enter_answered():
            pass

    def _enter_answered(self) -> bool:
        """One enter; whether the preview has gone. An enter more than that would open the order's card."""
        was_refreshed = "refreshed" in self.screen()
        _PAUSE.wait(GUARD_S)
        self.keys("Enter")
        again_ns = CLOCK.monotonic_ns() + 2 * NS_PER_S if was_refreshed else 0

        def is_answered() -> bool:
            shown = self.screen()
            is_gone = "nothing has been sent" not in shown
            return is_gone or ("refreshed" in shown and CLOCK.monotonic_ns() > again_ns)

        self.becomes(is_answered, "an answer to enter")
        return "nothing has been sent" not in self.screen()

    def orders(self, line: str) -> OrderView:
        """One line, its preview, and enter: the new parent."""
        before = {row.order_id for row in self.parents()}
        self.types(line)
        self.keys("Enter")
        self.confirms()
        self.becomes(lambda: {row.order_id for row in self.parents()} - before, line)
        return next(row for row in self.parents() if row.order_id not in before and row.symbol in line)

    def works(self, order: OrderView) -> None:
        self.becomes(lambda: self.row(order.order_id).state is OrderState.NEW, f"{order.order_id} at the venue")


@contextmanager
def trading(home: Home, terminal: dict[str, str]) -> Iterator[Trader]:
    """A desk in tmux; afterwards neither it nor its engine nor its venue."""
    policy = data_file("policy.yaml").read_text(encoding="utf-8").replace("rearm_hold_s: 60", "rearm_hold_s: 1")
    Path(home.policy).write_text(policy, encoding="utf-8")
    made = Trader(home, terminal)
    try:
        made.begins()
        yield made
    finally:
        made.tmux("kill-server")
        if is_running(home):
            with EngineClient(home.socket, DEADLINE_S) as client:
                client.submit(StopEngine(source=ME, cancel=True))
                client.wait_closed(DEADLINE_S)
        stop_venue(home.root)


def test_buy_amend_cancel_and_halt_by_keys_alone(home: Home) -> None:
    """The quick ones, on the plainest of the terminals: sixteen colours, ASCII."""
    with trading(home, TERMINALS["C locale"]) as trader:
        buy_at_the_bid(trader, "5")
        amend(trader, sell_at_a_limit(trader))
        cancel_the_newest(trader)
        halt(trader)


@pytest.mark.proof
@pytest.mark.parametrize("terminal", TERMINALS)
def test_a_traders_tasks_on_every_kind_of_terminal(home: Home, terminal: str) -> None:
    with trading(home, TERMINALS[terminal]) as trader:
        do_everything(trader)


def do_everything(trader: Trader) -> None:
    buy_at_the_bid(trader, "5432")
    sold = sell_at_a_limit(trader)
    amend(trader, sold)
    cancel_the_newest(trader)
    bracket(trader)
    algorithm(trader)
    basket_from_csv(trader)
    cancel_all(trader)
    close_half(trader)  # when nothing of ours rests: the market may have come to an order that the sale would meet
    filter_the_log(trader)
    halt(trader)
    rearm(trader)


def buy_at_the_bid(trader: Trader, modes: str) -> None:
    """From each screen at most twelve keys up to the order; it is sent from the last."""
    for mode in modes:
        trader.keys(mode)
        trader.types("b100")
        trader.keys("Tab", "Enter")
        trader.sees("BUY 100 AAPL limit")
        trader.keys("Escape")
        trader.sees_no("nothing has been sent")
        trader.pressed = 0
    trader.keys("1")
    before, trader.pressed = len(trader.parents()), 0
    trader.types("b100")
    trader.keys("Tab", "Enter")
    trader.confirms()
    assert trader.pressed <= BUY_KEYS_MAX
    trader.becomes(lambda: len(trader.parents()) > before, "the order")
    bought = trader.parents()[-1]
    assert (bought.side, bought.qty, bought.symbol, bought.type) == (Side.BUY, Decimal(100), "AAPL", "limit")


def sell_at_a_limit(trader: Trader) -> OrderView:
    sold = trader.orders("s50 MSFT @ask+100t")
    assert (sold.side, sold.qty) == (Side.SELL, Decimal(50))
    trader.works(sold)
    return sold


def amend(trader: Trader, order: OrderView) -> None:
    trader.sees(f"{order.order_id} selected")
    trader.keys("a")
    trader.sees(f"a {order.order_id} qty 50 @")
    trader.tmux("send-keys", "-N", "80", "BSpace")
    trader.types(f"a {order.order_id} qty 40")
    trader.keys("Enter")
    trader.confirms()
    trader.becomes(lambda: trader.row(order.order_id).qty == 40, "the amended quantity")
    trader.works(order)


def cancel_the_newest(trader: Trader) -> None:
    """Two keys, wherever the cursor is."""
    newest = trader.orders("s30 MSFT @ask+110t")
    trader.works(newest)
    trader.keys("5")
    trader.pressed = 0
    trader.keys(".", "x")
    assert trader.pressed <= CANCEL_KEYS_MAX
    trader.becomes(lambda: trader.row(newest.order_id).state is OrderState.CANCELLED, "the cancel")
    assert [row.order_id for row in trader.parents() if row.state is OrderState.CANCELLED] == [newest.order_id]
    trader.keys("1")


def bracket(trader: Trader) -> None:
    bid = int(trader.bid("MSFT"))
    before = len(trader.parents())
    trader.orders(f"b10 MSFT @bid-40t tp {bid + 8} sl {bid - 8}")
    trader.becomes(lambda: len(trader.parents()) == before + 3, "the entry with its target and its stop")


def algorithm(trader: Trader) -> None:
    worked = trader.orders("b40 AAPL twap 5m")
    assert worked.algo == "twap"


def basket_from_csv(trader: Trader) -> None:
    """One bad line, and nothing is staged; a good file, and both orders leave from the preview."""
    file = trader.home.root / "rebal.csv"
    file.write_text("side,qty,symbol,price\nbuy,10,AAPL,@bid-60t\nhold,20,MSFT,@ask+60t\n", encoding="utf-8")
    before = {row.order_id for row in trader.parents()}
    trader.keys("B")
    trader.types(str(file.with_suffix("")))
    trader.keys("Tab", "Enter")
    trader.sees("NOTHING WAS STAGED")
    trader.keys("Escape")
    trader.sees_no("NOTHING WAS STAGED")
    file.write_text("side,qty,symbol,price\nbuy,10,AAPL,@bid-60t\nsell,20,MSFT,@ask+60t\n", encoding="utf-8")
    trader.keys("B")
    trader.sees("rebal.csv")  # the file that was read last
    trader.keys("Enter")
    trader.confirms()
    trader.becomes(lambda: len({row.order_id for row in trader.parents()} - before) == 2, "the orders of the basket")
    (basket,) = trader.view().baskets
    assert (basket.state, set(basket.orders)) == ("released", {row.order_id for row in trader.parents()} - before)
    for order_id in basket.orders:
        trader.works(trader.row(order_id))


def close_half(trader: Trader) -> None:
    held = trader.position("AAPL")
    trader.orders("b200 AAPL @take+5t")
    trader.becomes(lambda: trader.position("AAPL") >= held + 200, "the fill")
    before = trader.position("AAPL")
    trader.orders("s50%pos AAPL @take-5t")
    trader.becomes(lambda: trader.position("AAPL") <= before - 50, "the half that is closed")


def cancel_all(trader: Trader) -> None:
    trader.keys("X", "X")
    trader.becomes(lambda: all(row.state.is_terminal for row in trader.parents()), "the cancel of everything")


def filter_the_log(trader: Trader) -> None:
    trader.keys("5")
    trader.sees("ACK")
    trader.keys("/")
    trader.types("FILL")
    trader.keys("Enter")
    trader.sees_no("ACK")
    trader.sees("FILL")
    trader.keys("/", "Escape")
    trader.sees("ACK")
    trader.keys("1")


def halt(trader: Trader) -> None:
    trader.orders("b100 AAPL @bid-50t")
    trader.keys("C-g")
    trader.sees("HALTED")
    trader.becomes(
        lambda: trader.view().status.halt.state == "halted" and trader.view().status.halt.done, "the receipt"
    )
    trader.becomes(lambda: all(row.state.is_terminal for row in trader.parents()), "the end of every order")


def rearm(trader: Trader) -> None:
    trader.keys("R")
    trader.sees("hold time: over")
    trader.types("REARM")
    trader.keys("Enter")
    trader.sees("and now the reason")
    trader.types("looked at everything")
    while trader.view().status.halt.state != "active":
        trader.keys("Enter")
        trader.becomes(
            lambda: "NOT REARMED" in trader.screen() or trader.view().status.halt.state == "active", "an answer"
        )
    trader.sees("TRADING ON")
