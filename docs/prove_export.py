"""Proves an exported ledger (.jsonl, .yaml, each also .gz) with nothing but Python: `python prove_export.py FILE ... [SEQ:HASH]`.

Written from docs/ledger.md and not from the program that wrote the file. Exit code 0: every record, hash and link holds.
"""

import gzip
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

HEAD = re.compile(r"[0-9]+:[0-9a-f]{64}")


def canonical(value: Any) -> str:
    """Canonical JSON of text, lists and mappings (RFC 8785)."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def yaml_lines(lines: list[str], at: int = 0, depth: int = 0) -> tuple[Any, int]:
    """What such YAML says (nested mappings and lists of text in double quotes, nothing else), and the next line."""
    made: Any = None
    while at < len(lines):
        line = lines[at]
        words = line.lstrip(" ")
        if len(line) - len(words) != depth:
            break
        at += 1
        if words.startswith("-"):
            made, key, rest = made if made is not None else [], None, words[1:]
        else:
            made = made if made is not None else {}
            end = json.JSONDecoder().raw_decode(words)[1] if words[0] == '"' else words.index(":")
            key, rest = json.loads(words[:end]) if words[0] == '"' else words[:end], words[end + 1 :]
            if key in made:
                raise ValueError(f"{key} stands twice")
        if rest.strip():
            value = json.loads(rest)
            if value and not isinstance(value, str):
                raise ValueError("a value without quotes")
        else:
            value, at = yaml_lines(lines, at, depth + 2)
        if key is None:
            made.append(value)
        else:
            made[key] = value
    return made, at


def records(name: str) -> Iterator[Any]:
    """Every record of a file."""
    opened = gzip.open if name.endswith(".gz") else open
    with opened(name, "rt", encoding="utf-8", newline="\n") as file:
        if ".yaml" not in name and ".yml" not in name:
            yield from map(json.loads, file)
            return
        for document in file.read().split("---\n")[1:]:
            yield yaml_lines(document.split("\n")[:-1])[0]


def prove(record: Any, seq: int, prev: bytes) -> tuple[int, bytes]:
    """Check one record behind row ``seq`` with hash ``prev``; its own number and hash. Raises ValueError."""
    own = dict(record)
    told = own.pop("record_hash")
    number, when = int(record["seq"]), int(record["ts_ns"])
    before = bytes.fromhex(record["prev_hash"])
    head = before + number.to_bytes(8, "big") + when.to_bytes(8, "big", signed=True) + record["kind"].encode() + b"\0"
    digest = hashlib.sha256(head + record["payload"].encode())
    wrong = {
        "its record_hash": hashlib.sha256(canonical(own).encode()).hexdigest() != told,
        "its hash": digest.hexdigest() != record["hash"],
        "its kind": json.loads(record["payload"])["kind"] != record["kind"],
        "its number": number != (seq + 1 if seq else number),
        "its link": before != (prev if seq else bytes(32) if number == 1 else before),
    }
    if any(wrong.values()):
        raise ValueError(", ".join(name for name, is_wrong in wrong.items() if is_wrong))
    return number, digest.digest()


def main(words: list[str]) -> int | str:
    """Prove the files that are named, in this order."""
    names = [word for word in words if not HEAD.fullmatch(word)]
    heads = {word for word in words if HEAD.fullmatch(word)}
    seq, prev = 0, bytes(32)
    try:
        for name in names:
            for record in records(name):
                seq, prev = prove(record, seq, prev)
                heads.discard(f"{seq}:{prev.hex()}")
    except (OSError, EOFError, LookupError, ValueError, TypeError) as error:
        return f"the record behind row {seq} does not hold: {error}"
    if heads:
        return f"no row is {heads.pop()}: cut or replaced"
    print(f"proven: {seq}:{prev.hex()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
