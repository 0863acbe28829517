"""Every key of the desk, once. Bindings, footer, help card, command palette and docs/keys.md derive from this table."""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec
from textual.binding import Binding, BindingType
from textual.keys import Keys, _character_to_key

from engine.domain.errors import SettingsError
from widgets.formats import wrap


class Place(StrEnum):
    """Where a key works."""

    EVERYWHERE = "everywhere"
    """In each state of the screen, also while text is typed and over dialogs."""
    DESK = "desk"
    """On the desk, while no text is typed."""
    LINE = "order line"
    PREVIEW = "preview"
    QUIT = "quit"
    REARM = "re-arm"
    FLATTEN = "flatten"
    FORM = "order form"
    CARD = "card"
    ASK = "question"
    JUMP = "jump"
    FILTER = "filter line"
    BASKET = "basket"
    PATH = "basket file"
    ALONE = "quit, where no engine answers"


class Key(msgspec.Struct, frozen=True):
    """One key: its id for the settings, what Textual calls it (several with commas), the action, and its words."""

    id: str
    key: str
    """Empty where only the palette has it."""
    action: str
    short: str
    """For the footer; empty where it does not stand there."""
    help: str
    place: Place = Place.DESK
    name: str = ""
    """What the command palette calls it; empty where it is not a command of its own."""
    is_bound: bool = True
    """False where the widget itself reads the key; it stands here for the card and the docs."""
    shown: str = ""
    """How the footer writes it, where not as its first key."""


