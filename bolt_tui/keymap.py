"""Every key of the desk, once: bindings, footer and help card derive from this table."""

from __future__ import annotations

import msgspec


class Key(msgspec.Struct, frozen=True):
    """One key: what Textual calls it, the action, and the words of footer and help."""

    key: str
    action: str
    short: str
    help: str
    is_everywhere: bool = False
    """Works while text is typed and over every dialog."""


KEYS: tuple[Key, ...] = (
    Key("ctrl+g", "halt", "HALT", "stop: block new orders, cancel working ones; no question asked", True),
    Key("f9", "halt", "", "the same halt", True),
    Key("ctrl+q", "quit_desk", "Quit", "leave the desk: it asks what becomes of the engine", True),
    Key("b", "ticket('b ')", "Buy", "start a buy order"),
    Key("s", "ticket('s ')", "Sell", "start a sell order"),
    Key("colon", "ticket('')", "", "go to the order line"),
    Key("a", "amend", "Amend", "amend the selected order"),
    Key("x", "cancel", "Cancel", "cancel the selected order"),
    Key("X", "cancel_all", "CxlAll", "cancel all orders; press twice within two seconds"),
    Key("r", "release", "Release", "release the selected staged order"),
    Key("R", "rearm", "Rearm", "lift a halt: word, reason, clean reconciliation"),
    Key("j,down", "move(1)", "", "next row"),
    Key("k,up", "move(-1)", "", "row before"),
    Key("question_mark", "help", "Help", "this card"),
)


def footer() -> str:
    """The footer's line."""
    shown = [f"{_plain(key.key)} {key.short}" for key in KEYS if key.short]
    return "  ".join(shown)


def card() -> str:
    """The help card."""
    return "\n".join(f"{_plain(key.key):<10} {key.help}" for key in KEYS)


def _plain(key: str) -> str:
    return key.replace("ctrl+", "^").replace("colon", ":").replace("question_mark", "?")
