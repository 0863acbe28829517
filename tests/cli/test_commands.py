"""Subcommands against a running engine: what they send, what they show, and the exit code they end with."""

import argparse
import io
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bolt_tui import output
from bolt_tui.cli import main
from bolt_tui.client import EngineClient
from bolt_tui.commands.context import Context, NotNow
from bolt_tui.commands.exits import MEANINGS, Exit
from bolt_tui.commands.orders import read_words
from bolt_tui.commands.show import denial_line, result_lines, status_lines
from bolt_tui.commands.table import TABLE
from bolt_tui.settings import Home
from engine import views
from engine.domain.commands import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    CommandResult,
    Denial,
    Halt,
    HaltScope,
    HaltScopeKind,
    NewOrder,
    PauseOrder,
    Preview,
    Reconcile,
    Reduce,
    ReleaseOrder,
    ReloadPolicy,
    Resolve,
    ResolveAs,
    ResumeOrder,
    SetStrategy,
    SetUrgency,
)
from engine.domain.instrument import make_instrument
from engine.domain.money import Price, Qty
from engine.domain.order import OrderState, SourceKind
from tests.cli.conftest import Ran
from tests.core.lab import ME, Lab
from tests.server.fakes import DEADLINE_S, Served, fill_row, order_row, position_row, until

Bolt = Callable[..., Ran]


def test_the_schema_number_is_the_views() -> None:
    assert output.SCHEMA == views.SCHEMA


def test_every_exit_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Exit)
    assert {code for row in TABLE for code in row.exits} <= set(Exit)


# -- orders ------------------------------------------------------------------------------------------------------------


def test_an_order_is_read_sent_once_and_reported(bolt: Bolt, engine: Served) -> None:
    ran = bolt("order", "b 100 AAPL @10.05", "--why", "a test", "--json")
    assert ran.code == Exit.OK
    (command,) = engine.door.commands
    assert isinstance(command, NewOrder)
    assert (command.spec.qty, command.spec.limit, command.why) == (Qty(100), Price("10.05"), "a test")
    assert command.source.kind is SourceKind.CLI
    assert (ran.json["schema"], ran.json["type"], ran.json["order_id"]) == (1, "result", "P1")
    assert ran.json["intent_id"] == command.intent_id
    assert "buy 100 AAPL limit 10.05 day" in ran.err


def test_an_answer_says_each_thing_once() -> None:
    """The id stood twice, the place in the policy up to three times."""
    sent = CommandResult(ok=True, text="P1 buy 10 AAPL market day", order_id="P1", state=OrderState.PENDING_NEW)
    assert result_lines(sent) == ["P1 PEND buy 10 AAPL market day"]
    said = "order amount 9 is above the most allowed, 5 (policy.yaml:27)"
    denial = Denial("NOTIONAL_MAX", "C07", "9", "5", "policy.yaml:27", said)
    denied = CommandResult(
        ok=False, code="NOTIONAL_MAX", text=said, order_id="P2", state=OrderState.DENIED, denials=(denial,)
    )
    assert result_lines(denied) == ["P2 DENIED NOTIONAL_MAX", f"  C07 NOTIONAL_MAX: {said}"]
    bare = msgspec.structs.replace(denial, text="it is too much", confirmable=True)
    assert (
        denial_line(bare) == "  C07 NOTIONAL_MAX: it is too much [policy.yaml:27]; confirm with --confirm NOTIONAL_MAX"
    )
    stays = msgspec.structs.replace(denied, text=f"P2 stays staged: {said}", state=OrderState.STAGED)
    assert result_lines(stays)[0] == f"P2 STAGED NOTIONAL_MAX P2 stays staged: {said}", "there it is part of a sentence"


def test_words_need_no_quotes(bolt: Bolt, engine: Served) -> None:
    assert bolt("order", "b", "100", "AAPL", "@mkt", "--json").code == Exit.OK


def test_an_intent_asked_again_reports_and_sends_nothing(bolt: Bolt, engine: Served) -> None:
    first = bolt("order", "b 100 AAPL @10", "--intent", "mine-1", "--json")
    again = bolt("order", "b 100 AAPL @10", "--intent", "mine-1", "--json")
    assert (first.json["repeated"], again.json["repeated"]) == (False, True)
    assert again.json["order_id"] == first.json["order_id"]
    assert len(engine.door.commands) == 1


def test_an_intent_the_picture_no_longer_shows_is_left_to_the_engine(bolt: Bolt, engine: Served) -> None:
    engine.door.answer = CommandResult(ok=True, order_id="P1", state=OrderState.FILLED, repeated=True)
    ran = bolt("order", "b 100 AAPL @10", "--intent", "mine-1")
    assert "nothing new was sent" in ran.out


