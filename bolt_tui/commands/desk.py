"""`bolt | bolt headless | bolt engine`: the engine with and without a screen."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import tempfile
import termios
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bolt_tui.client import EngineClient, NoEngine
from bolt_tui.commands.exits import Exit
from bolt_tui.endpoint import find_socket
from bolt_tui.host import EngineThread, build, serve, signals
from bolt_tui.launch import READY, is_running, start_engine
from bolt_tui.logs import log_to_stderr
from bolt_tui.output import json_line
from bolt_tui.settings import (
    Environment,
    Home,
    Settings,
    ensure_policy,
    environment,
    has_few_colours,
    is_ascii_terminal,
    load_settings,
    open_home,
)
from bolt_tui.strategy_starts import named, start
from engine.domain.commands import Halt
from engine.domain.errors import BoltError

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context
    from engine.views import HaltView

_LOG = logging.getLogger("bolt.desk")
FAST_HZ = 10
REMOTE_HZ = 4


def run_engine(context: Context) -> Exit:
    """The engine's own process: serves until it is stopped, and says so on the pipe when it does."""
    home = context.home
    log_to_stderr(home.logs / "engine.log")
    ensure_policy(home)
    settings = load_settings(home)

    async def main() -> None:
        no_start = _without_a_start(home)
        live = build(home, settings)

        def on_ready() -> None:
            start(live, context.source, {}, settings.strategies, _LOG.warning)
            _say_ready(context.args.ready_fd)

        with signals(live, detached=True):
            await serve(live, home, on_ready, on_end=lambda: _end_venue(home), on_no_start=no_start)

    asyncio.run(main())
    return Exit.OK


def _end_venue(home: Home) -> None:
    """The paper venue ends with an engine that was asked to end; its log keeps what works there."""
    from brokers.paperbroker import stop_venue

    try:
        stop_venue(home.root)
    except BoltError as error:
        _LOG.error("%s", error)


def _without_a_start(home: Home) -> Callable[[], None]:
    """What an engine does that never came to serve: it ends the paper venue, unless that ran before it."""
    from brokers.paperbroker import is_venue_running

    was_there = is_venue_running(home.root)
    return lambda: None if was_there else _end_venue(home)


def _say_ready(descriptor: int) -> None:
    if descriptor >= 0:
        os.write(descriptor, READY)
        os.close(descriptor)


def run_headless(context: Context) -> Exit:
    """The engine in this process, its events as JSON lines on stdout."""
    args = context.args
    log_to_stderr()
    if args.demo:
        return _run_demo(context)
    home = context.home
    ensure_policy(home)
    asyncio.run(_headless(context, home))
    return Exit.OK


async def _headless(context: Context, home: Home) -> None:
    from bolt_tui.headless import Stream, stored_events
    from bolt_tui.session_report import shown

    args = context.args
    settings = load_settings(home)
    asked = named(args.strategy, settings.strategies)
    no_start = _without_a_start(home)
    live = build(home, settings)
    stream = Stream(live.door, sys.stdout)
    lines = asyncio.ensure_future(stream.run())
    loop = asyncio.get_running_loop()

    def on_ready() -> None:
        context.out.say(f"bolt: the engine serves on {find_socket(home)}; end it with ctrl+c or `bolt stop`")
        start(live, context.source, asked, settings.strategies, lambda text: context.out.say(f"bolt: {text}"))
        if args.seconds > 0:
            loop.call_later(args.seconds, live.request_stop, False)

    try:
        with signals(live, detached=False):
            await serve(live, home, on_ready, on_end=lambda: _end_venue(home), on_no_start=no_start)
            context.out.say("\n".join(f"bolt: {text}" for text in _left(home)))
    finally:
        lines.cancel()
        await asyncio.gather(lines, return_exceptions=True)
        stream.close(stored_events(home.place))
        how_real, _ = shown(home)
        if how_real and not stream.is_broken:
            sys.stdout.write(json_line("realism", {"effects": how_real}))


def _left(home: Home) -> list[str]:
    """What the ended engine has left, from its ledger."""
    from bolt_tui.stopping import AtWork, what_became

    return what_became(home, AtWork((), ()), os.getpid()).lines()


def _run_demo(context: Context) -> Exit:
    """A bounded paper session, in BOLT_HOME where that is set, else in a folder that is removed again."""
    from bolt_tui.demo import run_demo

    with ExitStack() as stack:
        if environment().home:
            home = context.home
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bolt-demo-"))
            home = open_home(Path(folder))
        ensure_policy(home)
        return run_demo(home, context.out)


# -- the desk ------------------------------------------------------------------------------------------------------------


def refuse_terminal(environment: Environment) -> str:
    """Why the desk cannot be drawn on this terminal, and what works there; empty where it can."""
    if environment.term != "dumb":
        return ""
    return (
        "the desk needs a terminal that can move its cursor, and TERM is dumb. These do the same without one: `bolt headless`, "
        '`bolt order "b 100 AAPL @mkt"`, `bolt orders`, `bolt positions`, `bolt cancel`, `bolt kill`, `bolt status`'
    )


