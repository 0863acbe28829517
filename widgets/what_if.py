"""What an order would do, in a few lines: for below the order line while it is typed, and for its preview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from textual.content import Content

from engine.domain.commands import CheckResult, CommandResult, Denial
from engine.domain.order import OrderSpec
from widgets.formats import cents, figure, fixed, grouped, is_figure, pack, plain, quantity, signed_quantity, wrap

BAD, QUIET = "bold $caution", "$quiet"
SHARES_SHOWN = 3
USUAL_TIMES = Decimal(5)
"""A size so many times the person's usual one is said loudly."""
Line = tuple[str, str]
"""Words and their style."""


def size_words(spec: OrderSpec) -> str:
    """Side, quantity and symbol, for an answer in one line."""
    return f"{spec.side} {quantity(spec.qty)} {spec.symbol}"


def amount_words(figures: Mapping[str, str]) -> list[str]:
    """Quantity with its unit, amount with its currency, and what becomes of the position."""
    found = [grouped(plain(figures["units"]))] if "units" in figures else []
    if "notional" in figures:
        found.append(f"{fixed(Decimal(figures['notional']), 2)} {figures.get('currency', '')}".rstrip())
    if "position_after" in figures:
        before, after = (signed_quantity(Decimal(figures.get(name, "0"))) for name in ("position", "position_after"))
        worst = figures.get("position_worst")
        at_worst = (
            f" (at worst {signed_quantity(Decimal(worst))})" if worst not in {None, figures["position_after"]} else ""
        )
        found.append(f"position {before} to {after}{at_worst}")
    if "legs" in figures:
        found.append(f"positions {grouped(plain(figures['legs']))}")
    return found


def cost_words(figures: Mapping[str, str]) -> list[str]:
    """Cost against the visible book, fee, place of the price, margin."""
    found = []
    if "cost_bp" in figures:
        met = f"{quantity(Decimal(figures['book_qty']))} at {figures['book_avg']}"
        levels = figures.get("book_levels", "1")
        over = f" over {levels} levels" if levels != "1" else ""
        found.append(f"cost {figures['cost_bp']} bp, {cents(plain(figures['cost']))}: {met}{over}")
    elif "cost" in figures:
        found.append(f"cost {cents(plain(figures['cost']))}")
    if "book_rest" in figures:
        found.append(grouped(plain(figures["book_rest"])))
    if "fee" in figures:
        found.append(f"fee {cents(plain(figures['fee']))}")
    if "ticks_from_mid" in figures:
        ticks = Decimal(figures["ticks_from_mid"])
        where = "through the mid" if ticks > 0 else "from the mid"
        found.append(f"{abs(ticks)} {'tick' if abs(ticks) == 1 else 'ticks'} {where}" if ticks else "at the mid")
    if "margin" in figures:
        found.append(f"margin {cents(plain(figures['margin']))}")
    return found


def habit_words(figures: Mapping[str, str]) -> str:
    """The size beside the person's usual one."""
    if "median_times" in figures:
        return f"{figures['median_times']}x your usual {quantity(Decimal(figures['median']))}"
    return f"your usual size {plain(figures['median'])}" if "median" in figures else ""


def is_unusual(figures: Mapping[str, str]) -> bool:
    """Whether the size is far above what this person usually orders."""
    return Decimal(figures.get("median_times", "0")) >= USUAL_TIMES


def cross_words(figures: Mapping[str, str]) -> str:
    """Own orders that it could trade with."""
    return f"own orders it meets: {plain(figures['self_cross'])}" if "self_cross" in figures else ""


def leg_words(figures: Mapping[str, str]) -> str:
    """What of a combination can stand bare; empty where nothing can."""
    risk = figures.get("leg_risk", "")
    return f"leg risk: {grouped(plain(risk))}" if risk and not risk.startswith("none") else ""


def shares(checks: Sequence[CheckResult], count: int) -> list[str]:
    """The limits that are used most, the fullest first: ``POSITION_MAX 8.4%``."""
    used = sorted((check for check in checks if check.share), key=lambda check: Decimal(check.share), reverse=True)
    return [f"{check.code} {check.share}%" for check in used[:count] if Decimal(check.share)]


def checks_words(result: CommandResult) -> str:
    """How many rules pass."""
    # What is no check of the gate can refuse as well: who asked for an order does not approve it.
    denied = {denial.code for denial in result.denials}
    others = denied - {check.code for check in result.checks}
    passed = sum(1 for check in result.checks if check.ok and check.code not in denied)
    return f"{passed} of {len(result.checks) + len(others)} checks pass"


def denial_words(denial: Denial) -> str:
    """A refusal in one line: code, value, limit, and where the limit stands."""
    against = f" of {figure(denial.limit)}" if is_figure(denial.limit) else ""
    where = f" ({plain(denial.policy_line)})" if denial.policy_line else ""
    word = "CONFIRM" if denial.confirmable else "DENIED"
    return f"{word} {denial.code} {figure(denial.value)}{against}{where}"


def unjudged_words(result: CommandResult) -> str:
    """An answer without checks: what the state of an order refuses, or why nothing could be judged."""
    word = "REFUSED" if result.code == "ILLEGAL" else "NOT JUDGED"
    return f"{word} {plain(result.code)} {plain(result.text)}"


