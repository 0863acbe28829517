"""Every entry of the shipped policy, spoiled in every way: refused with file, line and what was expected; what was in force stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml

from engine.domain.commands import ReloadPolicy
from engine.domain.events import decode_event
from engine.domain.ledger_events import PolicyLoaded, PolicyRefused
from engine.risk.policy import BY_PATH, FIELDS, Kind, Problem, parse
from tests.core.lab import ME, Lab
from tests.risk.world import SHIPPED

TEXT = SHIPPED.read_text(encoding="utf-8")
COUNTS = ["2.5", "many", "true", "-1", ".nan", "[1]", "{a: 1}", "1e6", '""']
BAD: dict[Kind, list[str]] = {
    Kind.AMOUNT: ["many", "true", "-1", ".nan", ".inf", "[1]", "{a: 1}", "1e6", "0x10", '""'],
    Kind.QTY: ["many", "true", "-0.5", ".nan", "[1]", "1e6", '""'],
    Kind.COUNT: COUNTS,
    Kind.PERCENT: ["5%", "true", "-1", ".nan", "[5]", '""'],
    Kind.SECONDS: ["1s", "00:10", "-1", ".inf", "[1]", '""'],
    Kind.SWITCH: ["yes", "1", '"true"', "TRUE", "[]", '""'],
    Kind.NAMES: ["PAPER", "{A: 1}", "[[A]]", "[A, A]", "[{a: 1}]", '""'],
    Kind.WORD: ["maybe", "true", "[a]", '""'],
    Kind.CURRENCY: ["dollars", "usd", "1", "[USD]", '""'],
    Kind.CUT: ["noon", "25:00 UTC", "00:00 Mars", "0", "[]", '""'],
}
assert set(BAD) == set(Kind)


class Spot(msgspec.Struct, frozen=True):
    """Where an entry stands in the file."""

    path: str
    key: tuple[int, int]
    value: tuple[int, int]
    line: int
    is_inline: bool

    def wrong(self, words: str) -> str:
        return TEXT[: self.value[0]] + words + TEXT[self.value[1] :]

    def renamed(self) -> str:
        return TEXT[: self.key[0]] + "zz_" + TEXT[self.key[0] :]

    def doubled(self) -> str:
        entry = TEXT[self.key[0] : self.value[1]]
        indent = " " * (self.key[0] - TEXT.rfind("\n", 0, self.key[0]) - 1)
        return TEXT[: self.key[0]] + entry + (", " if self.is_inline else f"\n{indent}") + TEXT[self.key[0] :]

    def dropped(self) -> str:
        if not self.is_inline:
            start, end = TEXT.rfind("\n", 0, self.key[0]) + 1, TEXT.index("\n", self.value[1]) + 1
            return TEXT[:start] + TEXT[end:]
        head, tail = TEXT[: self.key[0]], TEXT[self.value[1] :]
        return head + tail[1:].lstrip() if tail.startswith(",") else head.rstrip(" ,") + tail


def spots(node: yaml.Node, prefix: str = "") -> Iterator[Spot]:
    assert isinstance(node, yaml.MappingNode)
    for key, value in node.value:
        path = f"{prefix}{key.value}"
        if path in BY_PATH:
            yield Spot(
                path,
                (key.start_mark.index, key.end_mark.index),
                (value.start_mark.index, value.end_mark.index),
                key.start_mark.line + 1,
                bool(node.flow_style),
            )
        elif path != "overrides":
            yield from spots(value, f"{path}.")


TREE = yaml.compose(TEXT, Loader=yaml.SafeLoader)
assert TREE is not None
SPOTS = list(spots(TREE))


def refused(text: str) -> list[Problem]:
    """What is wrong with a text that must not be taken; every problem says where, what and what was expected."""
    policy, problems = parse(text)
    assert policy is None, text
    assert problems
    for problem in problems:
        assert str(problem).startswith(f"policy.yaml:{problem.line}: ")
        assert 1 <= problem.line <= len(text.splitlines())
        assert problem.expected
    return problems


def test_every_entry_of_the_file_is_found() -> None:
    assert {spot.path for spot in SPOTS} == set(BY_PATH)
    assert len(SPOTS) == len(FIELDS)


def share(spot: Spot) -> list[str]:
    """Bad words for one entry: the entries of a kind share its words among them, so that each is tried somewhere."""
    kind = BY_PATH[spot.path].kind
    peers = [other.path for other in SPOTS if BY_PATH[other.path].kind is kind]
    words, rank = BAD[kind], peers.index(spot.path)
    return words[rank :: len(peers)] or [words[rank % len(words)]]


def is_refused_at_its_line(spot: Spot, wrong: list[str]) -> None:
    for words in wrong:
        (problem,) = [item for item in refused(spot.wrong(words)) if item.path == spot.path]
        assert (problem.path, problem.line) == (spot.path, spot.line), words


def test_every_bad_word_is_tried_somewhere() -> None:
    tried = {(BY_PATH[spot.path].kind, words) for spot in SPOTS for words in share(spot)}
    assert tried == {(kind, words) for kind, bad in BAD.items() for words in bad}


@pytest.mark.parametrize("spot", SPOTS, ids=lambda spot: spot.path)
def test_an_entry_of_a_wrong_type_is_refused_at_its_line(spot: Spot) -> None:
    is_refused_at_its_line(spot, share(spot))


@pytest.mark.proof
@pytest.mark.parametrize("spot", SPOTS, ids=lambda spot: spot.path)
def test_an_entry_is_refused_with_every_wrong_type(spot: Spot) -> None:
    is_refused_at_its_line(spot, BAD[BY_PATH[spot.path].kind])


@pytest.mark.parametrize("spot", SPOTS, ids=lambda spot: spot.path)
def test_an_entry_that_is_unknown_doubled_or_missing_is_refused(spot: Spot) -> None:
    head, _, leaf = spot.path.rpartition(".")
    unknown = refused(spot.renamed())
    renamed = f"{head}.zz_{leaf}" if head else f"zz_{leaf}"
    assert (renamed, spot.line) in {(item.path, item.line) for item in unknown}
    assert any(item.path == spot.path and item.value == "missing" for item in unknown)
    (twice,) = refused(spot.doubled())
    assert (twice.path, twice.value) == (spot.path, "given twice")
    assert twice.line == spot.line + (0 if spot.is_inline else 1)
    assert f"the first stands in line {spot.line}" in twice.expected
    (missing,) = refused(spot.dropped())
    assert (missing.path, missing.value) == (spot.path, "missing")
    assert missing.expected == str(BY_PATH[spot.path].kind)


def test_a_reload_of_any_spoiled_file_keeps_what_was_in_force_and_says_why(tmp_path: Path) -> None:
    """Through a running engine: the answer, the journal, the status, and the hash on the next decision."""
    path = tmp_path / "policy.yaml"
    path.write_text(TEXT, encoding="utf-8")
    lab = Lab(tmp_path, policy=path)
    lab.connect()
    before = lab.engine.view().status.policy_hash
    spoiled = [make for spot in SPOTS for make in (spot.wrong(BAD[BY_PATH[spot.path].kind][0]), spot.dropped())]
    for text in spoiled[::3]:
        path.write_text(text, encoding="utf-8")
        result = lab.submit(ReloadPolicy(source=ME))
        first = refused(text)[0]
        assert (result.ok, result.code) == (False, "POLICY_REFUSED")
        assert result.text.startswith("the old policy stays: policy.yaml:")
        assert str(first) in result.text
        status = lab.engine.view().status
        assert (status.policy_hash, str(first) in status.policy_error) == (before, True)
    path.unlink()
    assert "cannot be read" in lab.submit(ReloadPolicy(source=ME)).text
    lab.quote()
    assert lab.buy(1).ok
    events = [decode_event(row.payload) for row in lab.journal.read()]
    assert len([event for event in events if isinstance(event, PolicyRefused)]) == len(spoiled[::3]) + 1
    path.write_text(TEXT.replace("max_day: 250_000", "max_day: 1"), encoding="utf-8")
    assert lab.submit(ReloadPolicy(source=ME)).ok
    after = lab.engine.view().status
    assert after.policy_hash != before
    assert after.policy_error == ""
    loaded = [decode_event(row.payload) for row in lab.journal.read() if row.kind == "policy_loaded"]
    assert [event.policy_hash for event in loaded if isinstance(event, PolicyLoaded)] == [before, after.policy_hash]