def test_an_unreadable_line_points_at_the_wrong_word(bolt: Bolt, engine: Served) -> None:
    ran = bolt("order", "b 1x0 AAPL @10")
    assert ran.code == Exit.USAGE
    assert "no size" in ran.err
    assert ran.err.splitlines()[-2:] == ["  b 1x0 AAPL @10", "    ^"]
    assert engine.door.commands == []


def test_price_words_are_frozen_on_the_engines_quote(bolt: Bolt, engine: Served) -> None:
    def with_market() -> views.DeskView:
        quote = views.QuoteView(symbol="AAPL", venue="XNAS", bid=Price("9.99"), ask=Price("10.01"), ts_ns=1)
        made = make_instrument("AAPL", "equity", "XNAS", "USD", "0.01")
        return msgspec.structs.replace(original(), quotes=(quote,), instruments=(made,))

    original = engine.door.view
    engine.door.view = with_market  # type: ignore[method-assign]
    assert bolt("order", "b $1k AAPL @join").code == Exit.OK
    (command,) = engine.door.commands
    assert isinstance(command, NewOrder)
    assert (command.spec.limit, command.spec.qty) == (Price("9.99"), Qty(100))
    assert "no connected broker lists it" in bolt("order", "b 1 MSFT @mkt").err
    assert "no known symbol" in bolt("order", "b 1 NOSUCH @mkt").err


AAPL = make_instrument("AAPL", "equity", "XNAS", "USD", "0.01")
QUOTE = views.QuoteView(symbol="AAPL", venue="XNAS", bid=Price("9.99"), ask=Price("10.01"), ts_ns=1)
UP = views.BrokerView(broker="paper", account="PAPER", state="up", reconciled_s=0.1)


class Market:
    """What a fake engine's pictures say of its market; each change reaches subscribers with the next order row."""

    def __init__(self, engine: Served) -> None:
        self.more: dict[str, object] = {}
        self.status: dict[str, object] = {}
        self._engine = engine
        door = engine.door
        status, view, update = door.status, door.view, door.update_since

        def update_since(cursor: int) -> tuple[int, views.DeskUpdate]:
            now, found = update(cursor)
            parts = {name: value for name, value in self.more.items() if name != "instruments"}
            return now, msgspec.structs.replace(found, **parts)

        door.status = lambda: msgspec.structs.replace(status(), **self.status)  # type: ignore[method-assign]
        door.view = lambda: msgspec.structs.replace(view(), **self.more)  # type: ignore[method-assign]
        door.update_since = update_since  # type: ignore[method-assign]

    def comes(self, **more: object) -> None:
        def change() -> None:
            self.more.update(more)
            self._engine.door.put(order_row(9))

        self._engine.call(change)


@pytest.mark.parametrize("words", ["b $1k AAPL @mkt", "b 100 AAPL @join", "b 100 AAPL @mid", "b $1k AAPL twap 30s"])
def test_an_order_waits_for_the_first_quote(bolt: Bolt, engine: Served, words: str) -> None:
    market = Market(engine)
    market.comes(instruments=(AAPL,))

    def open_late() -> None:
        until(lambda: any(connection.every for connection in engine.server._connections), "the waiting client")
        market.comes(quotes=(QUOTE,))

    opening = threading.Thread(target=open_late)
    opening.start()
    ran = bolt("order", words)
    opening.join(DEADLINE_S)
    assert ran.code == Exit.OK, ran.err
    assert "waiting up to 5 s for a quote of AAPL" in ran.err
    assert len(engine.door.commands) == 1


def test_an_order_waits_for_an_engine_that_has_just_started(bolt: Bolt, engine: Served) -> None:
    """A market order needs no quote to be read; the gate would deny it all the same."""
    market = Market(engine)
    market.status = {"brokers": (msgspec.structs.replace(UP, state="resyncing"),)}
    market.comes(instruments=(AAPL,))

    def come_up() -> None:
        until(lambda: any(connection.every for connection in engine.server._connections), "the waiting client")
        market.status = {"brokers": (UP,)}
        market.comes(quotes=(QUOTE,))

    coming = threading.Thread(target=come_up)
    coming.start()
    ran = bolt("order", "b 100 AAPL @mkt")
    coming.join(DEADLINE_S)
    assert (ran.code, len(engine.door.commands)) == (Exit.OK, 1)
    assert "waiting up to 5 s for the first comparison with the broker" in ran.err
    market.status = {"brokers": (msgspec.structs.replace(UP, state="down"),), "ts_ns": 60 * 10**9}
    assert "waiting" not in bolt("order", "b 100 AAPL @mkt").err, "what is down for long is the gate's to say"