def live_lines(echo: str, result: CommandResult, width: int, rows: int) -> list[Line]:
    """The answer below a line that is being typed: refusals first, what matters most before the rest, in at most ``rows``."""
    figures = result.preview
    words = grouped(plain(echo))
    head, _, rest = words.partition(" ")
    lines: list[Line] = [(f"{head.upper()} {rest}", "bold")]
    if result.denials:
        more = f"   and {len(result.denials) - 1} more" if len(result.denials) > 1 else ""
        lines += [(line, BAD) for line in wrap(f"{denial_words(result.denials[0])}{more}", width, "  ")]
    elif not result.ok:
        lines += [(line, BAD) for line in wrap(unjudged_words(result), width, "  ")]
    if is_unusual(figures):
        lines.append((habit_words(figures), BAD))
    if figures.get("self_cross", "none") != "none":
        lines.append((cross_words(figures), BAD))
    lines += [(line, BAD) for line in wrap(leg_words(figures), width, "  ")]
    lines += [(line, "") for line in pack(_short_words(result), width)]
    return lines[:rows]


def _short_words(result: CommandResult) -> list[str]:
    """Figures for below the line, what matters most first: as much as fits is shown."""
    figures = result.preview
    found = []
    if "notional" in figures:
        found.append(f"{fixed(Decimal(figures['notional']), 2)} {figures.get('currency', '')}".rstrip())
    if "position_after" in figures:
        before, after = (signed_quantity(Decimal(figures.get(name, "0"))) for name in ("position", "position_after"))
        found.append(f"pos {before} to {after}")
    if "legs" in figures:
        found.append(f"pos {grouped(plain(figures['legs']))}")
    if "cost" in figures:
        found.append(f"cost {figures['cost_bp']} bp" if "cost_bp" in figures else f"cost {plain(figures['cost'])}")
    if result.checks:
        passed = sum(1 for check in result.checks if check.ok)
        found.append(f"{passed}/{len(result.checks)} checks ok")
    found += [f"limit {words}" for words in shares(result.checks, 1)]
    if "fee" in figures:
        found.append(f"fee {cents(plain(figures['fee'])).partition(' (')[0]}")
    if "book_rest" in figures:
        found.append(grouped(plain(figures["book_rest"])))
    if "margin" in figures:
        found.append(f"margin {plain(figures['margin']).partition(' (')[0]}")
    if "median_times" in figures and not is_unusual(figures):
        found.append(habit_words(figures))
    return found + shares(result.checks, SHARES_SHOWN)[1:]


def content_of(lines: Sequence[Line]) -> Content:
    """The lines as one content."""
    last = len(lines) - 1
    return Content.assemble(
        *((words if at == last else f"{words}\n", style) for at, (words, style) in enumerate(lines))
    )


def preview_lines(result: CommandResult, width: int, rows: int) -> list[Line]:
    """Every figure, the fullest limits, and each refusal with its code, value, limit and policy line.

    Where they are more than ``rows`` lines, the last one says how many refusals are not shown and which key lists them.
    """
    figures = result.preview
    lines: list[Line] = [(line, "") for line in pack(amount_words(figures), width)]
    lines += [(line, "") for line in pack(cost_words(figures), width)]
    habit = [
        (cross_words(figures), figures.get("self_cross", "none") != "none"),
        (habit_words(figures), is_unusual(figures)),
    ]
    lines += [(words, BAD) for words, is_loud in habit if words and is_loud]
    lines += [(line, BAD) for line in wrap(leg_words(figures), width, "  ")]
    lines += [(line, "") for line in pack([words for words, is_loud in habit if words and not is_loud], width)]
    used = shares(result.checks, SHARES_SHOWN)
    if used:
        lines += [(line, "") for line in pack([f"limits used: {used[0]}", *used[1:]], width)]
    if result.checks:
        lines.append((f"{checks_words(result)}   c lists them", QUIET))
    lines += [(line, BAD) for line in refusal_lines(result.denials, width, rows - len(lines))]
    if not result.ok and not result.denials:
        lines += [(line, BAD) for line in wrap(unjudged_words(result), width, "  ")]
    return lines


def check_words(check: CheckResult) -> str:
    """One control's verdict: its code, its value beside the limit, the share of it, and where the limit stands."""
    figures = f"{figure(check.value)} of {figure(check.limit)}" if check.limit else figure(check.value)
    share = f"  {check.share}%" if check.share else ""
    where = f"  {plain(check.policy_line)}" if check.policy_line and check.limit else ""
    return f"{'ok     ' if check.ok else 'REFUSED'} {check.control} {check.code:<18} {figures}{share}{where}".rstrip()


def refusal_lines(denials: Sequence[Denial], width: int, rows: int) -> list[str]:
    """Refusals in full, at least the first one; how many more there are where they do not fit into so many lines."""
    found: list[str] = []
    for at, denial in enumerate(denials):
        lines = denial_lines(denial, width)
        is_last = at == len(denials) - 1
        if found and len(found) + len(lines) + (0 if is_last else 1) > rows:
            return [*found, f"and {len(denials) - at} more: c lists them"]
        found += lines
    return found


def denial_lines(denial: Denial, width: int) -> list[str]:
    """One refusal: its code and its sentence, with value, limit and line of the policy as far as these are figures that the sentence lacks."""
    said = grouped(plain(denial.text))
    figures = (("is", figure(denial.value)), ("limit", figure(denial.limit)))
    against = "".join(f"; {name} {words}" for name, words in figures if is_figure(words) and words not in said)
    where = f" ({plain(denial.policy_line)})" if denial.policy_line and denial.policy_line not in said else ""
    word = "CONFIRM" if denial.confirmable else "DENIED"
    return wrap(f"{word} {denial.code}: {said}{against}{where}", width, "  ")
