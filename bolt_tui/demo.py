"""`bolt headless --demo`: a bounded paper session that shows the whole way of an order, and proves its ledger at the end.

It places a market order, a limit that crosses, a limit that rests and is cancelled, a small TWAP and an order that the gate
must deny; waits for the end of each by condition, never by guess; cancels what is left and ends the engine. Nothing stays
behind: no process, and no file where the folder was made for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import msgspec

from bolt_tui.commands import show
from bolt_tui.commands.exits import Exit
from bolt_tui.commands.orders import grammar_context
from bolt_tui.host import LiveEngine, build, serve
from bolt_tui.output import Output
from bolt_tui.settings import Home, Settings, load_settings, who
from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.commands import CancelOrder, CommandResult
from engine.domain.errors import BoltError, StoreLocked
from engine.domain.ids import new_intent_id
from engine.domain.instrument import digits_of
from engine.domain.order import OrderState, Source, SourceKind
from engine.intake.drafts import GrammarError
from engine.intake.grammar import parse_order
from engine.views import DeskView

WAIT_S = 20.0
"""Longest wait for any one condition."""
POLL_S = 0.02

Make = Callable[[Home, Settings], LiveEngine]


class DemoFailed(BoltError):
    """The session did not get as far as it must; the text says what did not come."""


class Step(msgspec.Struct, frozen=True):
    """One order of the session."""

    title: str
    words: str
    """With ``{first}`` and ``{second}`` for the symbols."""
    is_cancelled: bool = False
    """It rests, and is cancelled again."""
    is_denied: bool = False
    """The gate must refuse it."""


STEPS = (
    Step("a market order", "b $5k {first} @mkt"),
    Step("a limit that crosses", "b $4k {second} @take"),
    Step("a limit that rests, then cancelled", "b $3k {first} @bid-10t", is_cancelled=True),
    Step("an order far beyond the limits", "b $900m {second} @mkt", is_denied=True),
    Step("a TWAP of three seconds", "b $6k {second} twap 3s slices=3"),
    Step("a part of it sold again", "s $2k {first} @mkt"),
)


class Session:
    """The orders of one demo, placed one after the other on the engine's own loop."""

    def __init__(self, live: LiveEngine, out: Output) -> None:
        self.results: list[tuple[Step, str, CommandResult]] = []
        self._door = live.door
        self._out = out
        self._source = Source(SourceKind.CLI, who())
        self._clock = SystemClock()

    async def run(self) -> DeskView:
        """Place every order and wait for its end; the picture afterwards."""
        self._out.say("bolt: waiting for the paper market ...")
        view = await self._until(is_ready, "a paper market with prices and a clean reconciliation")
        fresh = [row.symbol for row in view.quotes if not row.stale and row.bid is not None and row.ask is not None]
        symbols = [made.symbol for made in view.instruments if made.symbol in fresh] or fresh
        names = {"first": symbols[0], "second": symbols[min(1, len(symbols) - 1)]}
        for step in STEPS:
            await self._place(step, step.words.format(**names))
        return self._door.view()

    async def _place(self, step: Step, words: str) -> None:
        draft = parse_order(words, grammar_context(self._door.view()))
        if isinstance(draft, GrammarError):
            msg = f"the demo's order {words!r} cannot be read here: {draft.text}"
            raise DemoFailed(msg)
        self._out.say(f"bolt: {step.title}: {draft.echo}")
        result = self._door.submit(draft.command(self._source, new_intent_id("demo"), why=f"demo: {step.title}"))
        self.results.append((step, words, result))
        if not result.ok:
            self._out.say("\n".join(f"bolt: {line}" for line in show.result_lines(result)))
            return
        if step.is_cancelled:
            await self._until(lambda view: _state(view, result.order_id, WORKING), f"{result.order_id} at the venue")
            self._door.submit(CancelOrder(source=self._source, order_id=result.order_id))
        await self._until(lambda view: _state(view, result.order_id, None), f"the end of {result.order_id}")

    async def _until(self, condition: Callable[[DeskView], bool], what: str) -> DeskView:
        """Wait for a condition on the picture; raises DemoFailed at the deadline."""
        end_ns = self._clock.monotonic_ns() + int(WAIT_S * NS_PER_S)
        view = self._door.view()
        while not condition(view):
            if self._clock.monotonic_ns() >= end_ns:
                msg = f"{what} did not come within {WAIT_S:g} s"
                raise DemoFailed(msg)
            await asyncio.sleep(POLL_S)
            view = self._door.view()
        return view


