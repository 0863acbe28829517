"""An export proves itself, and nothing that is done to it goes unseen: by Bolt, and by a script that knows nothing of Bolt."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from engine.store.export import canonical, record_of, verify_export, write_rows
from engine.store.head import Head
from engine.store.journal import read_journal
from tests.store.shop import Desk, alert, trade

ROOT = Path(__file__).parents[2]
ODD = (
    "NO",
    "1E5",
    "0x1F",
    "~",
    "2012-06-21",
    "10:30:00",
    "1.10",
    'a "b" \\ c',
    "l\u2028n\x85\x7f\t\n",
    "\U0001f600 é",
    "- x: [&a *a]",
    "",
)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    trade(path)
    desk = Desk(path)
    for number, word in enumerate(ODD):
        desk.record(alert(number, word or " "))
    desk.journal.close()
    return path


def written(ledger: Path, name: str) -> Path:
    path = ledger.with_name(name)
    out = io.StringIO()
    write_rows(read_journal(ledger), out, "yaml" if "yaml" in name else "jsonl")
    data = out.getvalue().encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def head_of(ledger: Path) -> Head:
    last = list(read_journal(ledger))[-1]
    return last.seq, last.hash


def stranger(*words: object) -> subprocess.CompletedProcess[str]:
    """The script beside the documentation, in an interpreter that sees neither Bolt nor its libraries."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(ROOT / "docs" / "prove_export.py"), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["l.jsonl", "l.yaml", "l.jsonl.gz", "l.yaml.gz"])
def test_an_export_is_proven_by_bolt_and_without_it(ledger: Path, name: str) -> None:
    path = written(ledger, name)
    report = verify_export([path], [head_of(ledger)])
    assert (report.findings, report.rows, report.head_seq) == ((), 8 + len(ODD), 8 + len(ODD))
    head = f"{report.head_seq}:{report.head_hash}"
    done = stranger(path, head)
    assert (done.returncode, done.stdout) == (0, f"proven: {head}\n"), done.stderr


def test_every_value_is_text_for_every_reader(ledger: Path) -> None:
    """The readers that make numbers of ids and truth values of tickers find nothing to make them of."""
    words = written(ledger, "l.yaml").read_text(encoding="utf-8")
    documents = list(yaml.safe_load_all(words))
    assert (
        documents
        == list(yaml.load_all(words, Loader=yaml.BaseLoader))
        == [record_of(row) for row in read_journal(ledger)]
    )
    assert [document["event"]["text"] for document in documents[8:]] == [word or " " for word in ODD]
    bare = [line for line in words.splitlines() if line != "---" and not line.endswith(('"', ":", "{}", "[]", "-"))]
    assert bare == []


def test_the_record_hash_is_over_canonical_json(ledger: Path) -> None:
    """By hand, as docs/ledger.md says. The second value is an example of RFC 8785, section 3.2.3."""
    record = record_of(next(iter(read_journal(ledger, 9))))
    told = record.pop("record_hash")
    by_hand = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(by_hand.encode()).hexdigest() == told
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    ordered = [json.loads(part.split(":")[0]) for part in canonical(dict.fromkeys(keys, "x")).decode()[1:-1].split(",")]
    assert ordered == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


Change = Callable[[str], str]


def swap(words: str) -> str:
    records = words.split("---\n")
    records[4], records[5] = records[5], records[4]
    return "---\n".join(records)


def drop(words: str) -> str:
    records = words.split("---\n")
    return "---\n".join(records[:4] + records[5:])


CHANGES: dict[str, tuple[Change, str]] = {
    "a price": (lambda words: words.replace("189.1", "289.1", 1), "record behind row 2 was changed"),
    "the readable part": (
        lambda words: words.replace('"fee": "0.35"', '"fee": "0.36"', 1),
        "record behind row 2 was changed",
    ),
    "a time": (lambda words: words.replace('time: "2023', 'time: "2024', 1), "record behind row 0 was changed"),
    "a number without quotes": (lambda words: words.replace('seq: "3"', "seq: 3"), "record behind row 2 was changed"),
    "a tag": (lambda words: words.replace('seq: "3"', 'seq: !!int "3"'), "record behind row 2 was changed"),
    "an alias": (
        lambda words: words.replace('seq: "3"', 'seq: &a "3"').replace('ts_ns: "1700000000000000002"', "ts_ns: *a"),
        "record behind row 2 was changed",
    ),
    "a key twice": (lambda words: words.replace('seq: "3"', 'seq: "9"\nseq: "3"'), "record behind row 2 was changed"),
    "a field more": (lambda words: words.replace('seq: "3"', 'seq: "3"\nnote: "x"'), "record behind row 2 was changed"),
    "rows swapped": (swap, "row 4 is missing"),
    "a row removed": (drop, "row 4 is missing"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_is_found_by_bolt_and_without_it(ledger: Path, kind: str) -> None:
    change, words = CHANGES[kind]
    path = written(ledger, "l.yaml")
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before
    path.write_text(after, encoding="utf-8")
    assert any(words in found for found in verify_export([path]).findings), verify_export([path]).findings
    assert stranger(path).returncode == 1


@pytest.mark.parametrize("name", ["l.jsonl", "l.yaml", "l.yaml.gz"])
def test_a_torn_end_is_told_apart_from_a_change(ledger: Path, name: str) -> None:
    path = written(ledger, name)
    path.write_bytes(path.read_bytes()[:-40])
    (found,) = verify_export([path]).findings
    assert "ends within a record" in found
    assert "was changed" not in found


def test_a_key_twice_in_a_line_is_found(ledger: Path) -> None:
    path = written(ledger, "l.jsonl")
    path.write_text(path.read_text().replace('"seq":"3"', '"seq":"9","seq":"3"'))
    assert "row 2 was changed" in verify_export([path]).findings[0]


def test_a_rewritten_export_does_not_fit_a_head_kept_elsewhere(ledger: Path, tmp_path: Path) -> None:
    kept = head_of(ledger)
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "ledger.db"
    trade(other, 5)
    desk = Desk(other)
    for number in range(20):
        desk.record(alert(number, "forged"))
    desk.journal.close()
    forged = written(other, "l.yaml")
    assert verify_export([forged]).ok, "by itself it holds"
    assert "the rows were replaced" in verify_export([forged], [kept]).findings[0]
    assert "the tail was cut" in verify_export([forged], [(99, kept[1])]).findings[0]
    assert stranger(forged, f"{kept[0]}:{kept[1].hex()}").returncode == 1


def test_a_file_that_is_no_export_is_a_finding(tmp_path: Path) -> None:
    for name, data in (
        ("a.jsonl", b'{"a": 1}\n'),
        ("b.yaml", b"a: 1\n"),
        ("c.jsonl.gz", b"no gzip"),
        ("d.jsonl", b"\xff\xfe\n"),
        ("e.jsonl", b""),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        assert not verify_export([path]).ok
    assert "cannot be read" in verify_export([tmp_path / "none.jsonl"]).findings[0]