E, D, L, P, Q, R, W, F, C, A, J, S, K, Z, N = Place
KEYS: tuple[Key, ...] = (
    Key("halt", "ctrl+g", "halt", "HALT", "halt: shut the gate and cancel what works; asks nothing", E, "HALT trading now"),
    Key("halt-f9", "f9", "halt", "", "the same halt; plain ^G inside a paste halts too", E),
    Key("quit", "ctrl+q", "quit_desk", "Quit", "leave; asks what becomes of an engine this desk started", E, "Quit the desk"),
    Key("palette", "ctrl+p", "command_palette", "Cmds", "command palette: every action by name", E, is_bound=False),
    Key("buy", "b", "ticket('b')", "Buy", "start a buy order for the symbol under the cursor", D, "Buy order"),
    Key("sell", "s", "ticket('s')", "Sell", "start a sell order for the symbol under the cursor", D, "Sell order"),
    Key("line", "colon", "ticket('')", "", "go to the order line", D, "Order line"),
    Key("form", "n", "form", "Form", "the same order as a form", D, "Order form"),
    Key("basket", "B", "basket", "", "a basket from a csv file: every line judged, released as one", D, "Basket from csv"),
    Key("amend", "a", "amend", "Amend", "amend the selected order: fills the order line", D, "Amend selected order"),
    Key("cancel", "x", "cancel", "Cancel", "cancel the selected order", D, "Cancel selected order"),
    Key("newest", "full_stop", "newest", "", "select the newest open order, from any pane: then x cancels it", D, "Select newest order"),
    Key("cancel-all", "X", "cancel_all", "CxlAll", "cancel all: says how many; again within 2 s does it", D, "Cancel all orders"),
    Key("release", "r", "release", "Release", "release the selected staged or suspended order or basket, or approve an order that waits for a second person", D, "Release or approve selected order or basket"),
    Key("pause", "p", "pause", "", "pause the selected order's algorithm; on a paused one p twice lets it go on", D, "Pause or resume selected order"),
    Key("urge-more", "plus", "urgency(1)", "", "work the selected order more eagerly: passive, normal, take", D, "More urgent"),
    Key("urge-less", "minus", "urgency(-1)", "", "work it less eagerly", D, "Less urgent"),
    Key("flatten", "F", "flatten", "", "flatten: halt, cancel, close; shows the cost, wants the word typed", D, "Flatten positions"),
    Key("rearm", "R", "rearm", "Rearm", "lift a halt: hold time, clean reconciliation, reason", D, "Re-arm trading"),
    Key("open", "enter", "open", "Open", "details of the order; in the log, go to its order", D, "Open selected"),
    Key("up-level", "escape", "up", "", "let go of the selected row; never cancels anything", D),
    Key("mode-desk", "1", "mode('desk')", "Screens", "desk: orders, book, positions, log", D, "Screen 1: Desk", shown="1-5"),
    Key("mode-blotter", "2", "mode('blotter')", "", "blotter: every order with its family, staged and done", D, "Screen 2: Blotter"),
    Key("mode-analysis", "3,t", "mode('analysis')", "", "analysis: what the selected parent cost", D, "Screen 3: Analysis"),
    Key("mode-risk", "4", "mode('risk')", "", "risk: headroom of each limit, exposures", D, "Screen 4: Risk"),
    Key("mode-log", "5", "mode('log')", "", "log: everything that happened", D, "Screen 5: Log"),
    Key("filter", "slash", "filter", "Filter", "narrow orders or log: words, sym:aapl, -not, qty>100", D, "Filter orders or log"),
    Key("sort", "greater_than_sign", "sort", "", "sort orders by the next column", D, "Sort orders"),
    Key("reverse", "less_than_sign", "reverse", "", "turn the sorting round", D, "Reverse sorting"),
    Key("mark", "space", "mark", "", "mark the selected order; x then cancels the marked ones", D, "Mark selected order"),
    Key("mark-all", "asterisk", "mark_all", "", "mark every order shown, or take all marks off", D, "Mark all orders shown"),
    Key("family-open", "right,l", "tree(1)", "", "open the parent: live children, then all with their fills", D),
    Key("family-shut", "left,h", "tree(-1)", "", "shut the parent a step", D),
    Key("close", "c", "close", "", "fill the order line with what closes the position", D, "Close position"),
    Key("alert", "A", "alert", "", "be told when a price is reached", D, "Set or remove a price alert"),
    Key("acknowledge", "K", "acknowledge", "", "acknowledge every alert; in the alerts pane enter acknowledges the selected one", D, "Show and acknowledge alerts"),
    Key("ladder", "o", "ladder", "", "go to the ladder", D, "Go to ladder"),
    Key("jump", "ctrl+o", "jump", "", "a letter on every pane: the next key goes there", D, "Jump to a pane"),
    Key("redraw", "ctrl+l", "redraw", "", "paint the whole screen again", D, "Redraw the screen"),
    Key("copy", "y", "copy", "", "copy the selected line, or the pane", D, "Copy to clipboard"),
    Key("export", "e", "export", "", "write the pane as a csv file", D, "Export pane to csv"),
    Key("next-row", "down,j", "move(1)", "", "next row", D),
    Key("row-before", "up,k", "move(-1)", "", "row before", D),
    Key("rows-on", "pagedown,ctrl+d", "move(10)", "", "ten rows on", D),
    Key("rows-back", "pageup,ctrl+u", "move(-10)", "", "ten rows back", D),
    Key("first-row", "home,g", "move(-100000)", "", "first row", D),
    Key("last-row", "end,G", "move(100000)", "", "last row", D),
    Key("next-pane", "tab", "focus_next", "", "next pane", D, is_bound=False),
    Key("pane-before", "shift+tab", "focus_previous", "", "pane before", D, is_bound=False),
    Key("recentre", "m", "recentre", "", "put the market in the middle of the ladder", D, "Recentre ladder"),
    Key("follow", "f", "follow", "", "let the log follow the newest line again", D, "Follow the log"),
    Key("done", "D", "done", "", "show or hide done orders", D, "Show or hide done orders"),
    Key("theme", "T", "theme", "", "next theme", D, "Next theme"),
    Key("past-back", "left_square_bracket", "scrub(-1)", "", "in the past: a line of the log back", D, "The past: a line of the log back"),
    Key("past-on", "right_square_bracket", "scrub(1)", "", "in the past: a line of the log on", D, "The past: a line of the log on"),
    Key("past-minute-back", "left_curly_bracket", "scrub(-60)", "", "in the past: a minute back", D, "The past: a minute back"),
    Key("past-minute-on", "right_curly_bracket", "scrub(60)", "", "in the past: a minute on", D, "The past: a minute on"),
    Key("help", "question_mark", "help", "Help", "this card", D, "Help: all keys"),
    Key("line-preview", "enter", "", "preview", "preview the line; it never sends from here", L, is_bound=False),
    Key("line-complete", "tab,right", "", "complete", "complete the word", L, is_bound=False),
    Key("line-recall", "up,down", "", "recall", "recall earlier lines; recalling never sends", L, is_bound=False),
    Key("line-leave", "escape", "", "leave", "empty the line and go back", L, is_bound=False),
    Key("send", "enter", "send", "", "send once, from 0.25 s after it appeared; a stale quote is refreshed instead", P),
    Key("stage", "t", "stage", "", "keep the order unsent; r releases it", P),
    Key("confirm", "y", "confirm", "", "send what the gate asks a person to confirm", P),
    Key("reject", "d", "reject", "", "turn down what waits for a second person; cancel what is staged or suspended", P),
    Key("checks", "c", "checks", "all checks", "every check with its value and limit", P),
    Key("edit", "e", "edit", "edit", "back to the line with its words", P),
    Key("drop", "escape", "drop", "drop", "forget it; nothing was sent", P),
    Key("basket-send", "enter", "release", "", "send the whole basket once; old verdicts are refreshed instead", K),
    Key("basket-confirm", "y", "confirm", "", "send what a person is asked to confirm", K),
    Key("basket-look", "l", "look", "", "judge every line again", K),
    Key("basket-drop", "d", "drop_basket", "", "drop the basket: d again within 2 s does it", K),
    Key("basket-leave", "escape", "leave", "leave", "leave it staged", K),
    Key("basket-on", "down,j,pagedown", "scroll(8)", "more", "read on", K),
    Key("basket-back", "up,k,pageup", "scroll(-8)", "", "read back", K),
    Key("path-take", "enter", "", "judge", "read the file, and judge its orders; nothing is sent", Z, is_bound=False),
    Key("path-complete", "tab", "", "complete", "complete the name", Z, is_bound=False),
    Key("path-drop", "escape", "drop", "drops", "forget it", Z),
    Key("quit-cancel", "c", "choose('stop_cancel')", "cancel+stop", "cancel all orders, then stop the engine", Q),
    Key("quit-stop", "o", "choose('stop')", "stop", "stop the engine; orders stay at the venue", Q),
    Key("quit-leave", "l", "choose('leave')", "leave", "leave; the engine goes on", Q),
    Key("quit-stay", "escape", "choose('')", "stay", "stay", Q),
    Key("alone-cancel", "c", "choose('stop_cancel')", "halt+cancel", "halt, and cancel all orders at the venue from here", N),
    Key("alone-leave", "l", "choose('leave')", "leave", "leave; the orders stay at the venue", N),
    Key("alone-stay", "escape", "choose('')", "stay", "stay", N),
    Key("rearm-next", "enter", "", "next", "next field; behind the reason: ask the engine", R, is_bound=False),
    Key("rearm-drop", "escape", "drop", "stay halted", "stay halted", R),
    Key("flatten-go", "enter", "", "flatten", "behind the typed word: halt, cancel, close", W, is_bound=False),
    Key("flatten-drop", "escape", "drop", "drops", "leave everything as it is", W),
    Key("form-preview", "enter", "", "preview", "preview what the fields say; it never sends from here", F, is_bound=False),
    Key("form-next", "tab", "", "next", "next field", F, is_bound=False),
    Key("form-drop", "escape", "drop", "drops", "forget it", F),
    Key("card-close", "escape,enter,question_mark", "close", "close", "close the card", C),
    Key("card-on", "down,j,pagedown", "scroll(8)", "more", "read on", C),
    Key("ask-take", "enter", "", "take", "take what was typed", A, is_bound=False),
    Key("ask-drop", "escape", "drop", "drops", "forget it", A),
    Key("jump-letter", "letter", "", "go", "the letter of a pane goes there", J, is_bound=False),
    Key("jump-stay", "escape", "drop", "stay", "stay where it was", J),
    Key("filter-keep", "enter", "", "keep", "keep the filter", S, is_bound=False),
    Key("filter-clear", "escape", "", "clear", "clear the filter", S, is_bound=False),
    Key("card-back", "up,k,pageup", "scroll(-8)", "", "read back", C),
)  # fmt: skip

