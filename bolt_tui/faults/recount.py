"""Counts again, from the venue's own log and the ledger alone: what was lost, what was doubled, what is unresolved.

It imports nothing but Python's own library, so that nothing it says rests on the code that it judges. The laboratory judges each
run with :func:`recount`; beside the folders that ``bolt faults --dump DIR`` leaves, this file runs by itself::

    python3 recount.py [DIR]
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

ENDED = {"denied", "filled", "cancelled", "rejected", "expired", "killed"}


def recount(log: list[dict[str, Any]], ledger: Path) -> dict[str, Any]:
    """Compare what the venue wrote with what the ledger holds.

    ``lost``: an order, an execution or a booking at the venue that the ledger does not hold, or that it calls never arrived; an
    order that left before its intent was on disk; a part of a group of orders that the venue took without the rest.
    ``doubled``: a wire id that arrived twice, a wish with more than one accepted order, a parent whose children may fill or
    filled more than it, an execution booked that the venue does not know, exits beyond the position.
    ``unresolved``: an order whose state here is open or unknown although the venue has ended it, or the other way round.
    """
    books = _Books(ledger)
    venue = _Venue(log)
    findings = [("lost", text) for text in _lost(venue, books)]
    findings += [("doubled", text) for text in _doubled(venue, books)]
    findings += [("unresolved", text) for text in _unresolved(venue, books)]
    counts = {kind: sum(found == kind for found, _ in findings) for kind in ("lost", "doubled", "unresolved")}
    wishes = sorted({books.wish_of(wire) for wire in venue.accepted if wire in books.wires} - {""})
    refused = sorted({books.wish_of(wire) for wire in venue.told_no if wire in books.wires} - {""})
    return {
        "sent": sum(venue.arrivals.values()),
        "accepted": len(venue.accepted),
        **counts,
        "findings": [f"{kind}: {text}" for kind, text in findings],
        "wishes": wishes,
        "refused": refused,
        "worked": _worked(venue, books),
    }


class _Venue:
    """The venue's log, read."""

    def __init__(self, log: list[dict[str, Any]]) -> None:
        self.arrivals: dict[str, int] = defaultdict(int)
        self.accepted: dict[str, dict[str, Any]] = {}
        self.told_no: set[str] = set()
        self.fills: dict[str, dict[str, Any]] = {}
        self.ended: dict[str, str] = {}
        self.overfilled: dict[str, int] = defaultdict(int)
        self.most: dict[str, int] = {}
        self.turned: list[str] = []
        self.moved: dict[str, str] = {}
        self.on_disk: dict[str, int] = {}
        position: dict[str, int] = defaultdict(int)
        units: dict[str, int] = defaultdict(
            lambda: 1
        )  # by symbol, and by execution as it was then: how often it was split
        for row in log:
            what, wire = row["what"], row.get("wire", "")
            if what == "new":
                self.arrivals[wire] += 1
                self.on_disk.setdefault(wire, row.get("on_disk", -1))
                if row["accepted"]:
                    self.accepted[wire] = row
                    self.most[wire] = row["qty"]
                elif row["code"] != "DUPLICATE_ID":
                    self.told_no.add(wire)
            elif what == "amended":
                self.most[wire] = max(self.most[wire], row["qty"])
            elif what == "fill":
                self.fills[row["key"]] = row
                units[row["key"]] = units[row["symbol"]]
                before = position[row["symbol"]]
                position[row["symbol"]] += _signed(row)
                # What the venue filled beyond the order is the venue's doing: the exit is judged by what it asked for.
                meant = before + _signed({**row, "qty": row["qty"] - self.overfilled[wire]})
                if wire and self.accepted[wire]["session"] and before * meant < 0:
                    self.turned.append(f"exit {wire} turned {row['symbol']} from {before} to {position[row['symbol']]}")
            elif what == "bust":
                gone = self.fills.pop(row["key"])
                position[gone["symbol"]] -= _signed(gone) * units[gone["symbol"]] // units[row["key"]]
            elif what == "moved":
                self.moved[row["key"]] = row["kind"]
                position[row["symbol"]] *= row["factor"]
                units[row["symbol"]] *= row["factor"]
            elif what == "overfill":
                self.overfilled[wire] += row["qty"]
            elif what == "end":
                self.ended[wire] = row["how"]

    def filled(self, wire: str) -> int:
        return sum(row["qty"] for row in self.fills.values() if row["wire"] == wire)


def _signed(row: dict[str, Any]) -> int:
    return int(row["qty"] if row["side"] == "buy" else -row["qty"])