def test_a_quote_that_does_not_come_is_said_and_nothing_is_sent(engine: Served, home: Home) -> None:
    Market(engine).comes(instruments=(AAPL,))
    out = output.Output(io.StringIO(), io.StringIO(), json=False)
    with (
        EngineClient(home.socket) as client,
        pytest.raises(NotNow, match=r"a quote of AAPL did not come within 0\.3 s"),
    ):
        read_words(Context(argparse.Namespace(), out), client, client.view(), "b $1k AAPL @mkt", 0.3)
    assert engine.door.commands == []


def test_a_size_that_the_shell_has_emptied_is_explained(bolt: Bolt, engine: Served) -> None:
    assert "single ones, as in 'b $10k AAPL @mkt'" in bolt("order", "b k AAPL @mkt").err


def test_a_preview_places_nothing(bolt: Bolt, engine: Served) -> None:
    engine.door.answer = CommandResult(ok=True, preview={"notional": "1000"})
    ran = bolt("order", "b 100 AAPL @10", "--preview")
    assert isinstance(engine.door.commands[0], Preview)
    assert "notional: 1000" in ran.out


DENIAL = Denial(
    code="QTY_MAX", control="C06", value="900", limit="500", policy_line="policy.yaml:41", text="900 is above 500"
)


def test_a_denial_shows_code_value_limit_and_line(bolt: Bolt, engine: Served) -> None:
    engine.door.answer = CommandResult(
        ok=False, code="QTY_MAX", state=OrderState.DENIED, order_id="P1", denials=(DENIAL,)
    )
    ran = bolt("order", "b 900 AAPL @10")
    assert ran.code == Exit.REFUSED
    assert "C06 QTY_MAX: 900 is above 500 [policy.yaml:41]" in ran.out
    ran = bolt("order", "b 900 AAPL @10", "--json")
    assert ran.json["denials"][0]["policy_line"] == "policy.yaml:41"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (CommandResult(ok=False, code="HALTED"), Exit.HALTED),
        (CommandResult(ok=False, denials=(msgspec.structs.replace(DENIAL, code="HALTED"),)), Exit.HALTED),
        (CommandResult(ok=True, state=OrderState.KILLED), Exit.HALTED),
        (CommandResult(ok=True, state=OrderState.UNKNOWN), Exit.UNKNOWN),
        (CommandResult(ok=False, code="NO_SUCH_ORDER"), Exit.REFUSED),
        (CommandResult(ok=True, state=OrderState.PENDING_NEW), Exit.OK),
    ],
)
def test_an_answer_means_one_exit_code(bolt: Bolt, engine: Served, answer: CommandResult, code: Exit) -> None:
    engine.door.answer = answer
    assert bolt("order", "b 100 AAPL @10").code == code


def test_waiting_ends_with_the_order(bolt: Bolt, engine: Served) -> None:
    def fill(command: object) -> None:
        engine.loop.call_soon(lambda: engine.door.put(order_row(1, OrderState.FILLED)))

    engine.door.on_submit = fill
    ran = bolt("order", "b 100 AAPL @10", "--wait", "10", "--json")
    assert (ran.code, ran.json["state"]) == (Exit.OK, "filled")

    def reject(command: object) -> None:
        engine.loop.call_soon(lambda: engine.door.put(order_row(3, OrderState.REJECTED)))

    engine.door.on_submit = reject
    assert bolt("order", "b 100 AAPL @10", "--wait", "10").code == Exit.REFUSED


