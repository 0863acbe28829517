"""The halt keys in the terminal's input thread: recognised in the bytes as they arrive, before the screen sees them.

The screen's loop may be stuck, a paste may never end, an escape sequence may be cut in two: none of it delays a halt.
A ``^G`` anywhere halts, inside a paste too: stopping is the safe side, and undoing it is a deliberate act.
One press is acted upon once: the screen is told that it was, as :class:`HaltSeen`, and only says so when it gets there.
"""

from __future__ import annotations

import os
import re
import selectors
from codecs import getincrementaldecoder
from collections.abc import Callable

from textual import events
from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from bolt_tui.drain import ANSWER, QUESTION
from bolt_tui.escape_key import WAIT_S, EscapeApart

HALT_KEYS = frozenset({"ctrl+g", "f9"})

TAIL_MAX = 64
"""Bytes of an unfinished escape sequence that are kept for the next read."""
READ_BYTES = 4096
POLL_S = 0.1

_LOCKS = 64 | 128
_REPLY = re.compile(rb"\x1b\][0-9]+;[^\x07\x1b]*\x07")
"""A terminal's answer to a question; its closing byte is no key."""
_CTRL_G = re.compile(rb"\x1b\[(?:103|71)(?::[0-9:]*)?;([0-9]+)(?::([0-9]+))?(?:;[0-9:]*)?u|\x1b\[27;([0-9]+);103~")
"""ctrl+g where the terminal reports keys by number (kitty's protocol, xterm's modifyOtherKeys)."""
_F9 = re.compile(rb"\x1b\[20(?:;([0-9]+)(?::([0-9]+))?)?~")
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-9;:]*|\][^\x07\x1b]*)?\Z")


class HaltSeen(events.Key):
    """A halt key that the input thread has acted upon already: the screen, which may see it a second later, has only to show it."""


class HaltScanner:
    """Finds the halt keys in a stream of bytes that may be cut anywhere."""

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, data: bytes) -> bool:
        """Whether a halt key ends in this piece."""
        found = self._tail + data
        unfinished = _UNFINISHED.search(found)
        self._tail = unfinished.group()[-TAIL_MAX:] if unfinished else b""
        return (
            b"\x07" in _REPLY.sub(b"", found)
            or any(_is_press(match) for match in _CTRL_G.finditer(found))
            or any(match.group(2) != b"3" for match in _F9.finditer(found))
        )


def _is_press(match: re.Match[bytes]) -> bool:
    """Control held (locks do not matter), and the key going down or repeating."""
    modifiers = int(match.group(1) or match.group(3)) - 1
    return modifiers & ~_LOCKS == 4 and match.group(2) != b"3"


class DeskDriver(LinuxDriver):
    """Textual's driver for Linux and macOS, with the halt keys acted upon in its input thread."""

    _has_halted = False
    """The bytes that were read last showed a halt key, and it was acted upon: what is made of them is the same press."""

    def run_input_thread(self) -> None:
        """Read, look for a halt, then hand on what Textual's parser makes of it."""
        scanner, parser, escapes = HaltScanner(), XTermParser(self._debug), EscapeApart()
        decode = getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(WAIT_S if escapes.waits else POLL_S):
                    data = os.read(self.fileno, READ_BYTES)
                    if not data:
                        break
                    self._has_halted = scanner.feed(data)
                    if self._has_halted:
                        self._halt()
                    if ANSWER.search(data):
                        self._drained()
                    pieces = escapes.feed(data)
                else:
                    self._has_halted = False
                    pieces = escapes.flush()
                for piece in pieces:
                    for message in [piece] if isinstance(piece, events.Key) else parser.feed(decode(piece)):
                        self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)
        try:
            for _ in parser.feed(""):
                pass
        except (EOFError, ParseError):
            pass

    def process_message(self, message: Message) -> None:
        """A halt key goes on as seen; one in a form that its bytes did not show halts here."""
        if isinstance(message, events.Key) and message.key in HALT_KEYS:
            if not self._has_halted:
                self._halt()
            message = HaltSeen(message.key, message.character)
        super().process_message(message)

    def ask_drained(self) -> None:
        """Ask, behind everything drawn so far, for an answer that says that it was read."""
        self.write(QUESTION)

    def _drained(self) -> None:
        drained: Callable[[], None] | None = getattr(self._app, "drained_from_driver", None)
        if drained is not None:
            drained()

    def _halt(self) -> None:
        halt: Callable[[], None] | None = getattr(self._app, "halt_from_driver", None)
        if halt is not None:
            halt()
