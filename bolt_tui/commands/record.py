"""Subcommands on the tape: record a market, list what is recorded, take a day out of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from bolt_tui.commands.exits import Exit
from bolt_tui.commands.tools import ledger_place, named_home

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context
    from bolt_tui.settings import Home
    from engine.domain.instrument import Instrument


def record(context: Context) -> Exit:
    """Run the engine to record its feeds; nothing is traded by itself."""
    from engine.domain.errors import StoreLocked

    home = context.home
    try:
        asyncio.run(_record(context, home))
    except StoreLocked:
        context.out.say("bolt: an engine runs here and records already, as far as `tape: {record: ...}` says")
    return _shown(context, home)


async def _record(context: Context, home: Home) -> None:
    from bolt_tui.host import build, serve, signals
    from bolt_tui.logs import log_to_stderr
    from bolt_tui.settings import ensure_policy, load_settings
    from brokers.paperbroker import stop_venue

    log_to_stderr()
    ensure_policy(home)
    live = build(home, load_settings(home))
    loop = asyncio.get_running_loop()

    def on_ready() -> None:
        context.out.say("bolt: recording; end it with ctrl+c or `bolt stop`")
        if context.args.seconds > 0:
            loop.call_later(context.args.seconds, live.request_stop, False)

    with signals(live, detached=False):
        await serve(live, home, on_ready, on_end=lambda: stop_venue(home.root))


def tape_list(context: Context) -> Exit:
    """The recorded days."""
    return _shown(context, named_home())


def _shown(context: Context, home: Home) -> Exit:
    from engine.market.tape import days_of

    days = days_of(home.tape)
    context.out.object(
        "tape",
        {"folder": str(home.tape), "days": [{"day": one.day, "chunks": one.chunks, "size": one.size} for one in days]},
    )
    context.out.table(
        ("day", "chunks", "kB"),
        [(one.day, str(one.chunks), str(one.size // 1024)) for one in days],
        right=("chunks", "kB"),
    )
    return Exit.OK


def tape_export(context: Context) -> Exit:
    """A recorded day of one symbol as a file."""
    from engine.domain.errors import DataError
    from engine.domain.events import decode_event
    from engine.domain.ledger_events import InstrumentDefined, TapeAnchored
    from engine.market.sidecar import sidecar_path
    from engine.market.tape import is_chunk
    from engine.market.tape_days import export_day
    from engine.store.journal import read_journal

    args, place = context.args, ledger_place(context)
    made: Instrument | None = None
    chunks: list[tuple[str, str]] = []
    for row in read_journal(place):
        event = decode_event(row.payload)
        if isinstance(event, InstrumentDefined) and event.instrument.symbol == args.symbol:
            made = event.instrument
        elif (
            isinstance(event, TapeAnchored)
            and is_chunk(event.name)
            and event.name.split("/")[1] == args.day
            and event.sha256
        ):
            chunks.append((event.name, event.sha256))
    if not chunks:
        raise DataError(f"ledger {place} names no chunk of {args.day}; `bolt tape list` shows the days, as YYYYMMDD")
    if made is None:
        raise DataError(f"ledger {place} knows no {args.symbol}")
    folder = place.parent / "tape" if isinstance(place, Path) else named_home().tape
    out = Path(args.out)
    rows = export_day(folder, chunks, made, out)
    context.out.object("exported", {"file": str(out), "sidecar": str(sidecar_path(out)), "rows": rows})
    context.out.line(f"{out}: {rows} rows of {made.symbol}; its terms are in {sidecar_path(out).name}")
    return Exit.OK


def tape_prune(context: Context) -> Exit:
    """Remove recorded days and let the ledger name them."""
    from bolt_tui.settings import load_settings
    from engine.domain.clock import SystemClock
    from engine.domain.errors import SettingsError
    from engine.domain.ids import new_ledger_id
    from engine.domain.ledger_events import TapePruned
    from engine.market.tape import prune
    from engine.store.journal import Journal
    from engine.store.link import is_there

    args, home = context.args, context.found
    keep = load_settings(home).tape
    days = keep.keep_days if args.keep_days is None else args.keep_days
    megabytes = keep.keep_mb if args.keep_mb is None else args.keep_mb
    if days < 0 or megabytes < 0:
        raise SettingsError(f"--keep-days {days} --keep-mb {megabytes}: expected 0 or more")
    if not is_there(home.place):
        raise SettingsError(
            f"there is no ledger at {home.place} that could name the days; remove folders of {home.tape} by hand"
        )
    now_ns = SystemClock().now_ns()
    # The ledger first: while an engine holds it, this is refused and nothing is removed.
    journal = Journal.open(home.place, now_ns, new_ledger_id, "USD")
    try:
        gone = prune(home.tape, now_ns, days, megabytes * 1024 * 1024)
        if gone:
            journal.append(now_ns, TapePruned(days=gone))
            journal.commit()
    finally:
        journal.close()
    context.out.object("tape_pruned", {"folder": str(home.tape), "days": list(gone)})
    context.out.line(f"removed {len(gone)} days: {', '.join(gone)}" if gone else "nothing to remove")
    return Exit.OK
