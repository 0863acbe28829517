"""The gate: every new order, child, amendment and exit passes it last, before its intent is journaled.

It fails closed: what has no limit, no input, or a check that breaks, is denied. It never makes an order smaller and never
rounds. Cancels do not pass here.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.domain.commands import CheckResult, Denial
from engine.domain.events import AnyEvent, Decision, QuoteSeen
from engine.domain.money import EXACT, text
from engine.domain.order import Side
from engine.risk.controls import ROWS, Measured, Row
from engine.risk.controls_case import Candidate, Case, Role, Signals
from engine.risk.controls_history import History
from engine.risk.controls_sizes import FOREVER_NS
from engine.risk.exposure import RiskView
from engine.risk.kill_switch import KillSwitch
from engine.risk.policy import Limit, PolicyHolder

__all__ = ["Candidate", "RiskManager", "Role", "Verdict"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says, and on what it looked."""

    ok: bool
    denials: tuple[Denial, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    """Every control with its figures, where ``full`` was asked."""
    figures: dict[str, str] = {}
    """For a preview, where ``full`` was asked: amount, resulting position, quote and its age..."""
    decision: Decision


class RiskManager:
    """The gate over one view, one policy and one kill switch."""

    def __init__(self, view: RiskView, policy: PolicyHolder, kill: KillSwitch) -> None:
        self.view = view
        self.policy = policy
        self.kill = kill
        self.signals = Signals()
        self.history = History()
        self.failures = 0
        """Checks that broke instead of judging; each denied its order."""

    def on_event(self, seq: int, ts_ns: int, event: AnyEvent) -> None:
        """Follow the journal, live and on rebuild alike: what was sent and decided, and the states of the kill switch."""
        policy = self.policy.policy
        if policy is not None:
            self.history.repeat_window_ns = policy.ns("repeat.window_s")
        self.history.apply(ts_ns, event)
        self.kill.apply(seq, ts_ns, event)

    def check(self, candidate: Candidate, now_ns: int, *, full: bool) -> Verdict:
        """Judge an order at ``now_ns``.

        ``full`` runs every control and lists it (for a person, or a preview); otherwise the first denial ends it.
        """
        case = Case(candidate, now_ns, self.view, self.policy.policy, self.kill, self.history, self.signals)
        denials: list[Denial] = []
        checks: list[CheckResult] = []
        confirmed: list[str] = []
        for row in ROWS:
            code, value, limit, said = self._judge(row, case)
            if full:
                checks.append(_check(row, code, value, limit, said))
            if not code:
                continue
            denial = _deny(row, case, code, value, limit, said)
            if denial.confirmable and code in candidate.confirmed:
                confirmed.append(code)
                continue
            denials.append(denial)
            if not full or row.is_final:
                break
        figures, quote = self._shown(case, full=full and not any(item.control in {"C36", "C02"} for item in denials))
        return Verdict(
            ok=not denials,
            denials=tuple(denials),
            checks=tuple(checks),
            figures=figures,
            decision=_decision(case, confirmed, quote),
        )

    def _shown(self, case: Case, *, full: bool) -> tuple[dict[str, str], QuoteSeen | None]:
        try:
            return _figures(case) if full else {}, None if case.quote is None else case.quote.seen()
        except (
            Exception
        ):  # loop edge: a view that breaks has denied the order already; its figures are left out and counted
            self.failures += 1
            return {}, None

    def _judge(self, row: Row, case: Case) -> tuple[str, Measured, Limit | None, tuple[str, str, str] | None]:
        """Reason code (empty = passes), measured value, limit, and what a rule said."""
        try:
            if row.spares and row.spares & case.spares:
                return "", None, None, None
            if row.rule is not None:
                said = row.rule(case)
                return ("" if said is None else row.code), None, None, said
            assert row.measure is not None
            limit = _limit(row, case)
            if limit is None:
                return "LIMIT_MISSING" if row.bound is None else row.unknown, None, None, None
            value = row.measure(case)
            if value is None or (value.__class__ is not int and not Decimal.is_finite(value)):  # type: ignore[arg-type]
                return row.unknown, None, limit, None
            most = limit.ns if row.is_time else limit.value
            is_within = value >= most if row.is_floor else value <= most
        except (
            Exception
        ) as error:  # loop edge: a check that breaks denies its order; it is counted and named in the denial
            self.failures += 1
            return "CHECK_FAILED", None, None, ("not judged", "a judgement", f"{type(error).__name__}: {error}")
        return ("" if is_within else row.code), value, limit, None


def _limit(row: Row, case: Case) -> Limit | None:
    if row.bound is not None:
        return row.bound(case)
    if "{" in row.path:
        return _authority(row, case)
    return case.limits.get(row.path)


def _authority(row: Row, case: Case) -> Limit | None:
    path, policy = row.path.replace("{source}", case.candidate.source.kind), case.policy
    value = None if policy is None else policy.values.get(path)
    return Limit(value, policy.line_of(path)) if policy is not None and isinstance(value, Decimal) else None


def _shown(row: Row, value: Measured) -> str:
    if value is None:
        return "unknown"
    if row.is_time:
        return "never" if value == FOREVER_NS else f"{text(EXACT.scaleb(Decimal(value), -9))} s"
    return text(Decimal(value))


def _shown_limit(row: Row, limit: Limit | None) -> str:
    if limit is None:
        return ""
    return f"{text(limit.value)} s" if row.is_time else text(limit.value)


def _check(row: Row, code: str, value: Measured, limit: Limit | None, said: tuple[str, str, str] | None) -> CheckResult:
    if said is not None:
        return CheckResult(row.control, code or row.code, not code, said[0], said[1])
    shown = "" if row.measure is None or (limit is None and not code) else _shown(row, value)
    return CheckResult(row.control, code or row.code, not code, shown, _shown_limit(row, limit))


def _deny(
    row: Row, case: Case, code: str, value: Measured, limit: Limit | None, said: tuple[str, str, str] | None
) -> Denial:
    line = _line(row, case, limit)
    where = f" ({line})" if line else ""
    if code == "CHECK_FAILED" and said is not None:
        sentence = f"{row.input}: the check broke and therefore denies ({said[2]})"
    elif said is not None:
        sentence = f"{said[2]}{where}"
    elif code == "LIMIT_MISSING":
        sentence = f"there is no limit {row.path} in the policy; without it {row.input} cannot be judged"
    elif value is None:
        sentence = f"{row.input} is not known, and what cannot be judged is denied"
    else:
        word = "below the least" if row.is_floor else "above the most"
        sentence = f"{row.input} {_shown(row, value)} is {word} allowed, {_shown_limit(row, limit)}{where}"
    return Denial(
        code=code,
        control=row.control,
        value=said[0] if said is not None else _shown(row, value),
        limit=said[1] if said is not None else _shown_limit(row, limit),
        policy_line=line,
        text=sentence,
        confirmable=row.is_confirmable and code == row.code and case.candidate.source.kind.is_person,
    )


def _line(row: Row, case: Case, limit: Limit | None) -> str:
    if limit is not None or not row.path:
        return "" if limit is None else limit.line
    path = row.path.replace("{source}", case.candidate.source.kind)
    return case.policy.line_of(path) if case.policy is not None else ""


def _decision(case: Case, confirmed: list[str], quote: QuoteSeen | None) -> Decision:
    words = [case.candidate.why] if case.candidate.why else []
    if confirmed:
        words.append(f"confirmed: {', '.join(confirmed)}")
    return Decision(policy_hash=case.policy.hash if case.policy else "", quote=quote, why="; ".join(words))


def _figures(case: Case) -> dict[str, str]:
    """What a preview shows; a figure that cannot be known is left out."""
    spec, found = case.spec, {}
    if case.notional is not None and case.policy is not None:
        found["notional"] = text(case.notional)
        found["currency"] = case.policy.word("currency")
    sign = 1 if spec.side is Side.BUY else -1
    found["position"] = text(case.position)
    found["position_after"] = text(case.position + spec.qty * sign)
    found["position_worst"] = text(case.worst * sign)
    if case.quote is not None:
        for name, price in (("bid", case.quote.bid), ("ask", case.quote.ask), ("last", case.quote.last)):
            if price is not None and price.is_finite():
                found[name] = text(price)
        found["quote_age_ms"] = str((case.now_ns - case.quote.ts_ns) // 1_000_000)
    if case.ref is not None:
        found["mid"] = text(case.ref)
    if case.instrument is not None:
        # Quantity and amount are told apart by their words wherever both stand (C29).
        found["units"] = f"{text(spec.qty)} {_unit(case)} of {spec.symbol}"
    return found


def _unit(case: Case) -> str:
    assert case.instrument is not None
    words = {"future": "contracts", "perpetual": "contracts", "crypto_spot": "coins"}
    return words.get(str(case.instrument.kind), "shares")
