"""The gate: every new order, child, amendment and exit passes it last, before its intent is journaled.

It fails closed: what has no limit, no input, or a check that breaks, is denied. It never makes an order smaller and never
rounds. Cancels do not pass here.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from engine.domain.clock import NS_PER_S
from engine.domain.commands import CheckResult, Denial
from engine.domain.events import AnyEvent, Decision, QuoteSeen, Routes
from engine.domain.money import EXACT, Rounding, round_to, text
from engine.domain.order import Side
from engine.risk.controls import ROWS, Measured, Row
from engine.risk.controls_case import MARKED_SHORT, Candidate, Case, Role, Signals, is_short_sale
from engine.risk.controls_history import History
from engine.risk.controls_sizes import ENDLESS, FOREVER_NS, margin
from engine.risk.exposure import RiskView
from engine.risk.fast_gate import FastGate
from engine.risk.kill_switch import KillSwitch
from engine.risk.policy import AUTHORITY, Limit, PolicyHolder

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


Judgement = tuple[str, Measured, Limit | None, tuple[str, str, str] | None]
"""Reason code, measured value, limit, and what a rule said."""

Judge = Callable[[Case], Judgement | None]
ADV_FALLBACK = ("ADV_NONE",)
"""Stamped on a decision where no daily volume is known: `order.max_notional_without_adv` held instead of the share."""
PERCENT_STEP, AMOUNT_STEP, SECOND_STEP = Decimal("0.0001"), Decimal("0.00000001"), Decimal("0.001")
"""To which a value is rounded where people read it; it is judged and journaled exactly."""
_CENT = Decimal("0.01")
_TENTH = Decimal("0.1")
SOURCE_LIMIT = "authority.{source}.max_notional"


class RiskManager:
    """The gate over one view, one policy and one kill switch."""

    def __init__(self, view: RiskView, policy: PolicyHolder, kill: KillSwitch) -> None:
        self.view = view
        self.policy = policy
        self.kill = kill
        self.signals = Signals()
        self.history = History(self._repeat_window_ns)
        self.fast = FastGate(self)
        self.failures = 0
        """Checks that broke instead of judging; each denied its order."""
        both = {kind: self._follow for kind in kill.routes if kind in self.history.routes}
        self.routes: Routes = {**self.history.routes, **kill.routes, **both}

    def _repeat_window_ns(self) -> int:
        policy = self.policy.policy
        return 60 * NS_PER_S if policy is None else policy.ns("repeat.window_s")

    def _follow(self, seq: int, ts_ns: int, event: AnyEvent) -> None:
        self.history.apply(seq, ts_ns, event)
        self.kill.apply(seq, ts_ns, event)

    def on_event(self, seq: int, ts_ns: int, event: AnyEvent) -> None:
        """Follow the journal, live and on rebuild alike: what was sent and decided, and the states of the kill switch."""
        handler = self.routes.get(event.__class__)
        if handler is not None:
            handler(seq, ts_ns, event)

    def check(self, candidate: Candidate, now_ns: int, *, full: bool, dry: bool = False) -> Verdict:
        """Judge an order at ``now_ns``.

        ``full`` runs every control and lists it (for a person, or a preview); otherwise the first denial ends it.
        ``dry`` is a question only: nothing is counted, also where a check breaks.
        """
        if not (full or dry):
            decision = self.fast.decide(candidate, now_ns)
            if decision is not None:
                return Verdict(ok=True, decision=decision)
        return self.judge(candidate, now_ns, full=full, dry=dry)

    def judge(
        self,
        candidate: Candidate,
        now_ns: int,
        *,
        full: bool,
        dry: bool = False,
        ahead: tuple[RiskView, History] | None = None,
    ) -> Verdict:
        """The same by the table alone, row by row. ``ahead``: a view and a memory in which other orders count as sent."""
        view, history = (self.view, self.history) if ahead is None else ahead
        case = Case(candidate, now_ns, view, self.policy.policy, self.kill, history, self.signals)
        denials: list[Denial] = []
        checks: list[CheckResult] = []
        confirmed: list[str] = []
        for row, judge in _JUDGES:
            try:
                found = judge(case)
            except Exception as error:  # loop edge: a check that breaks denies its order, and is counted and named
                self.failures += not dry
                found = ("CHECK_FAILED", None, None, ("not judged", "a judgement", f"{type(error).__name__}: {error}"))
            if full:
                checks.append(_check(row, case, found))
            if found is None:
                continue
            code, value, limit, said = found
            denial = _deny(row, case, code, value, limit, said)
            if denial.confirmable and code in candidate.confirmed:
                confirmed.append(code)
                continue
            denials.append(denial)
            if not full or row.is_final:
                break
        figures, quote, fallbacks = self._shown(
            case, full=full and not any(item.control in {"C36", "C02"} for item in denials), dry=dry
        )
        return Verdict(
            ok=not denials,
            denials=tuple(denials),
            checks=tuple(checks),
            figures=figures,
            decision=_decision(case, confirmed, quote, fallbacks),
        )

    def _shown(self, case: Case, *, full: bool, dry: bool) -> tuple[dict[str, str], QuoteSeen | None, tuple[str, ...]]:
        try:
            quote = None if case.quote is None else case.quote.seen()
            return _figures(case) if full else {}, quote, ADV_FALLBACK if case.adv is None else ()
        except Exception:  # loop edge: a view that breaks has denied the order already; only its figures are lost
            self.failures += not dry
            return {}, None, ()


def _judge_of(row: Row) -> Judge:
    """What decides a row, made once, with nothing in it that the row does not need. None = the order passes."""
    return _rule_judge(row) if row.rule is not None else _limit_judge(row)


def _rule_judge(row: Row) -> Judge:
    rule, code, spares = row.rule, row.code, row.spares
    assert rule is not None

    def judge(case: Case) -> Judgement | None:
        if spares and spares & case.spares:
            return None
        said = rule(case)
        return None if said is None else (code, None, None, said)

    return judge


def _limit_judge(row: Row) -> Judge:
    measure, code, unknown, spares, path = row.measure, row.code, row.unknown, row.spares, row.path
    is_time, is_floor, is_plain = row.is_time, row.is_floor, row.bound is None and row.path != SOURCE_LIMIT
    assert measure is not None

    def judge(case: Case) -> Judgement | None:
        if spares and spares & case.spares:
            return None
        limit = case.limits.get(path) if is_plain else _limit(row, case)
        if limit is None:
            return "LIMIT_MISSING" if row.bound is None else unknown, None, None, None
        value = measure(case)
        if value is None or (value.__class__ is not int and not value.is_finite()):  # type: ignore[union-attr]
            return unknown, None, limit, None
        most = limit.ns if is_time else limit.value
        if value >= most if is_floor else value <= most:
            return None
        return code, value, limit, None

    return judge


def _limit(row: Row, case: Case) -> Limit | None:
    if row.bound is not None:
        return row.bound(case)
    return case.limits.get(row.path if row.path != SOURCE_LIMIT else AUTHORITY.get(case.candidate.source.kind, ""))


_JUDGES: tuple[tuple[Row, Judge], ...] = tuple((row, _judge_of(row)) for row in ROWS)


def _shown(row: Row, value: Measured, limit: Limit | None = None) -> str:
    """A measured value for people: rounded, but never onto or across the limit that it is judged by."""
    if value is None:
        return "unknown"
    if row.is_time:
        if value == FOREVER_NS:
            return "never"
        exact, step, unit = EXACT.scaleb(Decimal(value), -9), SECOND_STEP, " s"
    else:
        exact, unit = Decimal(value), ""
        step = PERCENT_STEP if row.path.endswith("_pct") else AMOUNT_STEP
    if abs(exact) >= ENDLESS:
        return text(exact)  # beyond what can be rounded to a step, and no figure of any market
    short = round_to(exact, step, Rounding.HALF_EVEN)
    hides_amount = not row.is_time and not short and bool(exact)
    hides_side = limit is not None and short.compare(limit.value) != exact.compare(limit.value)
    return f"{text(exact if hides_amount or hides_side else short)}{unit}"


def _shown_limit(row: Row, limit: Limit | None) -> str:
    if limit is None:
        return ""
    if limit.value == ENDLESS:
        return "no limit"
    return f"{text(limit.value)} s" if row.is_time else text(limit.value)


def _check(row: Row, case: Case, found: Judgement | None) -> CheckResult:
    """A row of a preview."""
    if found is not None:
        code, value, limit, said = found
        shown = (said[0], said[1]) if said is not None else (_shown(row, value, limit), _shown_limit(row, limit))
        share, line = _share(row, value, limit), _line(row, case, limit)
        return CheckResult(row.control, code, ok=False, value=shown[0], limit=shown[1], share=share, policy_line=line)
    if row.measure is None or (row.spares and row.spares & case.spares):
        return CheckResult(row.control, row.code, ok=True, value="", limit="")
    limit = _limit(row, case)
    value = row.measure(case)
    return CheckResult(
        row.control,
        row.code,
        True,
        _shown(row, value, limit),
        _shown_limit(row, limit),
        _share(row, value, limit),
        _line(row, case, limit),
    )


def _share(row: Row, value: Measured, limit: Limit | None) -> str:
    """How much of a limit an order takes, in percent, rounded up: what is shown as below 100 is below it."""
    if value is None or limit is None or row.is_floor or row.is_time:
        return ""
    exact, most = Decimal(value), limit.value
    if not exact.is_finite() or exact < 0 or most <= 0 or most == ENDLESS or exact >= ENDLESS:
        return ""
    return text(ratio_up(exact, most))


def ratio_up(part: Decimal, whole: Decimal) -> Decimal:
    """Percent to a tenth, rounded up."""
    return round_to(EXACT.divide(EXACT.scaleb(part, 2), whole), _TENTH, Rounding.CEILING)


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
        words = row.words(case) if row.words is not None else ""
        sentence = f"{row.input} is not known{f' ({words})' if words else ''}, and what cannot be judged is denied"
    else:
        word = "below the least" if row.is_floor else "above the most"
        sentence = f"{row.input} {_shown(row, value, limit)} is {word} allowed, {_shown_limit(row, limit)}{where}"
    return Denial(
        code=code,
        control=row.control,
        value=said[0] if said is not None else _shown(row, value, limit),
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


def _decision(case: Case, confirmed: list[str], quote: QuoteSeen | None, fallbacks: tuple[str, ...]) -> Decision:
    words = [case.candidate.why] if case.candidate.why else []
    if confirmed:
        words.append(f"confirmed: {', '.join(confirmed)}")
    if _is_short(case):
        words.append(MARKED_SHORT)
    return Decision(
        policy_hash=case.policy.hash if case.policy else "", quote=quote, why="; ".join(words), fallbacks=fallbacks
    )


def _is_short(case: Case) -> bool:
    """Whether it is marked as a short sale; what cannot be judged was denied by then."""
    try:
        return is_short_sale(case)
    except Exception:  # loop edge: a view that breaks has denied the order already; only its mark is lost
        return False


def _figures(case: Case) -> dict[str, str]:
    """What a preview shows; a figure that cannot be known is left out."""
    spec, found = case.spec, {}
    if case.notional is not None and case.policy is not None:
        found["notional"] = text(case.notional)
        found["currency"] = case.policy.word("currency")
    sign = 1 if spec.side is Side.BUY else -1
    found["position"] = text(case.position)
    found["position_after"] = text(case.position + (spec.qty - case.candidate.qty_filled) * sign)
    found["position_worst"] = text(case.worst * sign)
    used_pct = margin(case)
    if used_pct is not None and case.book is not None and case.policy is not None:
        share = round_to(used_pct, _TENTH, Rounding.CEILING)
        needed = round_to(case.book.margin, _CENT, Rounding.CEILING)
        found["margin"] = (
            f"{text(share)}% of equity ({text(needed)} {case.policy.word('currency')}, all open orders filled)"
        )
    if case.quote is not None:
        for name, price in (("bid", case.quote.bid), ("ask", case.quote.ask), ("last", case.quote.last)):
            if price is not None and price.is_finite():
                found[name] = text(price)
        found["quote_age_ms"] = str((case.now_ns - case.quote.ts_ns) // 1_000_000)
    if spec.side is Side.SELL and case.instrument is not None:
        found["sale"] = "short" if is_short_sale(case) else "long"
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
