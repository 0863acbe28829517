"""The halt as it grows: who, when, why, how many cancels, and what is left for a person to do."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from engine.domain.clock import hms
from engine.views import HaltView
from widgets.formats import clock_second, plain, wrap
from widgets.status_bar import hold_seconds

RESIDUAL_SHOWN_MAX = 4
LEDGER_FAILED = "LEDGER_UNHEALTHY"


class KillBanner(Widget):
    """Nothing while all is active; the word HALTED or REDUCING and the receipt otherwise."""

    DEFAULT_CSS = """
    KillBanner { height: auto; display: none; background: $alarm; color: $alarm-text; padding: 0 1; text-style: bold; }
    KillBanner.-halted { display: block; }
    KillBanner.-reducing { display: block; background: $caution; color: $background; }
    """

    def __init__(self) -> None:
        super().__init__(id="banner")
        self.lines: tuple[str, ...] = ()

    def draw(self, halt: HaltView, now_ns: int, asked_ns: int) -> None:
        """Show the halt; ``asked_ns`` is when this desk's own key was pressed, 0 where the engine shows it already."""
        lines = tuple(banner_lines(halt, now_ns, asked_ns, self.app.size.width - 2))
        if lines == self.lines:
            return
        self.lines = lines
        self.set_class(bool(lines) and (halt.state == "halted" or bool(asked_ns)), "-halted")
        self.set_class(bool(lines) and halt.state != "halted" and not asked_ns, "-reducing")
        self.refresh(layout=True)

    def render(self) -> Content:
        """The lines."""
        return Content("\n".join(self.lines))


def banner_lines(halt: HaltView, now_ns: int, asked_ns: int, width: int) -> list[str]:
    """The banner's words; none while all is active."""
    if halt.state == "active" and not asked_ns and not halt.scopes:
        return []
    if asked_ns and halt.state != "halted":
        return wrap(f"HALTED {hms(asked_ns)} from this desk: the gate is shut; waiting for the receipt", width)
    if halt.state == "active":
        return wrap(
            "REDUCED SCOPES " + ", ".join(f"{plain(name).rstrip(':')} {state.upper()}" for name, state in halt.scopes),
            width,
        )
    when = f" {clock_second(halt.ts_ns)}" if halt.ts_ns else ""
    who = f" by {plain(halt.who)}" if halt.who else ""
    said = plain(halt.why).removeprefix(f"{plain(halt.who)}: ")  # a monitor names itself in its reason
    why = f" ({said})" if said else ""
    durable = "durable" if halt.durable else "NOT YET ON DISK"
    if halt.state == "reducing":
        words = f"REDUCING{when}{who}{why}: only orders that shrink a position pass; {durable}"
        return [*wrap(words, width, "  "), *_next_step(halt, now_ns, width)]
    end = "finished" if halt.done else "working"
    lines = wrap(f"HALTED{when}{who}{why}: {halt.counts()}; {end}; {durable}", width, "  ")
    for words in halt.residual[:RESIDUAL_SHOWN_MAX]:
        lines += wrap(f"  LEFT OPEN {plain(words)}", width, "    ")
    if len(halt.residual) > RESIDUAL_SHOWN_MAX:
        lines.append(f"  and {len(halt.residual) - RESIDUAL_SHOWN_MAX} more in the receipt")
    if halt.receipt_path:
        lines.append(f"  receipt {plain(halt.receipt_path)}"[:width])
    if halt.note:
        lines += wrap(f"  {plain(halt.note)}", width, "    ")
    return [*lines, *_next_step(halt, now_ns, width)]


def _next_step(halt: HaltView, now_ns: int, width: int) -> list[str]:
    if halt.code == LEDGER_FAILED:
        words = "  the ledger takes no writes: nothing is sent or booked; mend it, stop the engine and start it again"
        return wrap(words, width, "    ")
    left_s = hold_seconds(halt.rearm_after_ns, now_ns)
    words = (
        f"  R re-arms, at the earliest in {left_s} s" if left_s else "  R re-arms: word, reason, clean reconciliation"
    )
    return [words[:width]]
