"""The lines below the order line. A new answer repaints the lines that differ and lays nothing out, unless its height changes."""

from __future__ import annotations

from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget


class AnswerLines(Widget):
    """A few lines of words."""

    def __init__(self, content: Content, name: str) -> None:
        super().__init__(id=name)
        self._content = content

    def render(self) -> Content:
        """The lines."""
        return self._content

    def show(self, content: Content, *, is_still: bool) -> None:
        """Show other lines. ``is_still``: their place has a fixed height."""
        if content.is_same(self._content):
            return
        before, after = self._content.split(), content.split()
        self._content = content
        if not is_still and len(before) != len(after):
            self.refresh(layout=True)
            return
        count = max(len(before), len(after))
        changed = [
            Region(0, y, self.size.width, 1)
            for y in range(count)
            if y >= len(before) or y >= len(after) or not before[y].is_same(after[y])
        ]
        self.refresh(*changed)
