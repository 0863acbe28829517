"""A halt over a thousand working orders: a real engine, a real venue process, `bolt kill` from a third."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from bolt_tui.client import EngineClient
from bolt_tui.launch import start_engine
from bolt_tui.settings import Home, ensure_policy, open_home
from brokers.paperbroker import PaperSession, stop_venue
from engine.domain.commands import NewOrder
from engine.domain.money import Price, Qty
from engine.domain.order import OrderSpec, OrderType, Side, Source, SourceKind
from engine.views import DeskView

ORDERS = 1_000
WIDE = {
    r"open_orders:\n\s+max_count": "5_000", r"max_count_per_symbol": "5_000", r"max_notional_per_symbol": "1_000_000_000",
    r"max_gross": "1_000_000_000", r"max_net": "1_000_000_000", r"max_sector": "1_000_000_000", r"max_leverage_pct": "100_000",
    r"max_per_s_broker": "5_000", r"max_per_s_account": "5_000", r"max_per_s_source": "5_000", r"max_messages": "100_000",
    r"open_orders:\n(?:.*\n){2}\s+max_notional": "1_000_000_000", r"position:.*\n\s+max_qty": "1_000_000",
    r"position:.*\n.*\n\s+max_notional": "1_000_000_000",
}  # fmt: skip


def widen(home: Home) -> None:
    """The shipped policy with room for a thousand orders."""
    ensure_policy(home)
    text = home.policy.read_text("utf-8")
    for name, value in WIDE.items():
        text, count = re.subn(rf"(?m)^(\s*{name}:) *[\d_]+", rf"\1 {value}", text)
        assert count == 1, name
    home.policy.write_text(text, "utf-8")


def place(home: Home) -> int:
    """Rest the orders below the market; how many were taken."""
    with EngineClient(home.socket) as client:
        deadline = time.monotonic() + 20
        while not (bid := next((one.bid for one in client_view(home).quotes if one.symbol == "AAPL"), None)):
            assert time.monotonic() < deadline, "no market"
        taken = 0
        for number in range(ORDERS):
            price = Price(Decimal(int(bid * 100) - 200 - number % 300).scaleb(-2))
            spec = OrderSpec(
                symbol="AAPL", side=Side.BUY, qty=Qty(1 + number // 300), type=OrderType.LIMIT, limit=price
            )
            source = Source(SourceKind.DISPATCHER, "stress")
            taken += client.submit(NewOrder(source=source, intent_id=f"k{number}", spec=spec, why="a stress")).ok
    return taken


def client_view(home: Home) -> DeskView:
    """What a new connection is shown."""
    with EngineClient(home.socket) as client:
        return client.view()


@pytest.mark.bench
def test_a_thousand_orders_are_gone(tmp_path: Path) -> None:
    home = open_home(tmp_path / "h")
    widen(home)
    assert start_engine(home)
    env = {**os.environ, "BOLT_HOME": str(home.root)}
    bolt = [sys.executable, "-P", "-m", "bolt_tui"]
    try:
        taken = place(home)
        assert taken == ORDERS
        begin = time.monotonic()
        ran = subprocess.run([*bolt, "kill", "--json"], env=env, capture_output=True, text=True, check=True)
        wall_ms = (time.monotonic() - begin) * 1_000
        receipt = json.loads(ran.stdout)["receipt"]
        session = PaperSession(home.root)
        assert session.open_orders() == ()
        session.close()
        assert receipt["brokers"][0]["found"] == ORDERS
        ends = {step["step"]: step["ended_ns"] / 1e6 for step in receipt["steps"]}
        print(
            f"\n{ORDERS} orders: gate {ends['gate']:.1f} ms, durable {ends['record']:.1f} ms, cancels out {ends['cancel']:.1f} ms,",
            end="",
        )
        print(f" verified {ends['verify']:.1f} ms after the trip; the whole command {wall_ms:.0f} ms")
    finally:
        subprocess.run([*bolt, "stop"], env=env, capture_output=True, check=False)
        stop_venue(home.root)