def run_desk(context: Context) -> Exit:
    """Attach to the engine of this folder, or start one; then the screen."""
    from bolt_tui.commands.halt import HaltKey
    from bolt_tui.link import DeskLink

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        context.out.say("bolt: the desk needs a terminal; `bolt headless` runs without one")
        return Exit.USAGE
    env = environment()
    refusal = refuse_terminal(env)
    if refusal:
        context.out.say(f"bolt: {refusal}")
        return Exit.USAGE
    if context.args.at or context.args.ledger:
        from bolt_tui.commands.look_back import look_back

        return look_back(context, lambda settings: _is_ascii(settings, env))
    home = context.home
    ensure_policy(home)
    settings = load_settings(home)
    thread = None
    is_ours = False
    if not is_running(home):
        is_ours = True
        if context.args.in_process:
            thread = EngineThread(home, settings)
            thread.start()
        else:
            context.out.progress("starting the engine ...")
            is_ours = start_engine(home)
            context.out.progress_end()
    key = HaltKey(home)
    is_ascii = _is_ascii(settings, env)
    hz = settings.desk.updates_per_s or (REMOTE_HZ if _is_slow(context.args.link, env) else FAST_HZ)
    try:
        with DeskLink(lambda: find_socket(home), key.press, hz=hz) as link:
            from bolt_tui.alert_file import AlertFile
            from bolt_tui.app import run_desk as show_desk
            from bolt_tui.instruments import names_in
            from bolt_tui.meanwhile import keep, kept

            with hang_ups():
                choice = show_desk(
                    link,
                    settings,
                    is_ours,
                    hz=hz,
                    is_ascii=is_ascii,
                    has_few_colours=has_few_colours(env),
                    link=context.args.link,
                    seen=kept(home.root),
                    keep_seen=lambda seen: keep(home.root, seen),
                    exports=home.root / "exports",
                    alerts=AlertFile(home.root),
                    halted_here=key.halted_here,
                    unlisted=names_in(home.instruments),
                )
            here = key.halted_here()
            halted = here if here is not None and here.ts_ns > link.view().status.ts_ns else None
    finally:
        key.close()
    return leave(context, home, choice, thread, halted)


def _is_slow(link: str, env: Environment) -> bool:
    """Whether to begin with four pictures a second: as said, else behind SSH; a measured line then goes its own pace."""
    return link == "slow" or (link == "auto" and env.is_remote)


@contextmanager
def hang_ups() -> Iterator[None]:
    """Live through a hang-up that leaves the terminal there; one that took it ends the desk, and the engine goes on."""

    def on_hang_up(number: int, _frame: object) -> None:
        try:
            termios.tcgetattr(sys.__stdin__ or 0)
        except termios.error:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGHUP, on_hang_up)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _is_ascii(settings: Settings, env: Environment) -> bool:
    """Whether the desk draws with ASCII only."""
    chosen = settings.desk.characters
    return chosen == "ascii" or (chosen == "auto" and is_ascii_terminal(env, _screen_encoding()))


def _screen_encoding() -> str:
    """Of the stream that the screen is written to."""
    return getattr(sys.__stderr__, "encoding", "") or ""


def leave(
    context: Context, home: Home, choice: str, thread: EngineThread | None, halted: HaltView | None = None
) -> Exit:
    """Apply what the person chose on quitting: ``leave``, ``stop`` or ``stop_cancel``.

    ``halted``: the halt that this process ran by itself after the engine was last heard.
    """
    from bolt_tui.commands.engine import report_end
    from bolt_tui.stopping import Ended, stop_engine

    if thread is None and choice not in {"stop", "stop_cancel"}:
        if is_running(home):
            context.out.say("bolt: the engine goes on; `bolt` shows it again, `bolt stop` ends it")
            return Exit.OK
        return _say_left(context, home, halted)
    cancel = choice == "stop_cancel"
    try:
        with EngineClient(find_socket(home)) as client:
            ended = stop_engine(client, client.view(), home, context.source, cancel=cancel)
    except NoEngine as error:
        return leave_alone(context, home, error, halted, cancel=cancel)
    finally:
        if thread is not None:
            thread.stop(cancel=cancel)
    return (
        report_end(context, home, ended, cancel=cancel, is_short=True)
        if isinstance(ended, Ended)
        else context.report(ended)
    )


def leave_alone(context: Context, home: Home, error: NoEngine, halted: HaltView | None, *, cancel: bool) -> Exit:
    """Leave where no engine answers: cancel by the kill procedure where that was chosen, then end what it has left running.

    Raises:
        NoEngine: an engine lives and does not answer; what was to be cancelled was, and its venue is left alone.
    """
    from bolt_tui.commands.engine import end_lonely_venue
    from bolt_tui.commands.halt import halt_and_show

    if cancel:
        context.out.say("bolt: no engine answers; its orders are cancelled at the venue from here")
        command = Halt(source=context.source, why="quit: cancel all orders of an engine that does not answer")
        code = halt_and_show(context, home, command)
    else:
        code = _say_left(context, home, halted)
    end_lonely_venue(context, home, error)
    return code


def _say_left(context: Context, home: Home, halted: HaltView | None) -> Exit:
    """Say what an engine that ended by itself has left, as a halt since found it, else its ledger; INCOMPLETE where orders are."""
    from bolt_tui.stopping import AtWork, what_became

    if halted is not None:
        context.out.say(f"bolt: the engine had ended already; halted from this desk since: {halted.counts()}")
        context.out.say(f"bolt: receipt: {halted.receipt_path or 'none'}; {halted.note}")
        return Exit.OK if halted.verified else Exit.INCOMPLETE
    found = what_became(home, AtWork((), ()), 0)
    context.out.say("bolt: the engine had ended already; as its ledger has it:")
    for text in found.lines():
        context.out.say(f"bolt: {text}")
    if not (found.left or found.fault):
        return Exit.OK
    context.out.say("bolt: `bolt kill` halts, and cancels at the venue what works there, without an engine")
    return Exit.INCOMPLETE