WORKING = frozenset({OrderState.NEW, OrderState.PARTIALLY_FILLED})


def is_ready(view: DeskView) -> bool:
    """Whether orders can be placed: every broker up and reconciled, nothing blocked, and a two-sided price."""
    brokers = view.status.brokers
    is_up = bool(brokers) and all(row.state == "up" and row.reconciled_s is not None for row in brokers)
    has_price = any(not row.stale and row.bid is not None and row.ask is not None for row in view.quotes)
    return is_up and has_price and view.status.halt.state == "active"


def _state(view: DeskView, order_id: str, wanted: frozenset[OrderState] | None) -> bool:
    """Whether an order is in one of the states, or (None) has ended."""
    row = next((row for row in view.orders if row.order_id == order_id), None)
    if row is None:
        return False
    return row.state.is_terminal or (wanted is not None and row.state in wanted)


def run_demo(home: Home, out: Output, make: Make = build) -> Exit:
    """Run the session, end everything it started, and print what happened.

    Raises:
        StoreLocked: an engine runs on this folder already; it and its venue go on.
    """
    from brokers.paperbroker import stop_venue

    with ExitStack() as undo:
        undo.callback(stop_venue, home.root)
        try:
            session, view, error = asyncio.run(_session(home, out, make))
        except StoreLocked:
            undo.pop_all()  # the venue is of the engine that holds the ledger, and its orders work there
            raise
    return report(home, out, session, view, error)


async def _session(home: Home, out: Output, make: Make) -> tuple[Session, DeskView, str]:
    live = make(home, load_settings(home))
    session = Session(live, out)
    ready = asyncio.Event()
    serving = asyncio.ensure_future(serve(live, home, ready.set))
    starting = asyncio.ensure_future(ready.wait())
    await asyncio.wait({serving, starting}, return_when=asyncio.FIRST_COMPLETED)
    starting.cancel()
    error = ""
    try:
        if not serving.done():
            await session.run()
    except DemoFailed as failed:
        error = str(failed)
    live.request_stop(True)
    await serving
    return session, live.door.view(), error


def report(home: Home, out: Output, session: Session, view: DeskView, error: str) -> Exit:
    """Orders, fills, positions, P&L, how real the simulation was, and the proof of the ledger."""
    from bolt_tui.ledger_tools import tape_beside, verify
    from bolt_tui.session_report import shown

    proof = verify(home.place, None, tape_beside(home.place))
    how_real, real_lines = shown(home)
    wrong = [step.title for step, _, result in session.results if result.ok == step.is_denied]
    is_good = not error and not wrong and proof.ok and len(session.results) == len(STEPS)
    fields: dict[str, Any] = {
        "ok": is_good,
        "error": error,
        "orders": view.orders,
        "fills": view.fills,
        "positions": view.positions,
        "pnl_day": view.status.pnl_day,
        "currency": view.status.currency,
        "realism": how_real,
        "ledger": proof,
    }
    out.object("demo", fields)
    digits = digits_of(view.instruments)
    out.line("ORDERS")
    out.table(show.ORDER_HEADERS, [show.order_row(row, digits(row.symbol)) for row in view.orders], show.ORDER_RIGHT)
    out.line("\nFILLS")
    out.table(show.FILL_HEADERS, [show.fill_row(row, digits(row.symbol)) for row in view.fills], show.FILL_RIGHT)
    out.line("\nPOSITIONS")
    out.table(
        show.POSITION_HEADERS,
        [show.position_row(row, digits(row.symbol)) for row in view.positions],
        show.POSITION_RIGHT,
    )
    out.line(f"\nP&L  {show.number(view.status.pnl_day)} {view.status.currency}")
    out.line()
    for text in real_lines:
        out.line(text)
    out.line(f"\nLEDGER  {proof.text}")
    for text in [error, *(f"not as it must be: {title}" for title in wrong)]:
        if text:
            out.say(f"bolt: {text}")
    return Exit.OK if is_good else Exit.INCOMPLETE if proof.ok else Exit.STORE