def test_a_lost_answer_is_unknown_and_says_how_to_ask_again(bolt: Bolt, home: Home) -> None:
    """The engine takes the order and dies before it answers."""
    engine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    engine.bind(str(home.socket))
    engine.listen()
    engine.settimeout(DEADLINE_S)
    from bolt_tui.frames import PROTOCOL, Hello, Snapshot, pack
    from engine.domain.events import encode
    from tests.server.fakes import FakeDoor

    def die_after_the_order() -> None:
        line, _ = engine.accept()
        with line:
            line.sendall(pack(Hello(seq=1, schema=1, protocol=PROTOCOL, version="0", pid=1)))
            line.sendall(pack(Snapshot(seq=2, body=msgspec.Raw(encode(FakeDoor().view())))))
            assert b'"cmd":"new"' in line.recv(65536)

    dying = threading.Thread(target=die_after_the_order)
    dying.start()
    ran = bolt("order", "b 100 AAPL @10", "--json")
    dying.join(DEADLINE_S)
    engine.close()
    assert (ran.code, ran.json["code"], ran.json["exit"]) == (Exit.UNKNOWN, "UNKNOWN", 4)
    assert "bolt order 'b 100 AAPL @10' --intent c-" in ran.err


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("cancel", "p1"), CancelOrder),
        (("cancel", "--all"), CancelAll),
        (("cancel", "all"), CancelAll),
        (("release", "P1"), ReleaseOrder),
        (("pause", "p1"), PauseOrder),
        (("resume", "P1"), ResumeOrder),
        (("urgency", "P1", "take"), SetUrgency),
        (("amend", "P1", "--qty", "50"), AmendOrder),
        (("policy", "reload"), ReloadPolicy),
        (("reconcile",), Reconcile),
        (("strategy", "on", "BuyTheDip", "symbol=AAPL"), SetStrategy),
        (("resolve", "C1", "--as", "never-sent", "--reason", "asked"), Resolve),
    ],
)
def test_each_command_sends_its_own_and_speaks_json(
    bolt: Bolt, engine: Served, words: tuple[str, ...], kind: type
) -> None:
    ran = bolt(*words, "--json")
    assert (ran.code, ran.json["schema"], ran.json["ok"]) == (Exit.OK, 1, True)
    assert [type(command) for command in engine.door.commands] == [kind]


def test_what_is_stated_arrives_as_it_was_said(bolt: Bolt, engine: Served) -> None:
    bolt("resolve", "c211", "--as", "filled", "--price", "10.01", "--reason", "the broker said so")
    bolt("reconcile", "--accept", "--symbol", "aapl", "--reason", "moved")
    bolt("strategy", "off", "BuyTheDip")
    resolve, reconcile, strategy = engine.door.commands
    assert isinstance(resolve, Resolve)
    assert (resolve.order_id, resolve.as_, resolve.price) == ("C211", ResolveAs.FILLED, Price("10.01"))
    assert isinstance(reconcile, Reconcile)
    assert (reconcile.accept, reconcile.symbol, reconcile.reason) == (True, "AAPL", "moved")
    assert isinstance(strategy, SetStrategy)
    assert (strategy.name, strategy.on) == ("BuyTheDip", False)


USAGE = [
    ("cancel",),
    ("cancel", "P1", "--all"),
    ("amend", "P1"),
    ("amend", "P1", "--limit", "ten"),
    ("resolve", "C1", "--as", "filled", "--reason", "x"),
    ("resolve", "C1", "--as", "never-sent", "--price", "1", "--reason", "x"),
    ("resolve", "C1", "--as", "lost", "--reason", "x"),
    ("reconcile", "--accept"),
    ("strategy", "on", "X", "param"),
    ("order", "b 100 AAPL @10", "--intent", "two words"),
    ("order",),
    ("ledger",),
    ("nothing",),
    ("stop", "--cancel", "--leave"),
    ("fills", "--limit", "x"),
]


@pytest.mark.parametrize("words", USAGE)
def test_a_wrong_command_line_does_nothing(bolt: Bolt, engine: Served, words: tuple[str, ...]) -> None:
    ran = bolt(*words, "--json")
    assert (ran.code, ran.json["type"], ran.json["exit"]) == (Exit.USAGE, "error", 2)
    assert ran.err.startswith("bolt: ")
    assert engine.door.commands == []


# -- lists ---------------------------------------------------------------------------------------------------------------


def test_orders_lists_the_open_ones_with_children_under_their_parents(bolt: Bolt, engine: Served) -> None:
    child = msgspec.structs.replace(order_row(9), order_id="C9", parent_id="P1")
    rows = (order_row(2), child, order_row(1), order_row(3, OrderState.FILLED))
    engine.call(lambda: [engine.door.put(row) for row in rows])
    ran = bolt("orders")
    assert [line.split()[0] for line in ran.out.splitlines()] == ["ID", "P1", "C9", "P2"]
    assert [row["order_id"] for row in bolt("orders", "--all", "--json").json["orders"]] == ["P1", "C9", "P2", "P3"]
    assert bolt("orders", "--symbol", "msft", "--json").json["orders"] == []


