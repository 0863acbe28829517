"""Subcommands on recorded market data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bolt_tui.commands.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bolt_tui.commands.context import Context
    from engine.market.inspection import Inspection
    from engine.market.replay import RecordedFile


def _opened(ctx: Context) -> tuple[RecordedFile, ...]:
    from bolt_tui.instruments import registry_in
    from bolt_tui.settings import Home, home_path
    from engine.market.replay import open_all
    from engine.market.sidecar import parse_instrument

    known = registry_in(Home(home_path()).instruments).terms_of
    words = [parse_instrument(terms) for terms in ctx.args.instrument]
    return open_all([Path(name) for name in ctx.args.files], words, known=known)


def inspect(ctx: Context) -> Exit:
    """Say what recorded files are."""
    import msgspec

    from engine.market.inspection import inspect as look

    for file in _opened(ctx):
        found = look(file)
        ctx.out.object("recording", {"file": file.path, **msgspec.to_builtins(found)})
        for line in _lines(file, found):
            ctx.out.line(line)
    return Exit.OK


def _lines(file: RecordedFile, found: Inspection) -> list[str]:
    from engine.domain.clock import NS_PER_S, iso

    span_s = (found.last_ns - found.first_ns) // NS_PER_S
    lines = [
        f"{file.path}: {found.title}, {found.depth}",
        f"  instrument {found.symbol} at {', '.join(found.venues)}, tick {found.tick}, lot {found.lot}",
        f"  span {iso(found.first_ns)} to {iso(found.last_ns)} ({span_s} s), {found.rows} rows of the market",
        "  rows " + ", ".join(f"{count} {name.lower()}" for name, count in found.kinds.items()),
        f"  volume {found.volume}; book judged {found.judged} times: {found.crossed} crossed, {found.locked} locked",
    ]
    if found.crossed:
        lines.append(f"  crossed between {iso(found.crossed_first_ns)} and {iso(found.crossed_last_ns)}")
    lines += [f"  found: {words}" for words in found.findings]
    silences = [
        f"  silence of {(one.end_ns - one.start_ns) // NS_PER_S} s from {iso(one.start_ns)}" for one in found.silences
    ]
    lines += silences or ["  no silence of a minute or more"]
    lines += [f"  realism: {words}" for words in found.realism]
    lines += [f"  default: {words}" for words in found.defaults]
    return lines


def bars(ctx: Context) -> Exit:
    """Write recordings as bars of a minute."""
    from engine.market.history_files import bar_lines

    files = _opened(ctx)
    rows = _written(ctx, bar_lines(files))
    ctx.out.object("bars", {"file": ctx.args.out, "rows": rows})
    ctx.out.line(f"{ctx.args.out}: {rows} bars of a minute of {', '.join(_symbols(files))}")
    return Exit.OK


def curve(ctx: Context) -> Exit:
    """Write the volume of recordings by time of the session, and say the average of a day."""
    from bolt_tui.settings import Home, home_path
    from engine.domain.errors import DataError
    from engine.market.history_files import prints_of
    from engine.market.own_sessions import load_sessions
    from engine.market.session_curve import HEADER, binned, curve_lines

    if not 1 <= ctx.args.minutes <= 240:
        raise DataError(f"--minutes was {ctx.args.minutes}; expected 1 to 240")
    files = _opened(ctx)
    home = Home(home_path())
    lines, averages = [HEADER], {}
    for symbol in _symbols(files):
        days: dict[str, dict[int, int]] = {}
        for file in (one for one in files if one.instrument.symbol == symbol):
            made = file.instrument
            calendar = load_sessions(made.calendar, home.calendars, file.first_ns, file.last_ns, home.own_sessions)
            prints = ((ts_ns, qty) for ts_ns, _, qty in prints_of(file, made))
            for day, bins in binned(prints, calendar, ctx.args.minutes).items():
                for minute, volume in bins.items():
                    of_day = days.setdefault(day, {})
                    of_day[minute] = of_day.get(minute, 0) + int(made.qty_of(volume))
        if not days:
            raise DataError(
                f"{symbol}: no print lies in a session of its calendar; name one: --instrument SYM:calendar=..."
            )
        totals = [sum(bins.values()) for bins in days.values()]
        averages[symbol] = {"days": len(totals), "average": sum(totals) // len(totals)}
        lines += curve_lines(symbol, days)[1:]
    rows = _written(ctx, iter(lines))
    ctx.out.object("curve", {"file": ctx.args.out, "rows": rows, "symbols": averages})
    for symbol, found in averages.items():
        ctx.out.line(f"{symbol}: average daily volume {found['average']} over {found['days']} days")
    ctx.out.line(f"{ctx.args.out}: {rows} bins of {ctx.args.minutes} minutes; give it to a replay as --curve")
    return Exit.OK


def _symbols(files: tuple[RecordedFile, ...]) -> list[str]:
    return list(dict.fromkeys(file.instrument.symbol for file in files))


def _written(ctx: Context, lines: Iterator[str]) -> int:
    from engine.domain.errors import DataError
    from engine.market.importing import write_packed

    out = Path(ctx.args.out)
    if out.exists():
        raise DataError(f"{out}: it is there already; name a new file")
    return write_packed(out, lines)


def import_data(ctx: Context) -> Exit:
    """Write recorded files anew in our layout."""
    from engine.market.importing import import_files
    from engine.market.sidecar import sidecar_path

    out = Path(ctx.args.out)
    files = _opened(ctx)
    rows = import_files(files, out)
    said: dict[str, Any] = {"file": str(out), "sidecar": str(sidecar_path(out)), "rows": rows}
    ctx.out.object("imported", said)
    ctx.out.line(f"{out}: {rows} rows of {files[0].instrument.symbol}; its terms are in {sidecar_path(out).name}")
    for words in dict.fromkeys(words for file in files for words in file.defaults):
        ctx.out.say(f"bolt: default: {words}")
    return Exit.OK