FORBIDDEN = frozenset(
    {
        *(f"ctrl+{letter}" for letter in "himjzskb"),
        *(f"alt+{digit}" for digit in range(10)),
        "shift+enter",
        "ctrl+enter",
    }
)
"""Keys that are something else in some terminal: backspace, tab, enter, stop, flow control, tmux's prefix, other characters."""

CARD_COLUMN = 16

_NAMES = {
    "colon": ":", "question_mark": "?", "slash": "/", "full_stop": ".", "greater_than_sign": ">", "less_than_sign": "<", "asterisk": "*", "plus": "+", "minus": "-", "escape": "esc", "pagedown": "pgdn", "pageup": "pgup", "shift+tab": "shift-tab",
    "left_square_bracket": "[", "right_square_bracket": "]", "left_curly_bracket": "{", "right_curly_bracket": "}",
}  # fmt: skip


def plain(key: str) -> str:
    """How a key is written for a person: ``^g``, ``?``, ``esc``."""
    return " ".join(_NAMES.get(part, part.replace("ctrl+", "^")) for part in key.split(","))


def goes_first(action: str) -> bool:
    """Whether the keys behind it belong elsewhere: it opens a line (order, filter), a dialog or another screen."""
    return action.startswith(("ticket", "filter", "mode")) or action in {"form", "alert", "basket", "rearm", "flatten"}


