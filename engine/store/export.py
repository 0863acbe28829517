"""The journal as text that proves itself: one record a row, as JSON lines or as YAML documents, plain or gzip.

A record holds the row (number, time, kind, the hashed payload as it is, previous hash, hash), the payload once more as a
mapping for people, and the hash of the record: SHA-256 over its canonical JSON (RFC 8785) without that hash. Every value is text,
in YAML in double quotes: no reader makes a number of an id (1E5), a truth value of a ticker (NO) or a time of a price.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, TextIO

import msgspec
import yaml

from engine.domain.clock import iso
from engine.domain.errors import BoltError, InputError
from engine.store.head import Head
from engine.store.journal import GENESIS, Row, chain

FIELDS = ("seq", "ts_ns", "time", "kind", "payload", "prev_hash", "hash", "event", "record_hash")
FINDINGS_MAX = 20
FORMS = ("jsonl", "yaml")
_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "map", "seq")}
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Resolves nothing: whatever stands there is text."""


class ExportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What :func:`verify_export` found."""

    ok: bool
    rows: int
    first_seq: int
    head_seq: int
    head_hash: str
    findings: tuple[str, ...] = ()


# -- writing -----------------------------------------------------------------------------------------------------------


def as_text(value: Any) -> Any:
    """A JSON value with every scalar as text; null is the empty text."""
    if isinstance(value, dict):
        return {str(key): as_text(held) for key, held in value.items()}
    if isinstance(value, list):
        return [as_text(held) for held in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def canonical(value: Any) -> bytes:
    """Canonical JSON of mappings, lists and text (RFC 8785: keys by their UTF-16 units, nothing escaped that need not be)."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).encode()
    if isinstance(value, list):
        return b"[" + b",".join(canonical(held) for held in value) + b"]"
    keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
    return b"{" + b",".join(canonical(key) + b":" + canonical(value[key]) for key in keys) + b"}"


def record_of(row: Row) -> dict[str, Any]:
    """The record of a row."""
    payload = row.payload.decode()
    made = {
        "seq": str(row.seq),
        "ts_ns": str(row.ts_ns),
        "time": iso(row.ts_ns),
        "kind": row.kind,
        "payload": payload,
        "prev_hash": row.prev_hash.hex(),
        "hash": row.hash.hex(),
        "event": as_text(json.loads(payload)),
    }
    return {**made, "record_hash": hashlib.sha256(canonical(made)).hexdigest()}


def write_rows(rows: Iterable[Row], out: TextIO, form: str) -> int:
    """Write the records of rows; how many. Nothing but the rows decides a byte of it."""
    count = 0
    for row in rows:
        record = record_of(row)
        out.write(canonical(record).decode() + "\n" if form == "jsonl" else _document(record))
        count += 1
    return count


def _document(record: dict[str, Any]) -> str:
    lines = ["---"]
    for name in FIELDS:
        _put(lines, f"{name}:", record[name], "")
    return "\n".join(lines) + "\n"


def _put(lines: list[str], head: str, value: Any, indent: str) -> None:
    if isinstance(value, str):
        lines.append(f"{indent}{head} {_quoted(value)}")
    elif not value:
        lines.append(f"{indent}{head} {'{}' if isinstance(value, dict) else '[]'}")
    else:
        lines.append(f"{indent}{head}")
        for key, held in value.items() if isinstance(value, dict) else ((None, held) for held in value):
            _put(lines, "-" if key is None else f"{_quoted(key)}:", held, f"{indent}  ")


def _quoted(words: str) -> str:
    return '"' + _ESCAPED.sub(lambda found: _SHORT.get(found[0]) or f"\\u{ord(found[0]):04x}", words) + '"'


# -- proving -----------------------------------------------------------------------------------------------------------


def verify_export(paths: Iterable[Path], heads: Iterable[Head] = ()) -> ExportReport:
    """Prove exported files: each record's own hash, its row's hash and link, and that one file goes on where the last one ended.

    The files are taken by their first row. A file that ends within its last record was cut by a crash or a full disk; that is
    told apart from a record that was changed.
    """
    walk = _Walk(list(heads))
    try:
        for path in sorted(paths, key=_first_seq):
            walk.file(path)
    except BoltError as error:
        walk.findings.append(str(error))
    if not walk.seq and not walk.findings:
        walk.findings.append("there is no record")
    for seq, digest in walk.heads:
        if seq > walk.seq:
            walk.findings.append(
                f"the tail was cut: the head that was kept is row {seq}, the last row here is {walk.seq}"
            )
        elif walk.first <= seq and walk.seen.get(seq) != digest:
            walk.findings.append(f"row {seq} is not the one whose hash was kept: the rows were replaced")
    return ExportReport(
        ok=not walk.findings,
        rows=walk.rows,
        first_seq=walk.first,
        head_seq=walk.seq,
        head_hash=walk.hash.hex(),
        findings=tuple(walk.findings[:FINDINGS_MAX]),
    )