class _Books:
    """The ledger, read: journal rows for what was wished, sent and filled, the orders table for how things stand."""

    def __init__(self, path: Path) -> None:
        self.wires: dict[str, dict[str, Any]] = {}
        self.parents: dict[str, dict[str, Any]] = {}
        self.fills: dict[str, dict[str, Any]] = {}
        self.rows: dict[str, int] = {}
        """Of each intent: its row."""
        self.moved: dict[str, str] = {}
        self.halted: set[str] = set()
        """Parents that a halt stopped."""
        self.asked: dict[str, int] = {}
        """Of each order: the largest quantity that an amendment asked for."""
        line = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            for seq, ts_ns, kind, payload in line.execute("SELECT seq, ts_ns, kind, payload FROM journal ORDER BY seq"):
                self._take(seq, ts_ns, kind, payload)
            rows = line.execute("SELECT order_id, parent_id, wire_id, state, qty_filled FROM orders").fetchall()
        finally:
            line.close()
        self.states = {order_id: state for order_id, _, _, state, _ in rows}
        self.foreign = {wire for order_id, _, wire, _, _ in rows if order_id.startswith("F")}

    def _take(self, seq: int, ts_ns: int, kind: str, payload: bytes) -> None:
        if kind not in {
            "command",
            "order_intent",
            "order_placed",
            "amend_placed",
            "parent_accepted",
            "parent_stopping",
            "order_staged",
            "order_filled",
            "foreign_fill",
            "fill_busted",
            "movement_booked",
        }:
            return
        row = json.loads(payload)
        if kind in {"command", "amend_placed"}:
            asked = row["command"]
            if asked["cmd"] == "amend" and asked["qty"] is not None:
                self.asked[asked["order_id"]] = max(int(asked["qty"]), self.asked.get(asked["order_id"], 0))
        elif kind == "order_intent":
            self.wires[row["wire_id"]] = row
            self.rows[row["wire_id"]] = seq
        elif kind == "order_placed":
            asked = row["command"]
            self.wires[row["wire_id"]] = {
                "order_id": row["child_id"], "parent_id": row["order_id"], "spec": asked["spec"], "source": asked["source"],
                "wire_id": row["wire_id"],
            }  # fmt: skip
            self.rows[row["wire_id"]] = seq
            self.parents[row["order_id"]] = {**asked, "order_id": row["order_id"], "ts_ns": ts_ns}
        elif kind == "movement_booked":
            self.moved[row["movement"]["key"]] = row["movement"]["kind"]
        elif kind in {"parent_accepted", "order_staged"}:
            self.parents[row["order_id"]] = {**row, "ts_ns": ts_ns}
        elif kind == "parent_stopping":
            if row["why"].startswith("halted:"):
                self.halted.add(row["order_id"])
        elif kind == "fill_busted":
            self.fills.pop(row["fill"]["fill_key"], None)
        else:
            fill = row["fill"]
            self.fills.pop(fill.get("corrects", ""), None)
            self.fills[fill["fill_key"]] = fill

    def wish_of(self, wire: str) -> str:
        """The wish behind an order: the intent id without its attempt."""
        parent = self.parents.get(self.wires[wire]["parent_id"], {})
        return _wish(str(parent.get("intent_id", "")))

    def group_of(self, wire: str) -> str:
        """Name of the group it was placed with; empty for an order of its own."""
        return str((self.wires[wire]["spec"].get("link") or {}).get("group", ""))

    def state(self, wire: str) -> str:
        return str(self.states.get(self.wires[wire]["order_id"], "none"))


def _wish(intent_id: str) -> str:
    """``a1`` of ``a1.0``, and ``a1#2`` of ``a1.0#2``: the second order of a group is a wish of its own."""
    name, _, attempt = intent_id.partition(".")
    member = attempt.partition("#")[2]
    return f"{name}#{member}" if member else name


def _lost(venue: _Venue, books: _Books) -> list[str]:
    found = [
        f"order {wire} arrived at the venue and its intent is not in the ledger"
        for wire in venue.arrivals
        if wire not in books.wires and not _is_exit(venue, wire)
    ]
    found += [
        f"order {wire} was taken by the venue and the ledger says {books.state(wire)}"
        for wire in venue.accepted
        if wire in books.wires and books.state(wire) in {"killed", "denied", "rejected", "none"}
    ]
    found += [
        f"order {wire} left when row {seen} was the last on disk; its intent is row {books.rows[wire]}"
        for wire, seen in venue.on_disk.items()
        if wire in books.rows and 0 <= seen < books.rows[wire]
    ]
    found += [
        f"booking {key} ({kind}) is not in the ledger" for key, kind in venue.moved.items() if key not in books.moved
    ]
    found += _torn(venue, books)
    for key, fill in venue.fills.items():
        booked = books.fills.get(key)
        if booked is None:
            found.append(f"execution {key} ({fill['side']} {fill['qty']} {fill['symbol']}) is not booked")
        elif not _is_same(fill, booked):
            found.append(f"execution {key} is booked as {booked['side']} {booked['qty']} at {booked['price']}")
    return found


