"""What passes between the desk's widgets, its screens and an engine."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol, runtime_checkable

from textual.content import Content
from textual.message import Message

from engine.domain.commands import AnyCommand, CommandResult, Preview
from engine.views import DeskView


class EnginePort(Protocol):
    """What the desk needs of an engine. It is read from the screen's thread, except :meth:`halt_now`."""

    @property
    def connected(self) -> bool:
        """Whether the line stands and the engine is heard."""
        ...

    @property
    def link_text(self) -> str:
        """What is wrong with the line, in words; empty while all is well."""
        ...

    def view(self) -> DeskView:
        """The newest picture, whole."""
        ...

    def version(self) -> int:
        """Grows with each new picture."""
        ...

    async def submit(self, command: AnyCommand) -> CommandResult:
        """Send a command once. A lost answer is a result with the code UNKNOWN, never a second send."""
        ...

    async def what_if(self, question: Preview) -> CommandResult | None:
        """What an order would do; changes nothing. None where a newer question took its place, or nobody answered."""
        ...

    def halt_now(self, who: str) -> None:
        """Stop trading: any thread, returns at once, needs neither the screen nor the line. Asked again it does no harm."""
        ...


@runtime_checkable
class LooksBack(Protocol):
    """What an engine is that shows the past."""

    def step(self, lines: int) -> None:
        """So many lines of the log on, back below zero."""
        ...

    def move(self, seconds: int) -> None:
        """So many seconds on, back below zero."""
        ...

    def words(self) -> str:
        """Where it is."""
        ...

    def missing(self) -> str:
        """What is not known of it; empty where all is."""
        ...


class DeskExit(StrEnum):
    """What is to become of the engine when the desk is left."""

    LEAVE = "leave"
    """It runs on."""
    STOP = "stop"
    """It ends; its orders stay at the venue."""
    STOP_CANCEL = "stop_cancel"
    """It cancels its orders and ends."""


class LineTyped(Message):
    """Enter was pressed in the order line."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self.line = line


class LineChanged(Message):
    """The words of an order line changed; nothing is asked to be done.

    Args:
        line: the words.
        show: takes the answer.
        width: cells that the answer has.
        rows: lines that it has.
    """

    def __init__(self, line: str, show: Callable[[Content], None], width: int, rows: int) -> None:
        super().__init__()
        self.line = line
        self.show = show
        self.width = width
        self.rows = rows


class LineLeft(Message):
    """Escape was pressed in the order line."""
