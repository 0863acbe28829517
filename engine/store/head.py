"""The noted head: number and hash of a row that was on disk, kept in a file outside the store that it is to prove."""

from __future__ import annotations

import os
import re

from engine.domain.errors import SettingsError, StoreCorrupt
from engine.store.place import Place, head_file

SEQ_MAX = 2**63 - 1
"""The last row number that the store can hold."""
Head = tuple[int, bytes]
"""Row number and hash."""
_HASH_HEX = 64


def note_head(place: Place, head: Head, ledger_id: str) -> bool:
    """Write the note anew, on disk before the old one goes; False where that could not be done."""
    path = head_file(place)
    fresh = path.with_name(f"{path.name}.new")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as out:
            out.write(f"{head[0]} {head[1].hex()} {ledger_id}\n")
            out.flush()
            os.fsync(handle)
        fresh.replace(path)
    except OSError:
        return False
    return True


def noted_head(place: Place) -> Head | None:
    """The head that was noted; None where there is no such file.

    Raises:
        StoreCorrupt: the note cannot be read.
    """
    path = head_file(place)
    try:
        return _parse(path.read_text(encoding="ascii").split())
    except FileNotFoundError:
        return None
    except (ValueError, OSError):
        msg = f"the noted head {path.name} cannot be read; it was changed: compare the ledger with a backup"
        raise StoreCorrupt(msg) from None


def noted_ledger_id(place: Place) -> str:
    """The ledger's id from its note; empty where that does not tell. Needs no store, so that nothing waits for one."""
    try:
        words = head_file(place).read_text(encoding="ascii").split()
    except (ValueError, OSError):
        return ""
    return words[2] if len(words) == 3 else ""


def read_head(words: str) -> Head:
    """A head that a person kept: ``SEQ:HASH``, or the words of a note. Raises SettingsError where it is neither."""
    try:
        return _parse(words.replace(":", " ").split())
    except ValueError:
        msg = f"head was {words!r}; expected SEQ:HASH, as `bolt ledger verify` prints it"
        raise SettingsError(msg) from None


def _parse(words: list[str]) -> Head:
    seq, digest, *rest = words
    if len(rest) > 1 or not re.fullmatch(r"[1-9][0-9]{0,18}", seq) or len(digest) != _HASH_HEX or int(seq) > SEQ_MAX:
        raise ValueError(words)
    return int(seq), bytes.fromhex(digest)
