"""Subcommands on recorded market data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bolt_tui.commands.exits import Exit

if TYPE_CHECKING:
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
