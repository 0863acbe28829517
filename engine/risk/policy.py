"""``policy.yaml``: read strictly, as a whole, with the line of every value.

The reader keeps scalars as text, so 0.1 stays a tenth and ``true`` is never a one. A file with any fault is refused with
all its faults; the policy in force then stays. Limits may be tightened per account, strategy and symbol; where several
apply the strictest one holds, so that an override can never loosen what stands above it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import msgspec
import yaml

from engine.domain.errors import PolicyError
from engine.domain.instrument import is_symbol
from engine.domain.money import EXACT, text
from engine.risk.locates import check_locates
from engine.risk.risk_day import is_cut

FILE_BYTES_MAX = 256 * 1024
VERSION = "1"
_NUMBER = re.compile(r"(0|[1-9][0-9]*|[1-9][0-9]{0,2}(_[0-9]{3})+)(\.[0-9]+)?")
_RESOLVED_MAX = 4096


class Kind(StrEnum):
    """What a value may be."""

    AMOUNT = "an amount of the base currency, zero or more"
    QTY = "a quantity, zero or more"
    COUNT = "a whole number, zero or more"
    PERCENT = "a percentage, zero or more"
    SECONDS = "seconds, zero or more"
    SWITCH = "true or false"
    NAMES = "a list of names"
    WORD = "one of the words given"
    CURRENCY = "a currency code of capitals"
    CUT = "a time of day and a zone, such as 00:00 UTC or 17:00 America/New_York"


_NUMERIC = frozenset({Kind.AMOUNT, Kind.QTY, Kind.COUNT, Kind.PERCENT, Kind.SECONDS})
Value = Decimal | bool | str | tuple[str, ...]


class Field(msgspec.Struct, frozen=True):
    """One entry of the file."""

    path: str
    kind: Kind
    is_limit: bool = False
    """Limits may be tightened in ``overrides``."""
    is_floor: bool = False
    """The limit is the least allowed, so that the larger one is the stricter."""
    words: tuple[str, ...] = ()
    is_of_account: bool = False
    """An account may have its own in ``overrides.accounts``, which then replaces the general one."""


def _limits(kind: Kind, *paths: str) -> tuple[Field, ...]:
    return tuple(Field(path, kind, is_limit=True) for path in paths)


def _authority() -> tuple[Field, ...]:
    fields: list[Field] = []
    for source in SOURCES:
        fields += [
            Field(f"authority.{source}.may_trade", Kind.SWITCH),
            Field(f"authority.{source}.max_notional", Kind.AMOUNT),
            Field(f"authority.{source}.accounts", Kind.NAMES),
            Field(f"authority.{source}.symbols", Kind.NAMES),
        ]
    return tuple(fields)


SOURCES = ("desk", "cli", "strategy", "dispatcher", "copilot", "voice")
"""Sources that must be given their authority; ``halt`` has its own by nature, ``foreign`` never asks."""

AUTHORITY = {source: f"authority.{source}.max_notional" for source in SOURCES}
"""Where the largest order of a source stands."""

MARGIN_RATES = {
    "equity": "margin.share_pct",
    "etf": "margin.share_pct",
    "future": "margin.derivative_pct",
    "perpetual": "margin.derivative_pct",
    "crypto_spot": "margin.coin_pct",
}
"""By kind of instrument: where its margin in percent of its worst exposure stands."""

FIELDS: tuple[Field, ...] = (
    Field("version", Kind.WORD, words=(VERSION,)),
    Field("currency", Kind.CURRENCY),
    *_limits(Kind.SECONDS, "fx.max_age_s"),
    Field("arm.live", Kind.SWITCH),
    Field("arm.paper_brokers", Kind.NAMES),
    Field("arm.accounts", Kind.NAMES),
    Field("symbols.allowed", Kind.NAMES),
    Field("symbols.restricted", Kind.NAMES),
    *_limits(Kind.QTY, "order.max_qty"),
    *_limits(Kind.AMOUNT, "order.max_notional", "order.confirm_notional", "order.max_notional_without_adv"),
    *_limits(Kind.AMOUNT, "order.four_eyes_notional"),
    *_limits(Kind.PERCENT, "order.max_adv_pct"),
    *_limits(Kind.PERCENT, "price.collar_pct", "price.far_pct", "price.max_outlier_pct"),
    *_limits(Kind.SECONDS, "price.max_quote_age_s"),
    *_limits(Kind.QTY, "position.max_qty"),
    *_limits(Kind.AMOUNT, "position.max_notional"),
    *_limits(Kind.AMOUNT, "portfolio.max_gross", "portfolio.max_net", "portfolio.max_sector"),
    *_limits(Kind.AMOUNT, "portfolio.max_currency"),
    *_limits(Kind.PERCENT, "portfolio.max_leverage_pct"),
    *_limits(Kind.PERCENT, "margin.max_used_pct"),
    *(Field(path, Kind.PERCENT) for path in dict.fromkeys(MARGIN_RATES.values())),
    Field("short.locate_free", Kind.NAMES),
    Field("short.locates", Kind.NAMES),
    Field("short.price_test", Kind.NAMES),
    *_limits(Kind.COUNT, "open_orders.max_count", "open_orders.max_count_per_symbol"),
    *_limits(Kind.AMOUNT, "open_orders.max_notional", "open_orders.max_notional_per_symbol"),
    Field("day.starts", Kind.CUT, is_of_account=True),
    *_limits(Kind.AMOUNT, "day.max_turnover"),
    *_limits(Kind.COUNT, "day.max_orders", "day.max_cancels", "day.max_order_to_trade"),
    Field("day.ratio_from", Kind.COUNT),
    *_limits(Kind.AMOUNT, "loss.max_day", "loss.max_drawdown"),
    Field("loss.trip_to", Kind.WORD, words=("halted", "reducing")),
    Field("duplicate.window_s", Kind.SECONDS, is_limit=True, is_floor=True),
    *_limits(Kind.COUNT, "rate.max_per_s_broker", "rate.max_per_s_account", "rate.max_per_s_source"),
    *_limits(Kind.COUNT, "repeat.max_orders"),
    Field("repeat.window_s", Kind.SECONDS),
    *_limits(Kind.COUNT, "unknown.max_count"),
    *_limits(Kind.SECONDS, "unknown.max_age_s"),
    *_limits(Kind.SECONDS, "reconcile.max_age_s", "clock.max_jump_s", "clock.max_offset_s"),
    *_limits(Kind.PERCENT, "monitor.max_reject_pct"),
    *_limits(Kind.SECONDS, "monitor.max_ack_s", "monitor.max_stall_s", "monitor.max_stale_s", "monitor.max_down_s"),
    Field("monitor.min_answers", Kind.COUNT),
    Field("monitor.window_s", Kind.SECONDS),
    *_limits(Kind.COUNT, "monitor.max_messages"),
    *_authority(),
    Field("kill.rearm_hold_s", Kind.SECONDS),
    Field("kill.protective", Kind.WORD, words=("keep", "cancel")),
    Field("kill.flatten_collar_pct", Kind.PERCENT),
    Field("kill.flatten_deadline_s", Kind.SECONDS),
)
"""The whole file: nothing may be missing, nothing else may stand in it (besides ``overrides``)."""

BY_PATH = {field.path: field for field in FIELDS}
LIMITS = tuple(field.path for field in FIELDS if field.is_limit)
OVERRIDE_SCOPES = ("accounts", "strategies", "symbols")


class Problem(msgspec.Struct, frozen=True):
    """One fault of a file."""

    file: str
    line: int
    path: str
    value: str
    expected: str

    def __str__(self) -> str:
        """``policy.yaml:41: order.max_qty was 'many'; expected a quantity, zero or more``."""
        was = f" was {self.value}" if self.value else ""
        subject = f"{self.path}{was}" if self.path else self.value
        return f"{self.file}:{self.line}: {subject}; expected {self.expected}"


class Limit(msgspec.Struct, frozen=True):
    """A number in force and where it stands."""

    value: Decimal
    line: str
    ns: int = 0
    """The same in nanoseconds, where it is a time."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """All limits of a desk, as one checked and hashed whole."""

    name: str
    source: str
    """Text of the file, for the journal."""
    values: Mapping[str, Value]
    lines: Mapping[str, int]
    overrides: Mapping[tuple[str, str], Mapping[str, Decimal]]
    """(scope, name) to the limits tightened there."""
    of_account: Mapping[tuple[str, str], str] = {}
    """(account, path) to the account's own value of what is no limit."""
    hash: str
    _resolved: dict[tuple[str, str, str], Mapping[str, Limit]] = msgspec.field(default_factory=dict)
    _spans: dict[str, int] = msgspec.field(default_factory=dict)

    def line_of(self, path: str) -> str:
        """``policy.yaml:41`` of a value; the bare file name where it has none."""
        line = self.lines.get(path)
        return f"{self.name}:{line}" if line else self.name

    def number(self, path: str) -> Decimal:
        """A number that is no limit (a window, a hold time), or a limit's value without overrides."""
        value = self.values[path]
        assert isinstance(value, Decimal), path
        return value

    def whole(self, path: str) -> int:
        """A number, the next whole one where it has a fraction: a hold of 0.9 s is not none."""
        return math.ceil(self.number(path))

    def ns(self, path: str) -> int:
        """A time span in nanoseconds."""
        found = self._spans.get(path)
        if found is None:
            found = self._spans[path] = int(self.number(path).scaleb(9, EXACT))
        return found

    def switch(self, path: str) -> bool:
        """A true or false."""
        return self.values[path] is True

    def word(self, path: str) -> str:
        """A word."""
        return str(self.values[path])

    def word_of(self, path: str, account: str) -> str:
        """A word, the account's own where it has one."""
        return self.of_account.get((account, path)) or self.word(path)

    def names(self, path: str) -> tuple[str, ...]:
        """A list of names."""
        value = self.values[path]
        return value if isinstance(value, tuple) else ()

    def allows(self, path: str, name: str) -> bool:
        """Whether a list of names holds ``name`` or the star that stands for all."""
        names = self.values[path]
        return isinstance(names, tuple) and (name in names or "*" in names)

    def limits(self, account: str, strategy: str, symbol: str) -> Mapping[str, Limit]:
        """Limits in force for an order, by path: the strictest of the general one and every override that applies."""
        key = (account, strategy, symbol)
        found = self._resolved.get(key)
        if found is None:
            if len(self._resolved) >= _RESOLVED_MAX:
                self._resolved.clear()
            found = self._resolved[key] = self._resolve(key)
        return found

    def _resolve(self, key: tuple[str, str, str]) -> Mapping[str, Limit]:
        found: dict[str, Limit] = {}
        for path in (*LIMITS, *AUTHORITY.values()):
            value = self.values.get(path)
            if isinstance(value, Decimal):
                found[path] = _limit(path, value, self.line_of(path))
        for scope, name in zip(OVERRIDE_SCOPES, key, strict=True):
            for path, value in self.overrides.get((scope, name), {}).items():
                held = found.get(path)
                is_stricter = held is None or (value > held.value if BY_PATH[path].is_floor else value < held.value)
                if is_stricter:
                    found[path] = _limit(path, value, self.line_of(f"overrides.{scope}.{name}.{path}"))
        return found


