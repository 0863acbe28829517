"""What a disk would hold after a power cut: rebuilt from the system calls of a real engine, recorded by strace.

A write lies in the machine's memory until the file is synced. :class:`Disk` follows the calls in the order in which they
happened and keeps both pictures of each file: as the process sees it, and as it would be found after the cut. What was not
synced may be there or not, sector by sector.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
CALLS = "openat,write,pwrite64,fsync,fdatasync,ftruncate,unlink,sendto,sendmsg"
_LINE = re.compile(r"(\d+) +(?:<\.\.\. )?(\w+)(.*)")
_FD = re.compile(r"\((\d+)<([^>]*)>")
_BYTES = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_OFFSET = re.compile(r", (\d+)(?:\) = |\s*<unfinished)")


@dataclass(frozen=True)
class Call:
    """One finished or begun call on a file or a socket."""

    name: str
    path: str
    data: bytes = b""
    offset: int = -1


def _text(words: str) -> str:
    return bytes.fromhex(words.replace("\\x", "")).decode("utf-8", "replace") if "\\x" in words else words


def calls(trace: Path) -> Iterator[Call]:
    """The calls of a recording: what writes counts from its begin, what syncs from its end, so that neither is taken for safer
    than it is.
    """
    waiting: dict[str, str] = {}
    with trace.open(encoding="ascii") as lines:
        for line in lines:
            found = _LINE.match(line)
            if found is None:
                continue
            process, name, rest = found.groups()
            is_sync = name in {"fsync", "fdatasync"}
            if "resumed>" in rest:
                begun = waiting.pop(process, "")
                if is_sync and begun and rest.rstrip().endswith("= 0"):
                    yield Call(name, begun)
                continue
            fd = _FD.search(rest)
            path = _text(fd.group(2)) if fd else ""
            if rest.rstrip().endswith("<unfinished ...>") and is_sync:
                waiting[process] = path
                continue
            if is_sync and not rest.rstrip().endswith("= 0"):
                continue
            data = b"".join(bytes.fromhex(part.replace("\\x", "")) for part in _BYTES.findall(rest))
            offset = _OFFSET.search(rest[rest.rfind('"') :] if '"' in rest else rest)
            yield Call(name, path, data, int(offset.group(1)) if offset and name in {"pwrite64", "ftruncate"} else -1)


@dataclass
class Image:
    """One file: as it is seen, as it was last synced, and what was written since."""

    seen: bytearray = field(default_factory=bytearray)
    safe: bytearray = field(default_factory=bytearray)
    since: list[tuple[int, bytes]] = field(default_factory=list)

    def write(self, offset: int, data: bytes) -> None:
        """A write: seen at once, safe with the next sync."""
        _put(self.seen, offset, data)
        self.since.append((offset, data))

    def sync(self) -> None:
        """What is seen is safe."""
        self.safe = bytearray(self.seen)
        self.since.clear()

    def after_cut(self, luck: random.Random | None) -> bytes:
        """What is found after a cut: only what is safe, or by luck some sectors of the rest, in any order."""
        found = bytearray(self.safe)
        for offset, data in self.since if luck is not None else ():
            for begin in range(0, len(data), SECTOR):
                if luck is not None and luck.random() < 0.5:
                    _put(found, offset + begin, data[begin : begin + SECTOR])
        return bytes(found)


def _put(held: bytearray, offset: int, data: bytes) -> None:
    if len(held) < offset:
        held.extend(bytes(offset - len(held)))
    held[offset : offset + len(data)] = data


class Disk:
    """The files below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self.files: dict[str, Image] = {}

    def take(self, call: Call) -> None:
        """Follow a call."""
        if not call.path.startswith(self._folder) or call.path.endswith("-shm"):
            return
        image = self.files.setdefault(call.path, Image())
        if call.name in {"fsync", "fdatasync"}:
            image.sync()
        elif call.name == "pwrite64":
            image.write(call.offset, call.data)
        elif call.name == "write":
            image.write(len(image.seen), call.data)
        elif call.name == "ftruncate" and call.offset >= 0:
            del image.seen[call.offset :]

    def put_down(self, folder: Path, luck: random.Random | None) -> None:
        """Write what a cut would leave of ledger and log."""
        for name in ("ledger.db", "ledger.db-wal"):
            image = self.files.get(f"{self._folder}/{name}")
            if image is not None:
                (folder / name).write_bytes(image.after_cut(luck))
