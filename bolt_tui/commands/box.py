"""`bolt service print` and `bolt notify test`: a box that runs by itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bolt_tui.commands.exits import Exit

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context


def service(context: Context) -> Exit:
    """Print a unit."""
    from bolt_tui.service import unit
    from bolt_tui.settings import home_path

    kind = context.args.kind or ("launchd" if sys.platform == "darwin" else "systemd")
    text = unit(kind, home_path().resolve(), tuple(context.args.strategy))
    context.out.object("service", {"kind": kind, "text": text})
    context.out.line(text.rstrip())
    return Exit.OK


def notify_test(context: Context) -> Exit:
    """Send a line over each channel."""
    from bolt_tui.notify import Notice, channels
    from bolt_tui.settings import load_settings
    from engine.domain.clock import SystemClock

    found = channels(load_settings(context.found).notify)
    notice = Notice(SystemClock().now_ns(), "TEST", "notifications reach you")
    told: dict[str, str] = {}
    for name, send in found.items():
        try:
            send(notice)
            told[name] = ""
        except Exception as error:  # loop edge: whatever a channel raises is what was asked for
            told[name] = (
                f"{type(error).__name__}: {getattr(error, 'strerror', '') or getattr(error, 'reason', '') or 'failed'}"
            )
    context.out.object("notify", {"channels": told})
    for name, fault in told.items():
        context.out.line(f"{name}: {f'FAILED, {fault}' if fault else 'sent'}")
    if not found:
        context.out.say(
            "bolt: no channel is set; `notify:` in settings.yaml takes webhook, mail and command (docs/commands.md)"
        )
        return Exit.REFUSED
    return Exit.INCOMPLETE if any(told.values()) else Exit.OK
