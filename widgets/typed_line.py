"""An input that takes its keys in the order in which they were typed."""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

from textual import events
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.reactive import Reactive
from textual.widgets import Input


def _own_keys() -> dict[str, str]:
    return {key: bound.action for bound in Input.BINDINGS if isinstance(bound, Binding) for key in bound.key.split(",")}


@runtime_checkable
class HoldsKeys(Protocol):
    """A screen of several fields: a key that belongs to the next one must not overtake the key that leads there."""

    def holds(self, event: events.Key) -> bool:
        """Whether the screen keeps the key until the one before it has done its work."""
        ...

    def hold_behind(self) -> None:
        """Keep the keys that follow until the line says that it is settled."""
        ...


class TypedLine(Input):
    """Textual writes a character at once, and lets a backspace or an enter rise to the app, which acts on it later: on a slow
    line, where many keys come in one go, characters overtake them. In a line with quantities that must not be.
    """

    virtual_size: Reactive[Size] = Reactive(Size(0, 0))
    """Textual's own lays out the whole screen where it changes, with every character; here its height is one and its width the box's."""
    OWN_KEYS: ClassVar[dict[str, str]] = _own_keys()
    KEEPS_TAB: ClassVar[bool] = False
    """Tab means something in the line itself."""

    class Settled(Message):
        """What enter led to has been handled by everything above the line."""

    def _forward_event(self, event: events.Event) -> None:
        """Called by the app with each key, before the next one is looked at: the one place where keys of a burst, which all go to
        the widget that has the focus now, can still be sent to the field that they were typed for.
        """
        screen = self.screen
        if isinstance(event, events.Key) and isinstance(screen, HoldsKeys):
            if screen.holds(event):
                return
            if event.key in {"tab", "shift+tab"} and not self.KEEPS_TAB:
                event._set_forwarded()  # noqa: SLF001 - it has been dealt with
                _ = screen.focus_next() if event.key == "tab" else screen.focus_previous()
                return
            if event.key == "enter":
                screen.hold_behind()
        super()._forward_event(event)

    async def on_key(self, event: events.Key) -> None:
        """Do at once what the input's own bindings would do."""
        action = self.OWN_KEYS.get(event.key)
        if action is not None and not event.is_printable:
            event.stop()
            event.prevent_default()
            await self.run_action(action)
            if event.key == "enter":
                self.post_message(self.Settled())  # behind the message that enter sent
