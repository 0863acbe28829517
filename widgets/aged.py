"""A picture that no engine keeps new any more: what was live in it is marked as old, so that nobody takes it for the market of now."""

from __future__ import annotations

import msgspec

from engine.views import DeskView

OLD = "?"
"""State of a broker that nobody tells anything of."""


def aged(view: DeskView) -> DeskView:
    """The picture with every live order, quote, mark and feed stale, and each broker's state unknown; nothing else changes."""
    replace = msgspec.structs.replace
    status = replace(
        view.status,
        brokers=tuple(replace(one, state=OLD) for one in view.status.brokers),
        feeds=tuple(replace(one, stale=True) for one in view.status.feeds),
    )
    return replace(
        view,
        status=status,
        orders=tuple(replace(one, stale=True) if one.state.is_live else one for one in view.orders),
        quotes=tuple(replace(one, stale=True) for one in view.quotes),
        positions=tuple(replace(one, mark_stale=True) if one.qty else one for one in view.positions),
    )


def is_old(view: DeskView) -> bool:
    """Whether a picture is a marked one."""
    return any(one.state == OLD for one in view.status.brokers)


class Ageing:
    """Keeps the marked picture while the picture behind it is the same one."""

    def __init__(self) -> None:
        self._of: DeskView | None = None
        self._made: DeskView | None = None

    def of(self, view: DeskView) -> DeskView:
        """The marked picture of this one."""
        if self._made is None or self._of is not view:
            self._of, self._made = view, aged(view)
        return self._made
