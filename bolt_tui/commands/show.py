"""Views and answers as JSON fields and as lines for people."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from engine.domain.clock import NS_PER_S, hms, iso
from engine.domain.commands import CommandResult, Denial
from engine.domain.money import padded
from engine.domain.order import STATES, SourceKind
from engine.views import BrokerView, FeedView, FillView, HoursView, OrderView, PositionView, StatusView


def fields(struct: msgspec.Struct) -> dict[str, Any]:
    """The fields of a struct, for a JSON object."""
    return msgspec.structs.asdict(struct)


def result_fields(result: CommandResult) -> dict[str, Any]:
    """An engine's answer as JSON fields."""
    return fields(result)


def result_lines(result: CommandResult) -> list[str]:
    """An engine's answer for a person."""
    words = ["done" if result.ok else "refused"]
    if result.order_id:
        words = [result.order_id, STATES[result.state].screen if result.state else ""]
    if result.code == "REPEATED" or (result.repeated and not result.code):
        words.append("asked before, nothing new was sent:")
    elif result.code:
        words.append(result.code)
    said = result.text
    if result.order_id and said.startswith((f"{result.order_id} buy ", f"{result.order_id} sell ")):
        said = said.removeprefix(f"{result.order_id} ")
    if result.denials and said == result.denials[0].text:
        said = ""  # it stands below, with its control
    lines = [" ".join(word for word in (*words, said) if word)]
    lines += [denial_line(denial) for denial in result.denials]
    lines += [f"  {name}: {value}" for name, value in sorted(result.preview.items())]
    lines += [
        f"  {check.control} {check.code}: {'ok' if check.ok else 'DENIED'} (value {check.value or '-'}, limit {check.limit or '-'})"
        for check in result.checks
    ]
    return lines


def denial_line(denial: Denial) -> str:
    """One reason of the gate."""
    line = denial.policy_line
    place = f" [{line}]" if line and line not in denial.text else ""
    more = f"; confirm with --confirm {denial.code}" if denial.confirmable else ""
    return f"  {denial.control} {denial.code}: {denial.text}{place}{more}"


def number(value: Decimal | None) -> str:
    """A figure, or a dash where there is none."""
    return "-" if value is None else str(value)


ORDER_HEADERS = (
    "ID",
    "STATE",
    "SIDE",
    "QTY",
    "FILLED",
    "SYMBOL",
    "TYPE",
    "LIMIT",
    "STOP",
    "AVG",
    "TIF",
    "ALGO",
    "SOURCE",
    "NOTE",
)
ORDER_RIGHT = ("QTY", "FILLED", "LIMIT", "STOP", "AVG")


def price(value: Decimal | None, digits: int) -> str:
    """A price with the decimals of its tick and all of its own, as the desk writes it; a dash where there is none."""
    return "-" if value is None else padded(value, digits)


def order_row(row: OrderView, digits: int) -> tuple[str, ...]:
    """One order; a child is indented under its parent's. ``digits``: decimals that its prices have at least."""
    return (
        f"  {row.order_id}" if row.parent_id else row.order_id,
        row.word + (" STALE" if row.stale else ""),
        row.side.letter,
        str(row.qty),
        str(row.qty_filled),
        row.symbol,
        " ".join(word for word in (row.type, row.terms(digits), row.flags) if word),
        price(row.limit, digits),
        price(row.stop, digits),
        price(row.avg_price, digits),
        row.tif,
        f"{row.algo} {row.progress_pct}%" if row.algo not in {"", "direct"} else row.algo,
        row.source,
        row.note,
    )


FILL_HEADERS = ("TIME", "ORDER", "SIDE", "QTY", "SYMBOL", "PRICE", "VENUE", "LIQUIDITY", "FEE", "NOTE")
FILL_RIGHT = ("QTY", "PRICE", "FEE")


def fill_row(row: FillView, digits: int) -> tuple[str, ...]:
    """One execution. ``digits``: decimals that its price has at least."""
    is_exit = row.source == SourceKind.HALT
    marks = [
        word
        for word, on in (
            ("flatten", is_exit),
            ("late", row.late),
            ("busted", row.busted),
            ("overfill", bool(row.overfill)),
        )
        if on
    ]
    return (
        hms(row.ts_ns),
        row.order_id or row.source,
        row.side.letter,
        str(row.qty),
        row.symbol,
        price(row.price, digits),
        row.venue,
        row.liquidity,
        f"{row.fee} {row.fee_currency}".strip(),
        "; ".join(part for part in (" ".join(marks), row.note) if part),
    )


POSITION_HEADERS = (
    "BROKER",
    "ACCOUNT",
    "SYMBOL",
    "QTY",
    "AVG",
    "MARK",
    "UNREALISED",
    "REALISED",
    "FEES",
    "CCY",
    "LIMIT%",
)
POSITION_RIGHT = ("QTY", "AVG", "MARK", "UNREALISED", "REALISED", "FEES", "LIMIT%")