def _limit(path: str, value: Decimal, line: str) -> Limit:
    is_time = BY_PATH[path].kind is Kind.SECONDS
    return Limit(value, line, int(value.scaleb(9, EXACT)) if is_time else 0)


class _Reader:
    """Walks the parsed tree and collects values, lines and problems."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values: dict[str, Value] = {}
        self.lines: dict[str, int] = {}
        self.overrides: dict[tuple[str, str], dict[str, Decimal]] = {}
        self.of_account: dict[tuple[str, str], str] = {}
        self.problems: list[Problem] = []
        self._tables: dict[str, int] = {}

    def fault(self, node: yaml.Node | None, path: str, value: str, expected: str) -> None:
        # What is missing is shown at the table it belongs to.
        line = node.start_mark.line + 1 if node else self._tables.get(path.rpartition(".")[0] + ".", 1)
        self.problems.append(Problem(self.name, line, path, value, expected))

    def read(self, root: yaml.Node | None) -> None:
        if not isinstance(root, yaml.MappingNode):
            self.fault(root, "", "the file holds no settings", "a table of limits such as `order:`")
            return
        self._table(root, "")
        for field in FIELDS:
            if field.path not in self.values and not self._is_faulty(field.path):
                self.fault(None, field.path, "missing", str(field.kind))

    def _is_faulty(self, path: str) -> bool:
        return any(item.path == path or (item.path and path.startswith(item.path + ".")) for item in self.problems)

    def _pairs(self, node: yaml.MappingNode, prefix: str) -> list[tuple[str, yaml.Node, yaml.Node]]:
        found: list[tuple[str, yaml.Node, yaml.Node]] = []
        seen: dict[str, int] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            path = f"{prefix}{name}"
            if not name:
                self.fault(key, prefix.rstrip("."), "a key that is no word", "a plain word")
            elif name in seen:
                self.fault(key, path, "given twice", f"one entry; the first stands in line {seen[name]}")
            else:
                seen[name] = key.start_mark.line + 1
                found.append((name, key, value))
        return found

    def _table(self, node: yaml.MappingNode, prefix: str) -> None:
        for name, key, value in self._pairs(node, prefix):
            path = f"{prefix}{name}"
            if path == "overrides":
                self._overrides(value)
            elif path in BY_PATH:
                self._value(BY_PATH[path], path, key, value)
            elif not any(field.startswith(path + ".") for field in BY_PATH):
                self.fault(key, path, "an unknown key", _nearest(path, prefix))
            elif isinstance(value, yaml.MappingNode):
                self._tables[path + "."] = key.start_mark.line + 1
                self._table(value, path + ".")
            elif isinstance(value, yaml.ScalarNode) and not value.value:
                self._tables[path + "."] = key.start_mark.line + 1
            else:
                self.fault(value, path, _shown(value), "a table of its own, indented below it")

    def _value(self, field: Field, path: str, key: yaml.Node, node: yaml.Node) -> None:
        try:
            self.values[path] = _read_value(field, node)
            self.lines[path] = key.start_mark.line + 1
        except ValueError as error:
            self.fault(node, path, _shown(node), str(error))

    def _overrides(self, node: yaml.Node) -> None:
        if not isinstance(node, yaml.MappingNode):
            self.fault(node, "overrides", _shown(node), f"a table of {', '.join(OVERRIDE_SCOPES)}")
            return
        for scope, key, names in self._pairs(node, "overrides."):
            if scope not in OVERRIDE_SCOPES:
                self.fault(key, f"overrides.{scope}", "an unknown key", f"one of {', '.join(OVERRIDE_SCOPES)}")
            elif not isinstance(names, yaml.MappingNode):
                self.fault(names, f"overrides.{scope}", _shown(names), "a table of names, `{}` where there are none")
            else:
                for name, at, limits in self._pairs(names, f"overrides.{scope}."):
                    if scope == "symbols" and not is_symbol(name):
                        self.fault(at, f"overrides.symbols.{name}", "no symbol", "one as it is traded, in capitals")
                    elif name == "*":
                        # It would name nobody and tighten nothing.
                        self.fault(
                            at, f"overrides.{scope}.*", "no name", "one by its name; the general limit holds for all"
                        )
                    self._override(scope, name, limits)

    def _override(self, scope: str, name: str, node: yaml.Node) -> None:
        prefix = f"overrides.{scope}.{name}."
        if not isinstance(node, yaml.MappingNode):
            self.fault(node, prefix[:-1], _shown(node), "a table of limits such as `order.max_qty: 5`")
            return
        for path, key, value in self._pairs(node, prefix):
            field = BY_PATH.get(path)
            is_own = field is not None and field.is_of_account and scope == "accounts"
            if field is None or not (field.is_limit or is_own):
                self.fault(key, prefix + path, "no limit", "the full name of a limit, such as `order.max_qty`")
                continue
            self._value(field, prefix + path, key, value)
            given = self.values.pop(prefix + path, None)
            if isinstance(given, Decimal):
                self.overrides.setdefault((scope, name), {})[path] = given
            elif isinstance(given, str):
                self.of_account[name, path] = given


def _nearest(path: str, prefix: str) -> str:
    known = sorted({field[len(prefix) :].partition(".")[0] for field in BY_PATH if field.startswith(prefix)})
    return f"one of {', '.join(known)}" + (", overrides" if not prefix else "") + (f" (not {path!r})" if prefix else "")


def _shown(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return repr(node.value) if node.value else "empty"
    return "a table" if isinstance(node, yaml.MappingNode) else "a list"


def _read_value(field: Field, node: yaml.Node) -> Value:
    """The value of a node; ValueError with what was expected."""
    if field.kind is Kind.NAMES:
        names = _read_names(node, is_of_symbols=field.path.startswith("symbols.") or field.path.endswith(".symbols"))
        return check_locates(names) if field.path == "short.locates" else names
    if not isinstance(node, yaml.ScalarNode):
        raise ValueError(str(field.kind))
    word = node.value
    if field.kind in _NUMERIC:
        if node.style is not None:
            raise ValueError(f"{field.kind}, in plain digits such as 1500 or 0.25 without quotes")
        return _read_number(field.kind, word)
    if field.kind is Kind.SWITCH:
        if node.style is not None or word not in {"true", "false"}:
            raise ValueError("true or false, without quotes")
        return bool(word == "true")
    if field.kind is Kind.CURRENCY:
        if not re.fullmatch(r"[A-Z]{3,5}", word):
            raise ValueError("a currency code of 3 to 5 capitals, such as USD")
        return str(word)
    if field.kind is Kind.CUT:
        if not is_cut(word):
            raise ValueError(str(field.kind))
        return str(word)
    if word not in field.words:
        raise ValueError(" or ".join(field.words))
    return str(word)


def _read_number(kind: Kind, word: str) -> Decimal:
    if word.startswith("-"):
        raise ValueError(f"{kind}; a limit is never negative")
    if word.lower().lstrip("+.") in {"nan", "inf", "infinity"}:
        raise ValueError(f"{kind}; a limit must be finite")
    if not _NUMBER.fullmatch(word) or len(word) > 40:
        raise ValueError(f"{kind}, in plain digits such as 1500 or 0.25")
    number = Decimal(word)
    if kind is Kind.COUNT and "." in word:
        raise ValueError(str(kind))
    return number


def _read_names(node: yaml.Node, *, is_of_symbols: bool) -> tuple[str, ...]:
    if not isinstance(node, yaml.SequenceNode):
        raise ValueError('a list of names, such as [AAPL, MSFT], ["*"] for all or [] for none')
    names = []
    for item in node.value:
        if not isinstance(item, yaml.ScalarNode) or not item.value.strip() or item.value in names:
            raise ValueError("names that are words, each once")
        if is_of_symbols and item.value != "*" and not is_symbol(item.value):
            # A restricted `aapl` would restrict nothing.
            raise ValueError(f"symbols as they are traded, in capitals such as AAPL or BTC-USD (not {item.value!r})")
        names.append(str(item.value))
    return tuple(names)


class _AliasError(Exception):
    """An alias was met: few characters of them stand for a file without end."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise _AliasError(self.peek_event().start_mark.line + 1)  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)


