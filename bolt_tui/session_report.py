"""The end of a paper session: what happened in it, and how real the market was in which it happened.

Written to ``realism.json`` in the state folder when an engine ends, and shown by whoever ends it. What happened is from the
ledger and concerns this session alone; the venue's own counts go back to the beginning of its log.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from bolt_tui.settings import FILE_MODE, Home
from bolt_tui.stored import SessionFigures, open_stored
from brokers.paper.config import VenueConfig
from brokers.paper.listings import LISTINGS
from brokers.paper.realism import RealismReport, realism_report
from brokers.paper.session import PaperSession
from brokers.paper.venue import VenueCore
from brokers.paper.venue_log import VenueLog
from engine.domain.clock import iso
from engine.domain.errors import BoltError, VenueError
from engine.domain.events import decoder, encode
from engine.market.fees import shipped_fees

_LOG = logging.getLogger("bolt.session")


class SessionReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of an ended session."""

    schema: int = 1
    session: SessionFigures | None = None
    """None where the ledger could not be read."""
    realism: RealismReport

    def fields(self) -> dict[str, Any]:
        """As words, for JSON and for people: the effects by name, then the figures."""
        report = self.realism
        shown = {f"{effect.code} {effect.name}": f"{effect.state}: {effect.text}" for effect in report.effects}
        shown |= {"source": report.source, "depth": report.depth, "fills": str(report.fills)}
        shown["fills guessed"] = f"{report.fills_guessed} ({report.guessed_share} %)"
        shown |= {f"note {number}": text for number, text in enumerate(report.notes, 1)}
        if self.session is not None:
            shown["session"] = words(self.session)
        return shown


def words(figures: SessionFigures) -> str:
    """The session in one sentence."""
    counts = ", ".join(f"{count} {name}" for name, count in figures.counts.items())
    end = "" if figures.is_clean else "; it did not end cleanly"
    return f"{iso(figures.began_ns)} to {iso(figures.ended_ns)}: {counts}{end}"


_REPORTS: msgspec.json.Decoder[SessionReport] = decoder(SessionReport)


def note_session(home: Home) -> None:
    """Write the report of the session that ends now; the venue may still run. A failure is logged, never raised."""
    try:
        stored = open_stored(home)
        report = SessionReport(session=None if stored is None else stored.session(), realism=_of_the_venue(home))
        home.realism.unlink(missing_ok=True)
        home.realism.touch(mode=FILE_MODE)
        home.realism.write_bytes(msgspec.json.format(encode(report), indent=1) + b"\n")
    except (BoltError, OSError) as error:
        _LOG.error("no report of this session: %s", error)


def _of_the_venue(home: Home) -> RealismReport:
    """The venue's own word; where it does not answer, what its log counts."""
    try:
        session = PaperSession(home.root)
        try:
            return session.realism()
        finally:
            session.close()
    except VenueError as error:
        _LOG.warning("the venue does not say how real it was: %s", error)
    core = VenueCore(VenueConfig(fees=shipped_fees()), _nobody, _nobody, _nobody)
    for listing in LISTINGS:
        for mic in listing.mics:
            core.list_instrument(listing.instrument, mic)
    memory = VenueLog(home.venue / "venue.log").read()
    if memory is not None:
        core.counters = memory.venue.counters
    report = realism_report(core, source="simulated")
    note = "the venue did not answer at the end: counts are those of its log, latencies are not known"
    return msgspec.structs.replace(report, notes=(note, *report.notes))


def _nobody(*_: object) -> None:
    """Take what an idle core says: it says nothing."""


def read_report(home: Home) -> SessionReport | None:
    """The report of the session that ended last; None where none was written."""
    try:
        return _REPORTS.decode(home.realism.read_bytes())
    except (OSError, msgspec.DecodeError, ValueError):
        return None


def summary(home: Home) -> list[str]:
    """What happened in the last session, and in one sentence how real it was, with where all of it stands; empty where there is no report."""
    report = read_report(home)
    if report is None:
        return []
    found = report.realism
    off = ", ".join(effect.name for effect in found.effects if effect.state == "off")
    told = [] if report.session is None else [f"session {words(report.session)}"]
    how_real = (
        f"how real it was: {found.source} market ({found.depth}), {found.fills} fills of which {found.fills_guessed} guessed"
        f"{f'; off: {off}' if off else ''}; effect by effect in {home.realism}"
    )
    return [*told, how_real]


def shown(home: Home) -> tuple[dict[str, Any], list[str]]:
    """The last session's report as JSON fields and as lines; both empty where there is none."""
    report = read_report(home)
    if report is None:
        return {}, []
    found = report.fields()
    lines = ["REALISM", *(f"  {name}: {found[name]}" for name in sorted(found))]
    return found, [*lines, f"  kept in {home.realism}"]
