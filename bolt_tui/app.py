"""The desk: one screen that draws the engine's pictures and posts commands. It holds no truth of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from rich.text import Text
from textual import events, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message
from textual.widgets import Input, Static

from bolt_tui.desk_rows import (
    LADDER,
    LOG,
    ORDERS,
    POSITIONS,
    banner,
    ladder_rows,
    log_rows,
    order_rows,
    position_rows,
    status_line,
)
from bolt_tui.keymap import KEYS, card, footer
from bolt_tui.screens.dialogs import CardScreen, PreviewScreen, QuitScreen, RearmScreen
from bolt_tui.settings import Settings, who
from engine.domain import commands as co
from engine.domain.clock import NS_PER_S, Clock, SystemClock
from engine.domain.ids import new_intent_id
from engine.domain.order import OrderState, Source, SourceKind
from engine.intake.drafts import AmendDraft, GrammarError, NewOrderDraft
from engine.intake.grammar import parse_line
from engine.views import DeskView
from widgets.live_table import LiveTable

if TYPE_CHECKING:
    from textual.driver import Driver

TWICE_NS = 2 * NS_PER_S
HISTORY_MAX = 100
HALT_KEYS = {"ctrl+g", "f9"}


class EnginePort(Protocol):
    """What the desk needs of an engine; `bolt_tui.link.DeskLink` is one."""

    @property
    def connected(self) -> bool:
        """Whether the line stands."""
        ...

    @property
    def link_text(self) -> str:
        """What is wrong with it."""
        ...

    def view(self) -> DeskView:
        """The newest picture."""
        ...

    def version(self) -> int:
        """Grows with each picture."""
        ...

    async def submit(self, command: co.AnyCommand) -> co.CommandResult:
        """Send a command once."""
        ...

    def halt_now(self, who: str) -> None:
        """Stop trading; any thread, returns at once."""
        ...


class DeskDriver(LinuxDriver):
    """The terminal driver: the halt keys act in its input thread, before the screen's loop sees them.

    A stray ^G inside a paste halts too: stopping is the safe side.
    """

    def process_message(self, message: Message) -> None:
        """Act on a halt key at once, then pass everything on."""
        if (isinstance(message, events.Key) and message.key in HALT_KEYS) or (
            isinstance(message, events.Paste) and "\x07" in message.text
        ):
            halt = getattr(self._app, "halt_from_driver", None)
            if halt is not None:
                halt()
        super().process_message(message)


class Desk(App[str]):
    """The whole desk; its result is what becomes of the engine: ``leave``, ``stop`` or ``stop_cancel``."""

    ENABLE_COMMAND_PALETTE = True
    TITLE = "Bolt"
    CSS = """
    Screen { layout: vertical; }
    #status { height: 1; text-style: bold; }
    #banner { height: auto; display: none; text-style: bold reverse; }
    #banner.on { display: block; }
    LiveTable { border: round $primary; height: 1fr; scrollbar-size: 0 0; }
    LiveTable:focus { border: heavy $accent; }
    #positions { height: 6; }
    #lower { height: 12; }
    #ladder { width: 40; }
    .-narrow #positions { height: 4; }
    .-narrow #lower { height: 7; }
    #pad { height: 1; border: none; padding: 0 1; }
    #answer { height: auto; max-height: 3; padding: 0 1; }
    #footer { height: 1; text-style: reverse; }
    PreviewScreen, QuitScreen, RearmScreen, CardScreen { align: center middle; }
    #dialog { width: 76; max-width: 100%; height: auto; max-height: 100%; border: heavy $accent; padding: 0 1;
              background: $surface; overflow-y: auto; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - Textual declares it so
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key.key, key.action, key.help, priority=key.is_everywhere, show=bool(key.short)) for key in KEYS
    ]

    def __init__(
        self, port: EnginePort, settings: Settings, *, is_ours: bool, clock: Clock | None = None, hz: int = 10
    ) -> None:
        super().__init__(driver_class=DeskDriver)
        self._port = port
        self._is_ours = is_ours
        self._clock = clock or SystemClock()
        self._who = who()
        self._source = Source(SourceKind.DESK, self._who)
        self._hz = settings.desk.updates_per_s or hz
        self._drawn = -1
        self._history: list[str] = []
        self._recalled = 0
        self._asked_all_ns = 0

    def get_driver_class(self) -> type[Driver]:
        """Ours, on a terminal."""
        return DeskDriver

    def compose(self) -> ComposeResult:
        """One tree for every size."""
        yield Static(id="status")
        yield Static(id="banner")
        yield LiveTable(POSITIONS, title="Positions", empty="flat: no position yet; press b to buy", id="positions")
        yield LiveTable(ORDERS, title="Orders", empty="no orders yet: press b and type 100 AAPL @mkt", id="orders")
        with Horizontal(id="lower"):
            yield LiveTable(LADDER, title="Book", empty="no book yet: select an order or type one", id="ladder")
            yield LiveTable(LOG, title="Log", empty="nothing happened yet", follow=True, id="log")
        yield Input(placeholder="b 100 AAPL @mkt    enter shows a preview; ? help", id="pad", select_on_focus=False)
        yield Static(id="answer")
        yield Static(Text(footer(), no_wrap=True), id="footer")

    def on_mount(self) -> None:
        """Draw, and go on drawing at the data rate."""
        self.query_one("#orders", LiveTable).focus()
        self.draw()
        self.set_interval(1 / self._hz, self.draw)

    # -- drawing -----------------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Show the newest picture; the base screen only, whatever lies above it."""
        screen = self.screen_stack[0]
        if not screen.query("#log"):
            # The timer also fires while the tree is being built or taken down.
            return
        view = self._port.view()
        status = status_line(view, self._port.link_text if not self._port.connected else "")
        screen.query_one("#status", Static).update(Text(status, no_wrap=True))
        if self._drawn == self._port.version():
            return
        self._drawn = self._port.version()
        words = banner(view)
        line = screen.query_one("#banner", Static)
        line.update(Text(words))
        line.set_class(bool(words), "on")
        orders = screen.query_one("#orders", LiveTable)
        orders.show(order_rows(view))
        screen.query_one("#positions", LiveTable).show(position_rows(view))
        ladder = screen.query_one("#ladder", LiveTable)
        symbol = self._symbol(view, orders.selected)
        ladder.border_title = f"Book {symbol}"
        ladder.show(ladder_rows(view, symbol))
        screen.query_one("#log", LiveTable).show(log_rows(view))

    def _symbol(self, view: DeskView, order_id: str) -> str:
        for order in view.orders:
            if order.order_id == order_id:
                return order.symbol
        return view.books[0].symbol if view.books else ""

    def _say(self, words: str) -> None:
        self.screen_stack[0].query_one("#answer", Static).update(Text(words))

    @property
    def _selected(self) -> str:
        return self.screen_stack[0].query_one("#orders", LiveTable).selected

    # -- halting -----------------------------------------------------------------------------------------------------------

    def halt_from_driver(self) -> None:
        """From the terminal's input thread."""
        self._port.halt_now(self._who)

    def action_halt(self) -> None:
        """The binding: where the driver saw the key already, this shuts a shut gate again."""
        self._port.halt_now(self._who)
        self._say("HALT asked")

    def action_rearm(self) -> None:
        """Ask for word and reason."""
        halt = self._port.view().status.halt
        left_s = max(0, halt.rearm_after_ns - self._clock.now_ns()) // NS_PER_S
        self.push_screen(RearmScreen(f"{halt.state}; taken in {left_s} s at the earliest"), self._rearm)

    def _rearm(self, typed: tuple[str, str] | None) -> None:
        if typed and any(typed):
            self._post(co.Rearm(source=self._source, word=typed[0], reason=typed[1]))

    # -- orders ------------------------------------------------------------------------------------------------------------

    def action_ticket(self, start: str) -> None:
        """Go to the order line."""
        pad = self.query_one("#pad", Input)
        pad.value = start
        pad.cursor_position = len(start)
        pad.focus()

    def on_key(self, event: events.Key) -> None:
        """In the order line: up and down recall, escape leaves it."""
        pad = self.screen_stack[0].query_one("#pad", Input)
        if not pad.has_focus or event.key not in {"up", "down", "escape"}:
            return
        event.stop()
        if event.key == "escape":
            pad.value = ""
            self.screen_stack[0].query_one("#orders", LiveTable).focus()
            return
        step = -1 if event.key == "up" else 1
        self._recalled = max(0, min(len(self._history), self._recalled + step))
        pad.value = self._history[self._recalled] if self._recalled < len(self._history) else ""
        pad.cursor_position = len(pad.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the order line: read it; an order goes to its preview, never out."""
        line = event.value.strip()
        if event.input.id != "pad" or not line:
            return
        from bolt_tui.commands.orders import grammar_context

        draft = parse_line(line, grammar_context(self._port.view()))
        if isinstance(draft, GrammarError):
            self._say(draft.text)
            return
        self._history = [*self._history[-HISTORY_MAX:], line]
        self._recalled = len(self._history)
        if isinstance(draft, NewOrderDraft):
            self._preview(draft)
        elif isinstance(draft, AmendDraft):
            self._post(draft.command(self._source, new_intent_id("d")))
        else:
            self._post(draft.command(self._source))

    @work(exclusive=True, group="preview")
    async def _preview(self, draft: NewOrderDraft) -> None:
        """Ask for every check, show them, and send what is chosen, once."""
        intent_id = new_intent_id("d")
        result = await self._port.submit(co.Preview(source=self._source, spec=draft.spec))
        choice = await self.push_screen_wait(PreviewScreen(draft.echo, result, self._clock.monotonic_ns))
        if not choice:
            self._say("dropped; nothing was sent")
            return
        confirmed = frozenset(denial.code for denial in result.denials) if choice == "confirm" else frozenset()
        command = co.NewOrder(
            source=self._source,
            intent_id=intent_id,
            spec=draft.spec,
            why="",
            staged=choice == "stage",
            confirmed=confirmed,
        )
        self.screen_stack[0].query_one("#pad", Input).value = ""
        self.screen_stack[0].query_one("#orders", LiveTable).focus()
        # A worker of its own: the next preview ends this one, and must not take a confirmed order with it.
        self._post(command)

    def action_amend(self) -> None:
        """Put the selected order's amend in the order line."""
        if self._selected:
            self.action_ticket(f"a {self._selected} ")

    def action_cancel(self) -> None:
        """Cancel the selected order, by its id."""
        if self._selected:
            self._post(co.CancelOrder(source=self._source, order_id=self._selected))

    def action_cancel_all(self) -> None:
        """First press says what would go, the second within two seconds does it."""
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._asked_all_ns <= TWICE_NS:
            self._asked_all_ns = 0
            self._post(co.CancelAll(source=self._source))
            return
        self._asked_all_ns = now_ns
        self._say(f"{self._port.view().status.orders_working} orders work; press X again to cancel all")

    def action_release(self) -> None:
        """Release the selected staged order."""
        states = {order.order_id: order.state for order in self._port.view().orders}
        if states.get(self._selected) is OrderState.STAGED:
            self._post(co.ReleaseOrder(source=self._source, order_id=self._selected))
        else:
            self._say("select a staged order to release it")

    def _post(self, command: co.AnyCommand) -> None:
        self._send(command)

    @work(group="send")
    async def _send(self, command: co.AnyCommand) -> None:
        self._tell(await self._port.submit(command))

    def _tell(self, result: co.CommandResult) -> None:
        if result.denials:
            first = result.denials[0]
            self._say(f"DENIED {first.code} {first.value} limit {first.limit} {first.policy_line}: {first.text}")
        else:
            self._say(result.text or result.code)

    # -- around ------------------------------------------------------------------------------------------------------------

    def action_move(self, steps: int) -> None:
        """Move the cursor of the focused table."""
        table = self.focused
        if isinstance(table, LiveTable):
            table.move(steps)
            self._drawn = -1

    def action_help(self) -> None:
        """Show the card."""
        self.push_screen(CardScreen(card()))

    def action_quit_desk(self) -> None:
        """Ask what becomes of the engine."""
        status = self._port.view().status
        self.push_screen(QuitScreen(status.orders_working, status.parents_open, is_ours=self._is_ours), self._leave)

    def _leave(self, choice: str | None) -> None:
        if choice:
            self.exit(choice)


def run_desk(port: EnginePort, settings: Settings, is_ours: bool) -> str:
    """Show the desk until the person leaves; what is to become of the engine."""
    return Desk(port, settings, is_ours=is_ours).run() or "leave"