def position_row(row: PositionView, digits: int) -> tuple[str, ...]:
    """One position. ``digits``: decimals that its prices have at least."""
    return (
        row.broker,
        row.account,
        row.symbol,
        str(row.qty) if row.bare is None else f"{row.qty} ({row.bare} bare)",
        price(row.avg_price, digits),
        f"{price(row.mark, digits)} STALE" if row.mark_stale else price(row.mark, digits),
        number(row.unrealised),
        str(row.realised),
        str(row.fees),
        row.currency,
        "-" if row.limit_pct is None else str(row.limit_pct),
    )


def status_lines(status: StatusView) -> list[str]:
    """The engine's state for a person."""
    halt = status.halt
    engine = f"engine process {status.pid}" if status.pid else "no engine process"
    lines = [
        f"{status.mode} account {status.account}, ledger {status.ledger_id}, {engine}",
        f"trading {_scope_words(status)}{halt.state.upper()}{_halt_words(status)}",
        f"journal at {status.head_seq}, on disk to {status.durable_seq}",
        f"orders: {status.orders_working} working, {status.orders_unknown} unknown, {status.parents_open} parents open",
        f"P&L today: {number(status.pnl_day)} {status.currency}{_rate_words(status)}".rstrip(),
        f"policy {status.policy_hash[:12]}{f'; not loaded: {status.policy_error}' if status.policy_error else ''}",
    ]
    if status.ledger_error:
        lines.insert(1, f"LEDGER FAILED: {status.ledger_error}")
        lines.insert(2, "nothing is sent or booked, and what is shown stands still; `bolt stop`, mend it, start again")
    if halt.note:
        lines.append(f"halt: {halt.note}")
    lines += [f"block: {block}" for block in halt.blocks]
    lines += [f"scope {scope.rstrip(':')}: {state}" for scope, state in halt.scopes]
    for broker in status.brokers:
        known = "never reconciled" if broker.reconciled_s is None else f"reconciled {broker.reconciled_s:.0f} s ago"
        lines.append(
            f"broker {broker.broker} {broker.account}: {broker.state}, {known}{_reset_words(broker)}{_channel_words(broker)}"
        )
    lines += [_feed_line(feed, status.ts_ns) for feed in status.feeds]
    lines += [_hours_line(hours) for hours in status.hours]
    lines += [f"strategy {source.name}: {source.state} {source.why}".rstrip() for source in status.sources]
    if status.illegal_inputs or status.overfills:
        lines.append(f"odd: {status.illegal_inputs} illegal inputs, {status.overfills} overfills")
    return lines


def _reset_words(broker: BrokerView) -> str:
    if not broker.reset_ns:
        return ""
    return f", nightly reset {iso(broker.reset_ns)[:16]}Z to {iso(broker.reset_until_ns)[11:16]}Z"


def _channel_words(broker: BrokerView) -> str:
    """Answers and rejects of the last orders, and reconnects since the start, as far as there are any."""
    parts = []
    if broker.latency_ms is not None:
        parts.append(f"acknowledges in {broker.latency_ms} ms, p99 {broker.latency_ms_p99}")
    if broker.sent:
        parts.append(f"rejected {broker.rejected} of the last {broker.sent}")
    if broker.reconnects:
        parts.append(f"reconnected {broker.reconnects} times")
    return "".join(f", {part}" for part in parts)


def _feed_line(feed: FeedView, now_ns: int) -> str:
    stale = ", STALE" if feed.stale else ""
    return f"feed {feed.venue}: {feed.symbols} symbols, last word {max(0, now_ns - feed.heard_ns) / NS_PER_S:.1f} s ago{stale}"


def _hours_line(hours: HoursView) -> str:
    if hours.state == "unknown":
        return f"hours {hours.calendar}: not known: {hours.why}"
    until = f" until {iso(hours.next_ns)[:16]}Z" if hours.next_ns else ""
    return f"hours {hours.calendar}: {hours.state}{until}{', an early close' if hours.is_early else ''}"


def _rate_words(status: StatusView) -> str:
    return f" (currency rates of {iso(status.pnl_rate_ns)[:19]}Z or later)" if status.pnl_rate_ns else ""


def _scope_words(status: StatusView) -> str:
    """What is not active, where that is not everything: ``of symbol AAPL ``."""
    scopes = [scope.replace(":", " ") for scope, _ in status.halt.scopes]
    return "" if not scopes or any(scope.startswith("global") for scope in scopes) else f"of {', '.join(scopes)} "


def _halt_words(status: StatusView) -> str:
    halt = status.halt
    if halt.state == "active":
        return ""
    durable = "" if halt.durable else " (not on disk yet)"
    since = f" since {iso(halt.ts_ns)}" if halt.ts_ns else ""
    # Nothing is cancelled where orders that shrink still pass.
    counts = f"; {halt.counts()}" if halt.state == "halted" else ""
    return f"{durable}{since}{f' by {halt.who}' if halt.who else ''}: {halt.why or halt.code}{counts}"
