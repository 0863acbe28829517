"""policy.yaml is read strictly, as a whole, with the line of every fault."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.errors import PolicyError
from engine.risk.controls import ROWS
from engine.risk.policy import BY_PATH, FIELDS, LIMITS, SOURCES, PolicyHolder, check_file, load, parse
from tests.risk.world import SHIPPED

TEXT = SHIPPED.read_text(encoding="utf-8")


def faults(old: str, new: str) -> list[str]:
    assert old in TEXT
    policy, problems = parse(TEXT.replace(old, new, 1))
    assert (policy is None) is bool(problems)
    return [str(problem) for problem in problems]


def line_of(words: str) -> int:
    return next(number for number, line in enumerate(TEXT.splitlines(), 1) if words in line)


def test_the_shipped_file_is_good() -> None:
    assert check_file(SHIPPED) == []
    policy = load(SHIPPED)
    assert policy.number("loss.max_day") == 250_000
    assert policy.line_of("loss.max_day") == f"policy.yaml:{line_of('max_day:')}"
    assert policy.names("arm.accounts") == ("PAPER",)
    assert policy.ns("duplicate.window_s") == 1_000_000_000


def test_every_setting_of_the_shipped_file_is_explained() -> None:
    """Only rows of a table with a comment of its own stand bare."""
    bare = [line for line in TEXT.splitlines() if re.match(r" *\w+: ", line) and "#" not in line and "{" not in line]
    assert bare == ["version: 1"]


@pytest.mark.parametrize("field", [field.path for field in FIELDS])
def test_a_missing_value_is_named(field: str) -> None:
    lines = TEXT.splitlines()
    head, _, leaf = field.rpartition(".")
    if field.startswith("authority."):
        source = field.split(".")[1]
        text = re.sub(rf"(\n  {source}: .*?)\b{leaf}: (\[.*?\]|\w+)(, )?", r"\1", TEXT, count=1)
        text = text.replace(", }", " }")
    else:
        start = 0 if not head else next(i for i, line in enumerate(lines) if line.startswith(f"{head}:"))
        indent = "  " if head else ""
        index = next(i for i in range(start, len(lines)) if lines[i].startswith(f"{indent}{leaf}:"))
        text = "\n".join(lines[:index] + lines[index + 1 :])
    policy, problems = parse(text)
    assert policy is None
    assert any(problem.path == field and "missing" in problem.value for problem in problems), problems


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("true", "was 'true'; expected an amount"),
        ("yes", "was 'yes'"),
        (".nan", "must be finite"),
        ("nan", "must be finite"),
        (".inf", "must be finite"),
        ("-.inf", "never negative"),
        ("-1", "never negative"),
        ("1e6", "plain digits"),
        ("0x10", "plain digits"),
        ("010", "plain digits"),
        ("1_00", "plain digits"),
        ("1,000", "plain digits"),
        ("many", "plain digits"),
        ("", "was empty"),
        ("~", "plain digits"),
        ("[1]", "was a list"),
        ("{a: 1}", "was a table"),
        ("'1 000'", "plain digits"),
        ("'1000'", "without quotes"),
        ('"250_000"', "without quotes"),
        ("٣", "plain digits"),
        ("9" * 41, "plain digits"),
    ],
)
def test_a_wrong_number_is_refused_with_its_line(value: str, words: str) -> None:
    (fault,) = faults("max_day: 250_000", f"max_day: {value}")
    assert fault.startswith(f"policy.yaml:{line_of('max_day:')}: loss.max_day")
    assert words in fault


@pytest.mark.parametrize(("hold", "whole"), [("0", 0), ("0.1", 1), ("60", 60), ("60.5", 61)])
def test_a_part_of_a_second_is_no_second_less(hold: str, whole: int) -> None:
    policy, _ = parse(TEXT.replace("rearm_hold_s: 60", f"rearm_hold_s: {hold}"))
    assert policy is not None
    assert policy.whole("kill.rearm_hold_s") == whole


def test_numbers_stay_exact() -> None:
    policy, _ = parse(TEXT.replace("collar_pct: 5", "collar_pct: 0.1", 1))
    assert policy is not None
    assert policy.number("price.collar_pct") == Decimal("0.1")


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("restricted: []", "restricted: [AAPL, msft]"),
        ('allowed: ["*"]', "allowed: ['AAPL ']"),
        ("    ES: {", "    es: {"),
        (
            'max_notional: 250_000, accounts: ["*"], symbols: ["*"]',
            'max_notional: 250_000, accounts: ["*"], symbols: [aapl]',
        ),
    ],
)
def test_a_symbol_that_no_symbol_can_be_is_refused(good: str, bad: str) -> None:
    """A restricted `msft` would restrict nothing, and say nothing."""
    (fault,) = faults(good, bad)
    assert "in capitals" in fault


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  max_day:", "  max_dya:", "loss.max_dya was an unknown key"),
        ("arm:", "arms:", "arms was an unknown key"),
        ("loss:", "loss: 5\nlosses:", "loss was '5'; expected a table"),
        ("version: 1", "version: 2", "version was '2'; expected 1"),
        ("currency: USD", "currency: dollars", "3 to 5 capitals"),
        ("live: false", "live: 0", "true or false"),
        ("live: false", 'live: "false"', "true or false"),
        ("accounts: [PAPER]", "accounts: PAPER", "a list of names"),
        ("accounts: [PAPER]", "accounts: [PAPER, PAPER]", "each once"),
        ("accounts: [PAPER]", "accounts: [[PAPER]]", "names that are words"),
        ("protective: keep", "protective: maybe", "keep or cancel"),
        ("max_count: 200", "max_count: 2.5", "a whole number"),
        ("version: 1", "version: 1\nversion: 1", "version was given twice"),
        ("  max_day:", "  max_day: 1\n  max_day:", "loss.max_day was given twice"),
        ("ES: { order.max_qty: 15", "ES: { order.max_qty: -15", "never negative"),
        ("ES: { order.max_qty: 15", "ES: { loss.trip_to: 15", "the full name of a limit"),
        ("ES: { order.max_qty: 15", "ES: { order.qty: 15", "the full name of a limit"),
        ("  accounts: {}", "  traders: {}", "one of accounts, strategies, symbols"),
        ("  accounts: {}", "  accounts: 5", "a table of names"),
        ("  accounts: {}", "  accounts: {A: 5}", "a table of limits"),
        ("version: 1", "version: &a 1\nx: *a", "aliases"),
        ("arm:", "? [a]\n: 1\narm:", "a key that is no word"),
        ("version: 1", "version: [1", "not YAML"),
        ("version: 1", "version: !!python/object:os.system 1\n--- 5", "not YAML"),
    ],
)
def test_a_wrong_shape_is_refused(old: str, new: str, words: str) -> None:
    found = faults(old, new)
    assert any(words in fault for fault in found), found
    assert all(re.match(r"policy.yaml:\d+: ", fault) for fault in found)


def test_all_faults_are_told_at_once() -> None:
    text = TEXT.replace("max_day: 250_000", "max_day: no").replace("live: false", "live: maybe")
    assert len(parse(text)[1]) == 2


def test_an_empty_file_and_a_list_are_refused() -> None:
    for text in ("", "- 1", "5"):
        assert parse(text)[0] is None


def test_files_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    binary, huge = tmp_path / "binary.yaml", tmp_path / "huge.yaml"
    binary.write_bytes(b"\xff\xfe")
    huge.write_text("# " + "x" * 300_000, encoding="utf-8")
    for path, words in (
        (tmp_path / "none.yaml", "cannot be read"),
        (binary, "UTF-8"),
        (huge, "larger than"),
        (tmp_path, "read"),
    ):
        with pytest.raises(PolicyError, match=words):
            load(path)


def test_the_hash_is_of_what_is_in_force() -> None:
    policy = load(SHIPPED)
    commented, _ = parse("# another day\n" + TEXT.replace("250_000", "250000"))
    changed, _ = parse(TEXT.replace("max_day: 250_000", "max_day: 250_001"))
    override, _ = parse(TEXT.replace("ES: { order.max_qty: 15", "ES: { order.max_qty: 16"))
    assert commented is not None
    assert changed is not None
    assert override is not None
    assert commented.hash == policy.hash
    assert len({policy.hash, changed.hash, override.hash}) == 3


def test_overrides_only_tighten() -> None:
    policy, problems = parse(
        TEXT.replace(
            "  accounts: {}",
            "  accounts:\n    SMALL: { order.max_qty: 7, duplicate.window_s: 9 }\n    BIG: { order.max_qty: 9_999_999, duplicate.window_s: 0 }",
        )
    )
    assert problems == []
    assert policy is not None
    assert policy.limits("SMALL", "", "AAPL")["order.max_qty"].value == 7
    assert policy.limits("SMALL", "", "ES")["order.max_qty"].value == 7
    assert policy.limits("BIG", "", "AAPL")["order.max_qty"].value == 20_000
    assert policy.limits("BIG", "", "ES")["order.max_qty"].value == 15
    assert policy.limits("SMALL", "", "AAPL")["duplicate.window_s"].value == 9
    assert policy.limits("BIG", "", "AAPL")["duplicate.window_s"].value == 1
    line = policy.limits("SMALL", "", "ES")["order.max_qty"].line
    assert "SMALL" in (policy.source.splitlines()[int(line.rpartition(":")[2]) - 1])


def test_a_bad_reload_keeps_the_old_policy(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(TEXT, encoding="utf-8")
    holder = PolicyHolder.from_file(path)
    before = holder.policy
    path.write_text(TEXT.replace("max_day: 250_000", "max_day: lots"), encoding="utf-8")
    error = holder.reload()
    assert error is not None
    assert "loss.max_day was 'lots'" in str(error)
    assert holder.policy is before
    assert holder.error
    path.write_text(TEXT.replace("max_day: 250_000", "max_day: 1"), encoding="utf-8")
    assert holder.reload() is None
    assert holder.policy is not None
    assert holder.policy.number("loss.max_day") == 1
    assert not holder.error


def test_every_limit_is_used_by_a_row_or_a_monitor() -> None:
    used = {row.path for row in ROWS}
    idle = [path for path in LIMITS if path not in used and not path.startswith("monitor.")]
    assert idle == []
    for row in ROWS:
        for source in SOURCES:
            assert not row.path or row.path.replace("{source}", source) in BY_PATH


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    policy, problems = parse(text)
    assert policy is None
    assert problems


@given(
    st.integers(0, len(TEXT) - 1), st.sampled_from(["", "\t", "{", "]", "\n", "-", ":", "#", "\x00", "&a ", "*a", "!"])
)
def test_a_damaged_file_is_read_right_or_refused(at: int, damage: str) -> None:
    policy, problems = parse(TEXT[:at] + damage + TEXT[at + 1 :])
    assert (policy is None) is bool(problems)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_plain_file_is_refused_and_waited_for_by_nobody(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(SHIPPED.read_text("utf-8"), "utf-8")
    holder = PolicyHolder.from_file(path)
    path.unlink()
    make(path)
    before = holder.policy
    error = holder.reload()
    assert "is no plain file" in str(error)
    assert holder.policy is before


@pytest.mark.parametrize("scope", ["accounts", "strategies"])
def test_an_override_of_all_would_tighten_nothing_and_is_refused(scope: str) -> None:
    (fault,) = faults(f"{scope}: {{}}", f"{scope}: {{ '*': {{ order.max_qty: 5 }} }}")
    assert fault.endswith(f"overrides.{scope}.* was no name; expected one by its name; the general limit holds for all")
