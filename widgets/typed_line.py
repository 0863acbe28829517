"""An input that takes its keys in the order in which they were typed."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding
from textual.geometry import Size
from textual.reactive import Reactive
from textual.widgets import Input


def _own_keys() -> dict[str, str]:
    return {key: bound.action for bound in Input.BINDINGS if isinstance(bound, Binding) for key in bound.key.split(",")}


class TypedLine(Input):
    """Textual writes a character at once, and lets a backspace or an enter rise to the app, which acts on it later: on a slow
    line, where many keys come in one go, characters overtake them. In a line with quantities that must not be.
    """

    virtual_size: Reactive[Size] = Reactive(Size(0, 0))
    """Textual's own lays out the whole screen where it changes, with every character; here its height is one and its width the box's."""
    OWN_KEYS: ClassVar[dict[str, str]] = _own_keys()

    async def on_key(self, event: events.Key) -> None:
        """Do at once what the input's own bindings would do."""
        action = self.OWN_KEYS.get(event.key)
        if action is not None and not event.is_printable:
            event.stop()
            event.prevent_default()
            await self.run_action(action)
