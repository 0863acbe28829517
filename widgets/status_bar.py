"""The top line: which market, whether trading is on, each broker's health, and the engine's time."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widget import Widget

from engine.domain.clock import NS_PER_S
from engine.views import BrokerView, DeskView, HoursView, StatusView
from widgets.formats import clock_second, plain

STATE_WORDS = {"active": "TRADING ON", "reducing": "REDUCING", "halted": "HALTED"}
SILENT_S = 3


class StatusBar(Widget):
    """The words PAPER or LIVE, TRADING ON, REDUCING or HALTED always stand at the left; TRADING ? where no engine tells."""

    DEFAULT_CSS = "StatusBar { height: 1; background: $bar; color: $foreground; }"

    def __init__(self) -> None:
        super().__init__(id="status")
        self._content = Content("")

    def draw(self, view: DeskView, trouble: str) -> None:
        """Show the picture's status and what is wrong with the line to the engine."""
        made = status_content(view.status, trouble, self.size.width)
        if made != self._content:
            self._content = made
            self.refresh()

    def render(self) -> Content:
        """The line."""
        return self._content


def status_content(status: StatusView, trouble: str, width: int) -> Content:
    """The line's words, cut at whole parts where the width ends."""
    mode = "bold $mode-text on $paper" if status.mode == "PAPER" else "bold $mode-text on $alarm"
    halted = status.halt.state
    tone = "bold" if halted == "active" else "bold $alarm-text on $alarm" if halted == "halted" else "bold $caution"
    parts: list[tuple[str, str]] = [(f" {status.mode} ", mode)]
    if width >= 100 and status.account not in {"", status.mode}:
        parts.append((f" {plain(status.account)}", ""))
    is_old = bool(trouble) and halted == "active"  # a halt is on disk and stays; that trading is on may have changed
    parts.append((" TRADING ? ", "bold $caution") if is_old else (f" {STATE_WORDS.get(halted, halted.upper())} ", tone))
    tail = f"{clock_second(status.ts_ns)}Z "
    end = width - len(tail) - 1
    middle: list[tuple[str, str]] = []
    if trouble:
        middle.append((f"NO ENGINE: {plain(trouble)}", "bold $alarm-text on $alarm"))
    else:
        middle += [broker_words(broker, is_wide=width >= 100) for broker in status.brokers]
    if status.orders_unknown:
        middle.append((f"{status.orders_unknown} UNKNOWN", "bold $alarm-text on $alarm"))
    middle += [(plain(block), "bold $caution") for block in status.halt.blocks]
    if not trouble:
        middle += hours_words(status.hours, status.ts_ns)
    if width >= 140:
        middle.append((f"journal {status.head_seq:,}", "$quiet"))
    used = sum(len(words) for words, _ in parts)
    for words, style in middle:
        if used + len(words) + 3 > end:
            room = end - used - 3
            if room > 12:
                parts += [(" | ", "$quiet"), (f"{words[: room - 2].rstrip()}..", style)]
                used += 3 + min(room, len(words))
            break
        parts += [(" | ", "$quiet"), (words, style)]
        used += 3 + len(words)
    fill = width - sum(len(words) for words, _ in parts) - len(tail)
    return Content.assemble(*parts, (" " * max(0, fill), ""), (tail, "$quiet"))


def broker_words(broker: BrokerView, *, is_wide: bool) -> tuple[str, str]:
    """One broker's health: ``ibkr up 12ms``, ``zerodha STALE 4s``, ``paper DOWN``."""
    name = plain(broker.broker)
    if broker.stale_s is not None and broker.stale_s >= 1:
        return f"{name} STALE {broker.stale_s:.0f}s", "bold $caution"
    if broker.state != "up":
        return (
            f"{name} {broker.state.upper()}",
            "bold $alarm-text on $alarm" if broker.state == "down" else "bold $caution",
        )
    words = f"{name} up"
    if broker.latency_ms is not None:
        p99 = f"/{broker.latency_ms_p99}" if broker.latency_ms_p99 is not None else ""
        words += f" {broker.latency_ms}{p99}ms"
    if is_wide and broker.reconciled_s is not None:
        words += f" reconciled {broker.reconciled_s:.0f}s ago"
    if broker.queue:
        words += f" queue {broker.queue}"
    return words, ""


def hours_words(hours: Sequence[HoursView], now_ns: int) -> list[tuple[str, str]]:
    """``XNYS open 3h17m``, ``XNYS opens in 14h02m``; a calendar that never closes only where it is the only one."""
    found = []
    for item in hours:
        name = plain(item.calendar)
        if item.state == "unknown":
            found.append((f"{name} hours unknown", "bold $caution"))
        elif not item.next_ns:
            if len(hours) == 1:
                found.append((f"{name} {item.state}", "$quiet"))
        elif item.state == "open":
            early = " EARLY CLOSE" if item.is_early else ""
            found.append((f"{name} open {span(item.next_ns - now_ns)}{early}", "bold $caution" if early else ""))
        else:
            found.append((f"{name} opens in {span(item.next_ns - now_ns)}", "$quiet"))
    return found


def span(left_ns: int) -> str:
    """Time to a change: ``2d03h``, ``3h17m``, ``17m``, ``40s``."""
    seconds = max(0, left_ns) // NS_PER_S
    minutes = seconds // 60
    if seconds < 60:
        return f"{seconds}s"
    if minutes < 60:
        return f"{minutes}m"
    if minutes < 24 * 60:
        return f"{minutes // 60}h{minutes % 60:02}m"
    return f"{minutes // 1440}d{minutes % 1440 // 60:02}h"


def hold_seconds(rearm_after_ns: int, now_ns: int) -> int:
    """Whole seconds until a re-arm is taken."""
    return -(-max(0, rearm_after_ns - now_ns) // NS_PER_S)