def parse(source: str, name: str = "policy.yaml") -> tuple[Policy | None, list[Problem]]:
    """Read a policy from text: the policy, or None and every problem found."""
    reader = _Reader(name)
    try:
        reader.read(yaml.compose(source, Loader=_Loader))
    except _AliasError as found:
        reader.problems.append(
            Problem(name, found.line, "", "the file uses YAML aliases (*name)", "every value written out")
        )
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = str(getattr(error, "problem", None) or error)
        reader.problems.append(
            Problem(name, mark.line + 1 if mark else 1, "", f"this is not YAML: {what}", "valid YAML")
        )
    except RecursionError:
        reader.problems.append(Problem(name, 1, "", "the file is nested too deeply", "tables of at most three levels"))
    if reader.problems:
        return None, sorted(reader.problems, key=lambda item: item.line)
    made = Policy(
        name=name,
        source=source,
        values=reader.values,
        lines=reader.lines,
        overrides=reader.overrides,
        of_account=reader.of_account,
        hash=_hash(reader.values, reader.overrides, reader.of_account),
    )
    return made, []


def _hash(
    values: Mapping[str, Value],
    overrides: Mapping[tuple[str, str], Mapping[str, Decimal]],
    of_account: Mapping[tuple[str, str], str],
) -> str:
    """Digest of what is in force: comments, order and spacing of the file do not change it."""

    def shown(value: Value) -> object:
        if isinstance(value, Decimal):
            return text(value)
        return sorted(value) if isinstance(value, tuple) else value

    content = {path: shown(value) for path, value in values.items()}
    for (scope, name), limits in overrides.items():
        content |= {f"overrides.{scope}.{name}.{path}": shown(value) for path, value in limits.items()}
    content |= {f"overrides.accounts.{account}.{path}": value for (account, path), value in of_account.items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def check_file(path: Path) -> list[Problem]:
    """Every problem of a policy file; empty where it can be used."""
    return _read_file(path)[1]


def load(path: Path) -> Policy:
    """Read a policy file.

    Raises:
        PolicyError: naming every problem with file, line, value and what was expected.
    """
    policy, problems = _read_file(path)
    if policy is None:
        raise PolicyError("\n".join(str(problem) for problem in problems))
    return policy


def _read_file(path: Path) -> tuple[Policy | None, list[Problem]]:
    try:
        if path.exists() and not path.is_file():
            # A pipe would be waited for, and the engine with it.
            return None, [Problem(path.name, 1, "", f"{path} is no plain file", "a file of settings")]
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
        source = raw.decode("utf-8")
    except OSError as error:
        return None, [Problem(path.name, 1, "", f"{path} cannot be read: {error.strerror}", "a readable file")]
    except UnicodeDecodeError:
        return None, [Problem(path.name, 1, "", "the file is not UTF-8 text", "UTF-8")]
    if len(raw) > FILE_BYTES_MAX:
        size = f"the file is larger than {FILE_BYTES_MAX} bytes"
        return None, [Problem(path.name, 1, "", size, "a smaller file")]
    return parse(source, path.name)


class PolicyHolder:
    """The policy in force, and how to read it again."""

    __slots__ = ("base", "error", "path", "policy")

    def __init__(self, policy: Policy | None, path: Path | None = None) -> None:
        self.policy = policy
        self.path = path
        self.error = ""
        """Text of the last refused reload; empty after a good one."""
        self.base = ""
        """Base currency of the ledger, which amounts must be in; empty where nobody said."""

    @classmethod
    def from_file(cls, path: Path) -> PolicyHolder:
        """Load for the first time; PolicyError where the file cannot be used."""
        return cls(load(path), path)

    def reload(self) -> PolicyError | None:
        """Read the file again. A bad file changes nothing and comes back as its error."""
        if self.path is None:
            return PolicyError("this policy was not read from a file; there is nothing to read again")
        try:
            found = load(self.path)
            self._check_base(found)
        except PolicyError as error:
            self.error = str(error)
            return error
        self.policy, self.error = found, ""
        return None

    def ns(self, path: str) -> int:
        """A time span of the policy in force, ns; zero where none is, so that nothing is fresh enough."""
        return 0 if self.policy is None else self.policy.ns(path)

    def hold_to(self, base: str) -> PolicyError | None:
        """From now on only a policy in this base currency is in force; the one in force is dropped where it is in another."""
        self.base = base
        try:
            if self.policy is not None:
                self._check_base(self.policy)
        except PolicyError as error:
            self.policy, self.error = None, str(error)
            return error
        return None

    def _check_base(self, policy: Policy) -> None:
        if self.base and policy.word("currency") != self.base:
            raise PolicyError(
                f"{policy.line_of('currency')}: currency was {policy.word('currency')}; this ledger's base currency is "
                f"{self.base}, for good: put it back, or begin a new ledger"
            )