def _torn(venue: _Venue, books: _Books) -> list[str]:
    """Groups of which the venue has a part: an entry without the exits that guard it."""
    groups: dict[str, list[str]] = defaultdict(list)
    for wire in books.wires:
        if group := books.group_of(wire):
            groups[group].append(wire)
    found = []
    for group, wires in groups.items():
        taken = [wire for wire in wires if wire in venue.accepted]
        if taken and len(taken) < len(wires):
            found.append(f"of group {group} the venue has {taken} and not {sorted(set(wires) - set(taken))}")
    return found


def _is_exit(venue: _Venue, wire: str) -> bool:
    return wire in venue.accepted and bool(venue.accepted[wire]["session"])


def _is_same(fill: dict[str, Any], booked: dict[str, Any]) -> bool:
    return (booked["symbol"], booked["side"], Decimal(booked["qty"]), Decimal(booked["price"])) == (
        fill["symbol"],
        fill["side"],
        Decimal(fill["qty"]),
        Decimal(fill["cents"]) / 100,
    )


def _doubled(venue: _Venue, books: _Books) -> list[str]:
    found = [f"order {wire} arrived {count} times" for wire, count in venue.arrivals.items() if count > 1]
    found += [f"execution {key} is booked and the venue has none" for key in books.fills if key not in venue.fills]
    found += [f"booking {key} is in the ledger and the venue has none" for key in books.moved if key not in venue.moved]
    found += venue.turned
    children: dict[str, list[str]] = defaultdict(list)
    for wire in venue.accepted:
        if wire in books.wires:
            children[books.wires[wire]["parent_id"]].append(wire)
    attempts: dict[str, list[str]] = defaultdict(list)
    for parent_id, wires in children.items():
        parent = books.parents.get(parent_id)
        if parent is None:
            found.append(f"orders {wires} have no parent in the ledger")
            continue
        algo = parent["spec"].get("algo", {}).get("name", "direct")
        is_direct = algo == "direct"
        attempts[_wish(str(parent["intent_id"]))].append(parent_id)
        if is_direct and len(wires) > 1:
            found.append(f"{parent_id} was sent {len(wires)} times: {wires}")
        most = max([int(Decimal(parent["spec"]["qty"])), *(venue.most[wire] for wire in wires if is_direct)])
        if algo == "when":  # amended while it waits, before the venue hears of it
            most = max(most, books.asked.get(parent_id, 0))
        could = sum(
            venue.filled(wire)
            - venue.overfilled[wire]
            + (0 if wire in venue.ended else max(0, venue.most[wire] - venue.filled(wire)))
            for wire in wires
        )
        if could > most:
            found.append(f"the children of {parent_id} come to {could} of {most}")
    found += [f"wish {wish} was sent as {ids}" for wish, ids in attempts.items() if wish and len(ids) > 1]
    return found


def _worked(venue: _Venue, books: _Books) -> dict[str, dict[str, int]]:
    """By wish, of those that are worked along a schedule: what the venue filled, when the schedule begins and ends, and whether a
    halt stopped it.
    """
    found: dict[str, dict[str, int]] = {}
    for parent_id, parent in books.parents.items():
        algo = parent["spec"].get("algo", {})
        if not algo.get("duration_ns"):
            continue
        wires = [wire for wire, row in books.wires.items() if row["parent_id"] == parent_id]
        wish = _wish(str(parent["intent_id"]))
        done = sum(venue.filled(wire) for wire in wires) + found.get(wish, {}).get("done", 0)
        begin_ns = parent["ts_ns"]
        found[wish] = {
            "done": done,
            "begin_ns": begin_ns,
            "end_ns": begin_ns + algo["duration_ns"],
            "halted": int(parent_id in books.halted),
        }
    return found


def _unresolved(venue: _Venue, books: _Books) -> list[str]:
    found = []
    for wire, row in books.wires.items():
        state = books.state(wire)
        is_open_there = wire in venue.accepted and wire not in venue.ended
        if is_open_there and state not in {"new", "partially_filled"}:
            found.append(f"{wire} works at the venue and is {state} here")
        elif not is_open_there and state not in ENDED:
            found.append(f"{wire} has ended at the venue and is {state} here")
        del row
    found += [f"{wire} is listed as foreign" for wire in books.foreign if wire in books.wires]
    return found


def main(folder: Path) -> int:
    """Recount every run below a folder; 0 where nothing was lost, doubled or left unresolved."""
    total = dict.fromkeys(("runs", "sent", "accepted", "lost", "doubled", "unresolved"), 0)
    for ledger in sorted(folder.rglob("ledger.db")):
        lines = (ledger.parent / "venue.jsonl").read_text(encoding="utf-8").splitlines()
        counted = recount([json.loads(line) for line in lines], ledger)
        total["runs"] += 1
        for name in list(total)[1:]:
            total[name] += counted[name]
        for text in counted["findings"]:
            print(f"{ledger.parent.relative_to(folder)}: {text}")
    print(json.dumps(total))
    return 1 if total["lost"] + total["doubled"] + total["unresolved"] or not total["sent"] else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent))