class _Walk:
    """A way along the records of several files."""

    def __init__(self, heads: list[Head]) -> None:
        self.heads = heads
        self.findings: list[str] = []
        self.seen: dict[int, bytes] = {}
        self.rows = self.first = self.seq = 0
        self.hash = GENESIS

    def file(self, path: Path) -> None:
        """The records of one more file."""
        for record in records(path):
            if isinstance(record, Torn):
                self.findings.append(
                    f"{path.name} ends within a record, behind row {self.seq}: it was cut; export it again"
                )
            else:
                self.take(path.name, record)
            if len(self.findings) >= FINDINGS_MAX:
                return

    def take(self, name: str, record: Any) -> None:
        """The next record."""
        try:
            row = _row_of(record)
        except ValueError as error:
            self.findings.append(f"{name}: the record behind row {self.seq} was changed: {error}")
            return
        if self.first and row.seq != self.seq + 1:
            self.findings.append(f"{name}: row {self.seq + 1} is missing: the next one is {row.seq}")
        elif row.prev_hash != (self.hash if self.first else GENESIS if row.seq == 1 else row.prev_hash):
            self.findings.append(f"{name}: row {row.seq} is not chained to the row before it")
        self.first = self.first or row.seq
        self.seq, self.hash = row.seq, row.hash
        self.rows += 1
        if any(row.seq == seq for seq, _ in self.heads):
            self.seen[row.seq] = row.hash


def _row_of(record: Any) -> Row:
    """The row of a sound record; raises ValueError saying what is wrong with it."""
    if not isinstance(record, dict) or set(record) != set(FIELDS):
        msg = f"its fields are not {', '.join(FIELDS)}"
        raise ValueError(msg)
    rest = {name: held for name, held in record.items() if name != "record_hash"}
    if not _is_text(rest) or hashlib.sha256(canonical(rest)).hexdigest() != record["record_hash"]:
        msg = "its record_hash does not match its content"
        raise ValueError(msg)
    if not all(re.fullmatch(r"-?[0-9]{1,19}", record[name]) for name in ("seq", "ts_ns")):
        msg = "its number or time is no integer"
        raise ValueError(msg)
    payload = record["payload"].encode()
    row = Row(
        int(record["seq"]),
        int(record["ts_ns"]),
        record["kind"],
        payload,
        bytes.fromhex(record["prev_hash"]),
        bytes.fromhex(record["hash"]),
    )
    if row.seq < 1 or chain(row.prev_hash, row.seq, row.ts_ns, row.kind, payload) != row.hash:
        msg = "its hash does not match its row"
        raise ValueError(msg)
    if record_of(row) != record:
        msg = "its event is not its payload"
        raise ValueError(msg)
    return row


def _is_text(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_text(held) for key, held in value.items())
    return all(map(_is_text, value)) if isinstance(value, list) else isinstance(value, str)


# -- reading -----------------------------------------------------------------------------------------------------------


class Torn:
    """The end of a file that ends within a record."""


def records(path: Path) -> Iterator[Any]:
    """The records of a file as they stand, :class:`Torn` at the end of a cut one; what is no record comes as it is.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with _opened(path) as file:
            yield from _yaml_records(file) if form_of(path.name) == "yaml" else _json_records(file)
    except EOFError:
        yield Torn()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read ({error}); give a file that `bolt ledger export` or `archive` wrote"
        raise InputError(msg) from None


def form_of(name: str) -> str:
    """The form that a file's name asks for."""
    return "yaml" if name.removesuffix(".gz").endswith((".yaml", ".yml")) else "jsonl"


def _opened(path: Path) -> IO[str]:
    if path.name.endswith(".gz"):
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8", newline="\n")
    return path.open(encoding="utf-8", newline="\n")


def _json_records(file: IO[str]) -> Iterator[Any]:
    for line in file:
        if not line.endswith("\n"):
            yield Torn()
            return
        try:
            yield json.loads(line, object_pairs_hook=_only_once)
        except ValueError:
            yield line


def _yaml_records(file: IO[str]) -> Iterator[Any]:
    """Documents one by one: a reader of the whole stream would hold it all, and stop at the first that is none."""
    lines: list[str] = []
    for line in file:
        if line == "---\n" and lines:
            yield _document_of(lines)
            lines = []
        lines.append(line)
    if lines and lines[-1].startswith("record_hash: ") and lines[-1].endswith('"\n'):
        yield _document_of(lines)
    elif lines:
        yield Torn()


def _document_of(lines: list[str]) -> Any:
    words = "".join(lines)
    try:
        return _value_of(yaml.compose(words, Loader=_LOADER), set())
    except (yaml.YAMLError, ValueError):
        return words


def _value_of(node: Any, seen: set[int]) -> Any:
    """What a node says; raises ValueError for what is never written: a bare value, a tag, an alias, a key twice."""
    if id(node) in seen or node.tag not in _TAGS:
        raise ValueError(node)
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        return _only_once([(key.value, _value_of(value, seen)) for key, value in node.value])
    if isinstance(node, yaml.SequenceNode):
        return [_value_of(value, seen) for value in node.value]
    if node.style != '"':
        raise ValueError(node)
    return node.value


def _only_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError(pairs)
    return made


def _first_seq(path: Path) -> int:
    for record in records(path):
        seq = record.get("seq") if isinstance(record, dict) else None
        return int(seq) if isinstance(seq, str) and re.fullmatch(r"[0-9]{1,19}", seq) else 0
    return 0