def test_fills_and_positions_are_exact_text(bolt: Bolt, engine: Served) -> None:
    engine.door.fills = (fill_row(1), fill_row(2))
    engine.door.positions = (position_row(),)
    assert bolt("fills", "--limit", "1", "--json").json["fills"][0]["fee"] == "0.3"
    assert "10.1" in bolt("positions").out
    assert bolt("positions", "--json").json["positions"][0]["qty"] == "100"
    assert len(bolt("fills").out.splitlines()) == 3


def test_events_are_json_lines(bolt: Bolt, engine: Served) -> None:
    engine.call(lambda: [engine.door.put(order_row(number)) for number in range(1, 4)])
    ran = bolt("events", "--from", "2", "--json")
    assert [line.count('"kind":"alert"') for line in ran.out.splitlines()] == [2, 2]
    assert bolt("events", "--kind", "order_filled", "--json").out == ""
    mistyped = bolt("events", "--kind", "order_fild")
    assert (mistyped.code, mistyped.out) == (Exit.USAGE, "")
    assert "'order_fild', and no event is called so; did you mean order_filled?" in mistyped.err
    assert "; there are alert, algo_progress, " in bolt("events", "--kind", "xyzzy").err
    assert len(bolt("events", "--limit", "1").out.splitlines()) == 1


def test_status_tells_a_halt_by_its_exit_code(bolt: Bolt, engine: Served) -> None:
    assert bolt("status", "--json").json["halt"]["state"] == "active"
    engine.door.state = "halted"
    engine.call(lambda: engine.door.put(order_row(1)))
    ran = bolt("status")
    assert ran.code == Exit.HALTED
    assert "trading HALTED" in ran.out


def test_what_a_venue_sends_cannot_move_the_cursor(bolt: Bolt, engine: Served) -> None:
    engine.call(lambda: engine.door.put(order_row(1, note="bad\x1b[2J\nnews")))
    assert "\x1b" not in bolt("orders").out
    assert len(bolt("orders").out.splitlines()) == 2


NEED_ENGINE = [
    ("order", "b 100 AAPL @10"), ("amend", "P1", "--qty", "1"), ("release", "P1"), ("cancel", "P1"), ("orders",),
    ("positions",), ("fills",), ("events",), ("status",), ("strategy", "on", "X"), ("reconcile",), ("policy", "reload"),
    ("resolve", "C1", "--as", "cancelled", "--reason", "x"), ("rearm", "--word", "REARM", "--reason", "x"),
]  # fmt: skip


@pytest.mark.parametrize("words", NEED_ENGINE)
def test_no_engine_is_exit_code_3_in_words_and_json(bolt: Bolt, words: tuple[str, ...]) -> None:
    ran = bolt(*words, "--json")
    assert (ran.code, ran.json["code"], ran.json["schema"]) == (Exit.NO_ENGINE, "NO_ENGINE", 1)
    assert "no engine answers on" in ran.err


def test_an_interrupt_is_exit_code_130(engine: Served) -> None:
    main_thread = threading.main_thread().ident
    assert main_thread is not None

    def interrupt() -> None:
        try:
            # A copy: the server's own thread adds and removes connections meanwhile.
            until(lambda: any(connection.follow for connection in tuple(engine.server._connections)), "the stream")
        finally:
            signal.pthread_kill(main_thread, signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    assert main(["events", "--follow"]) == Exit.INTERRUPTED
    interrupting.join(DEADLINE_S)


def test_no_pipe_is_waited_for_as_a_basket(bolt: Bolt, engine: Served, tmp_path: Path) -> None:
    del engine
    pipe = tmp_path / "orders.csv"
    os.mkfifo(pipe)
    ran = bolt("basket", str(pipe))
    assert ran.code == Exit.USAGE
    assert "is no ordinary file" in ran.err
    assert "is a folder" in bolt("basket", str(tmp_path)).err


def test_a_reducing_desk_has_no_procedure_to_tell_of(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.connect()
    for command, end in (
        (Reduce(source=ME, why="earnings"), "by anna: earnings"),
        (Halt(source=ME, why="enough"), "by anna: enough; its procedure ran in another process"),
    ):
        lab.submit(command)
        line = status_lines(lab.engine.view().status)[1]
        assert line.endswith(end), line


def test_a_halt_of_one_symbol_is_not_told_as_one_of_all_trading(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.connect()
    lab.submit(Halt(source=ME, scope=HaltScope(HaltScopeKind.SYMBOL, "AAPL"), why="odd prints"))
    assert status_lines(lab.engine.view().status)[1].startswith("trading of symbol AAPL HALTED since ")
    lab.submit(Halt(source=ME, why="all"))
    assert status_lines(lab.engine.view().status)[1].startswith("trading HALTED since ")
