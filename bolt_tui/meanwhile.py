"""What happened while nobody looked: a desk notes how far it has shown the log, and the next one says what came since."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine.domain.clock import hms
from engine.views import DeskView

NOTE = "desk.seen"
LOUD = ("HALT", "UNKN", "REJ", "DENY", "KILLED", "RISK", "WARN", "RECON")
"""Kinds of lines that are named first."""
KINDS_SHOWN = 6


class Seen(msgspec.Struct, frozen=True):
    """How far somebody has looked."""

    ledger_id: str
    seq: int
    ts_ns: int


def seen_of(view: DeskView) -> Seen:
    """How far this picture reaches."""
    return Seen(view.status.ledger_id, view.status.head_seq, view.status.ts_ns)


def keep(root: Path, seen: Seen) -> None:
    """Note it; a folder that takes no file costs only this comfort."""
    try:
        path = root / f"{NOTE}.new"
        path.write_bytes(msgspec.json.encode(seen))
        path.replace(root / NOTE)
    except OSError:
        return


def kept(root: Path) -> Seen | None:
    """The last note; None where there is none that can be read."""
    try:
        return msgspec.json.decode((root / NOTE).read_bytes(), type=Seen)
    except (OSError, msgspec.DecodeError):
        return None


def meanwhile(view: DeskView, seen: Seen | None) -> str:
    """What came since, in one sentence; empty where nothing did, or where it is another ledger's note."""
    if seen is None or seen.ledger_id != view.status.ledger_id:
        return ""
    lines = [line for line in view.log if line.seq > seen.seq]
    since = f"since {hms(seen.ts_ns)[:8]}Z"
    if not lines:
        return f"nothing happened {since}"
    counts: dict[str, int] = {}
    for line in lines:
        counts[line.word] = counts.get(line.word, 0) + 1
    order = sorted(counts, key=lambda word: (word not in LOUD, -counts[word], word))
    said = [f"{counts[word]} {word}" for word in order[:KINDS_SHOWN]]
    more = sum(counts[word] for word in order[KINDS_SHOWN:])
    is_cut = bool(view.log) and view.log[0].seq > seen.seq + 1 and len(lines) == len(view.log)
    return f"{since}: {', '.join(said)}{f', {more} other lines' if more else ''}{'; the log pane holds the newest of them' if is_cut else ''}"