def bindings(place: Place) -> list[BindingType]:
    """Textual's bindings of a place. Those that work everywhere have priority over every widget, and so have those that open a
    line: the keys typed behind them would otherwise be handed to the pane before the line has the focus.
    """
    return [
        Binding(
            key.key,
            key.action,
            key.help,
            show=False,
            priority=place is Place.EVERYWHERE or goes_first(key.action),
            id=key.id,
        )
        for key in KEYS
        if key.place is place and key.is_bound and key.key
    ]


def commands() -> list[Key]:
    """The palette's entries: the action's name is its title."""
    return [key for key in KEYS if key.name]


LAST = frozenset({"open", "form", "release", "rearm"})
"""Actions that give way first where the footer is narrow."""


def footer(place: Place, keys: tuple[Key, ...] = KEYS) -> list[tuple[str, str]]:
    """Key and word of what stands in the footer of a place, in order of importance but for the halt."""
    own = [key for key in keys if key.short and key.place is place]
    first = [key for key in own if key.action not in LAST]
    always = [key for key in keys if key.short and key.place is Place.EVERYWHERE]
    last = [key for key in own if key.action in LAST]
    return [(key.shown or plain(key.key.partition(",")[0]), key.short) for key in (*first, *reversed(always), *last)]


def clashes(keys: tuple[Key, ...] = KEYS) -> list[str]:
    """Keys with two meanings in one state of the screen, and keys that must never be bound."""
    found = []
    for place in Place:
        seen: dict[str, str] = {}
        for key in keys:
            if key.place not in {place, Place.EVERYWHERE}:
                continue
            for part in key.key.split(","):
                if part in seen and not (
                    key.place is Place.EVERYWHERE and place is not Place.EVERYWHERE and seen[part] == key.help
                ):
                    found.append(f"{place}: {part} is bound to {seen[part]!r} and {key.help!r}")
                seen[part] = key.help
                if part in FORBIDDEN:
                    found.append(f"{place}: {part} must never be bound")
    return found


FIXED = frozenset({"halt", "halt-f9"})
"""Read in the terminal's input thread: no setting moves them."""


def changed(overrides: dict[str, str]) -> dict[str, str]:
    """An owner's keys as Textual takes them: id to keys. A sign may stand for its name: ``*`` for ``asterisk``."""
    return {name: ",".join(map(_key_name, keys.replace(" ", "").split(","))) for name, keys in overrides.items()}


def _key_name(part: str) -> str:
    return _character_to_key(part) if len(part) == 1 else part


_MODIFIED = re.compile(r"(?:(?:ctrl|alt|shift)\+)*(.+)")
_KEY_NAMES = frozenset(key.value for key in Keys) | frozenset(_character_to_key(chr(code)) for code in range(33, 127))


def _is_key(part: str) -> bool:
    """Whether a terminal could send such a key at all: modifiers, then one character or a name."""
    found = _MODIFIED.fullmatch(part)
    name = "" if found is None else found.group(1)
    return name in _KEY_NAMES or part in _KEY_NAMES or (len(name) == 1 and name.isalnum())


def remapped(overrides: dict[str, str]) -> tuple[Key, ...]:
    """The table with an owner's keys in it.

    Raises:
        SettingsError: an id that there is none of or that is fixed, a key that no terminal has or that must never be bound, or two
            meanings of one.
    """
    bound = {key.id for key in KEYS if key.is_bound and key.key} - FIXED
    for name in overrides:
        if name not in bound:
            why = "the halt keys are fixed" if name in FIXED else "there is no key of that id that can be moved"
            msg = f"settings.yaml: desk.keys.{name}: {why}; the ids stand in docs/keys.md"
            raise SettingsError(msg)
    own = changed(overrides)
    for name, keys in own.items():
        if wrong := next((part for part in keys.split(",") if not _is_key(part)), None):
            msg = f"settings.yaml: desk.keys.{name}: no key is called {wrong!r}; as in y, ctrl+y, f4, pageup, *"
            raise SettingsError(msg)
    made = tuple(msgspec.structs.replace(key, key=own[key.id], shown="") if key.id in own else key for key in KEYS)
    if found := clashes(made):
        msg = f"settings.yaml: desk.keys: {found[0]}"
        raise SettingsError(msg)
    return made


def card(width: int = 72, keys: tuple[Key, ...] = KEYS) -> str:
    """The help card: the keys by place."""
    lines: list[str] = []
    for place in Place:
        lines += ["", place.value.upper()] if lines else [place.value.upper()]
        for key in keys:
            if key.place is place:
                first, *rest = wrap(key.help, width - CARD_COLUMN)
                lines.append(f"  {plain(key.key):<{CARD_COLUMN - 2}}{first}")
                lines += [" " * CARD_COLUMN + line for line in rest]
    return "\n".join(lines)


def page() -> str:
    """The page docs/keys.md; a test holds the file to this."""
    lines = [
        "# Keys",
        "",
        "Written from the table in `bolt_tui/keymap.py`, as are the desk's footer, help card and command palette.",
        "",
        "No function key and no modified enter is the only way to anything. The halt keys are read in the terminal's input thread, before",
        "the screen sees them: they work while the screen is blocked. A `^G` inside a paste halts too, because stopping is the safe side.",
        "",
        "Keys of your own stand in `settings.yaml` under `desk.keys`, by the id in the last column: `copy: ctrl+y`. A key that would mean",
        "two things in one place, or that some terminal cannot send, is refused at the start.",
    ]
    for place in Place:
        lines += ["", f"## {place.value.capitalize()}", "", "| key | does | id |", "|---|---|---|"]
        for key in KEYS:
            if key.place is place:
                names = " ".join(f"`{plain(part)}`" for part in key.key.split(","))
                lines.append(f"| {names} | {key.help} | {key.id if key.is_bound and key.id not in FIXED else ''} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
