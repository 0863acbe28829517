"""The desk: it draws the engine's pictures and posts commands. It holds no truth of its own.

What is on the screen may be late; what the engine does is not. A key acts on the order whose id is under the cursor, an
order leaves only from its preview, and the halt keys are read in the terminal's input thread (:mod:`bolt_tui.halt_keys`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events, on
from textual.app import ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import Input

from bolt_tui import keymap, themes
from bolt_tui.alert_file import AlertFile
from bolt_tui.compositor import DeskScreen, hasten
from bolt_tui.desk_base import NEVER_DRAWN
from bolt_tui.drain import Drain
from bolt_tui.escape_key import KeyDone, without_alt
from bolt_tui.halt_keys import HALT_KEYS, DeskDriver, HaltSeen
from bolt_tui.keymap import Place, bindings, card, commands, goes_first
from bolt_tui.meanwhile import Seen, meanwhile, seen_of
from bolt_tui.order_entry import OrderEntry
from bolt_tui.order_keys import OrderKeys
from bolt_tui.painter import CellPainter
from bolt_tui.pane_keys import PaneKeys
from bolt_tui.screens.dialog import DIALOG_CSS, Dialog
from bolt_tui.screens.dialogs import CardScreen, QuitAloneScreen, QuitScreen, Quitting, RearmScreen
from bolt_tui.screens.filter_bar import FilterBar, FilterWords
from bolt_tui.screens.flatten import FlattenScreen
from bolt_tui.screens.floor import Floor
from bolt_tui.screens.footer import FooterLine
from bolt_tui.settings import Settings
from engine.domain import commands as co
from engine.domain.clock import NS_PER_S, Clock, SystemClock
from engine.views import DeskView, HaltView
from widgets.ascii_filter import AsciiFilter
from widgets.blotter import Blotter
from widgets.formats import clock_second
from widgets.frame import Frame, frame_of
from widgets.kill_banner import KillBanner
from widgets.live_table import LiveTable
from widgets.messages import DeskExit, EnginePort, LooksBack
from widgets.past_banner import PastBanner
from widgets.position_strip import DayLine, PositionStrip
from widgets.quick_order_pad import QuickOrderPad
from widgets.status_bar import StatusBar
from widgets.trade_log_panel import TradeLogPanel

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.driver import Driver
    from textual.filter import LineFilter

ASKED_SHOWN_NS = 30 * NS_PER_S
"""How long the desk says by itself that its halt key was pressed, where the engine does not show it."""
NO_ORDERS_THEN = "no orders at this instant: ] and } go on, [ and { back"
CUT_SAID_NS = 2 * NS_PER_S
"""An engine that answers again sooner is not worth a sentence."""
WITHOUT_ENGINE = "`bolt kill` cancels at the venue without an engine; ^q, then `bolt`, starts one again"
DATA_HZ = 10
SLOW_EVERY_NS = NS_PER_S // 4
"""Between two pictures on a slow line."""
NOTE_EVERY_NS = 2 * NS_PER_S
"""How often it is noted how far the log was shown."""
PARTS = (StatusBar, DayLine, KillBanner, Blotter, TradeLogPanel, FilterBar, QuickOrderPad, FooterLine)


class Desk(OrderEntry, OrderKeys, PaneKeys):
    """The whole desk; its result is a :class:`DeskExit`.

    Args:
        port: the engine.
        settings: the owner's settings: theme and data rate.
        is_ours: whether this desk started the engine; leaving any other one just leaves.
        hz: pictures drawn per second where the settings do not say.
        is_ascii: draw with ASCII characters only.
        link: ``slow`` or ``fast`` as the person said, ``auto`` where the line to the terminal is measured.
        seen: how far an earlier desk had shown this engine's log.
        keep_seen: keeps that for the next desk.
        exports: folder for exported tables.
        unlisted: what is known of a symbol that no broker lists.
        alerts: keeps the price alerts for the next desk.
        halted_here: the halt that this process ran by itself, for while no engine shows one.
        has_few_colours: the terminal knows sixteen colours; decides what the theme ``auto`` is.
    """

    ENABLE_COMMAND_PALETTE = True
    TITLE = "Bolt"
    CSS_PATH = "desk.tcss"
    CSS = DIALOG_CSS
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (180, "-wall")]  # noqa: RUF012 - Textual declares it so
    VERTICAL_BREAKPOINTS = [(0, "-short"), (22, "-low"), (34, "-high"), (50, "-tall")]  # noqa: RUF012 - as above
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Place.EVERYWHERE), *bindings(Place.DESK)]

    def __init__(
        self,
        port: EnginePort,
        settings: Settings,
        *,
        is_ours: bool,
        clock: Clock | None = None,
        hz: float = DATA_HZ,
        is_ascii: bool = False,
        link: str = "auto",
        seen: Seen | None = None,
        keep_seen: Callable[[Seen], None] = lambda _: None,
        has_few_colours: bool = False,
        exports: Path | None = None,
        unlisted: Callable[[str], str] | None = None,
        alerts: AlertFile | None = None,
        halted_here: Callable[[], HaltView | None] = lambda: None,
    ) -> None:
        super().__init__(port, clock or SystemClock())
        self.exports = exports
        self._link = link
        self._halted_here = halted_here
        self._drain = Drain()
        self._seen = seen
        self._keep_seen = keep_seen
        self._ticked_ns = self._asked_ns = self._noted_ns = -NS_PER_S
        self._was_slow = self._was_cut = False
        self._was_on = True
        self._cut_ns = 0
        """Since when no engine answers; 0 where that was said."""
        self._behind: list[events.Key] | None = None
        """Keys that wait until the one before them has done its work; None where none do."""
        self._behind_ns = 0
        self._is_ours = is_ours
        self._presets = settings.presets
        self._unlisted = unlisted
        self._hz = settings.desk.updates_per_s or hz
        self._halt_asked_ns = 0
        self._is_built = False
        self._is_loud = settings.desk.bell
        self._start_panes(alerts)
        self.keys = keymap.remapped(settings.desk.keys)
        self._own_keys = frozenset(
            part for keys in keymap.changed(settings.desk.keys).values() for part in keys.split(",")
        )
        self.set_keymap(keymap.changed(settings.desk.keys))
        self._themes = themes.shipped()
        if settings.desk.up_colour == "swapped":
            self._themes = {name: themes.swapped(theme) for name, theme in self._themes.items()}
        for theme in self._themes.values():
            self.register_theme(theme)
        self.theme = themes.chosen(settings.desk.theme, self._themes, has_few_colours=has_few_colours).name
        self._painter = CellPainter()
        self._ascii = AsciiFilter(enabled=is_ascii)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own colour names, for any theme that does not have them."""
        return dict(themes.shipped()["dark"].variables)

    def get_driver_class(self) -> type[Driver]:
        """Ours, on a terminal."""
        return DeskDriver

    def get_default_screen(self) -> Screen[None]:
        """Ours, which renders what changed and nothing else."""
        return DeskScreen()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's own, and ours for terminals that know ASCII only."""
        return [*super().get_line_filters(), *([self._ascii] if self._ascii.enabled else [])]

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Textual hands every picture to the terminal here; ours leaves out the cells that stand there already."""
        super()._display(screen, None if renderable is None else cast("RenderableType", self._painter.wrap(renderable)))

    def on_app_focus(self) -> None:
        """The terminal was out of sight: whatever happened to its screen is painted over."""
        self.action_redraw()

    def action_redraw(self) -> None:
        """Paint every cell again."""
        self._painter.forget()
        self.screen.refresh(layout=True)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette's entries: our own actions only, so that none of Textual's can end the desk unasked."""
        del screen
        for key in commands():
            yield SystemCommand(key.name, key.help, lambda action=key.action: self.run_worker(self.run_action(action)))
        for name in self._themes:
            yield SystemCommand(f"Theme: {name}", f"draw in the theme {name}", partial(self.action_theme, name))

    def compose(self) -> ComposeResult:
        """One tree for every mode and size."""
        yield StatusBar()
        yield PastBanner()
        yield DayLine()
        yield KillBanner()
        yield Floor()
        yield FilterBar(self.apply_filter, self.end_filter)
        yield QuickOrderPad(self._complete)
        yield FooterLine(Place.DESK)

    def on_mount(self) -> None:
        """Draw, and go on drawing at the data rate."""
        self._base = self.screen
        self._base.add_class(self.mode_shown)
        if isinstance(self._port, LooksBack):
            self._orders.nothing = self._orders.empty = NO_ORDERS_THEN
            self._pad.line.placeholder = "the past takes no orders"
            self._say("[ and ] go a line of the log back and on, { and } a minute; ^q leaves, and `bolt` shows now")
        self._orders.focus()
        self.draw()
        self.call_after_refresh(self.draw)
        self.set_interval(1 / self._hz, self._tick)
        self._greet()

    # -- keys of a burst ---------------------------------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        """Keys behind the enter that ends the filter line wait until the pane has the focus again, as they were typed for it."""
        if isinstance(event, HaltSeen):
            self._show_halt()
        elif not isinstance(event, events.Key) or event.is_forwarded or event.key in HALT_KEYS:
            await super().on_event(event)
        elif event.key.startswith("alt+") and event.key not in self._own_keys:
            for key in without_alt(event, is_typing=isinstance(self.focused, Input)):
                await self._take(key)
        else:
            await self._take(event)

    async def _take(self, key: events.Key) -> None:
        """Hand on one key; where it may change who gets the next one, those behind it wait until it has done its work."""
        if self._behind is not None:
            self._behind.append(key)
            return
        ends_filter = key.key == "enter" and isinstance(self.focused, FilterWords)
        top = self.screen
        leads_away = key.key == "escape" or (isinstance(top, Dialog) and not top.HAS_FIELDS)
        if ends_filter or leads_away:
            self._behind, self._behind_ns = [], self._clock.monotonic_ns()
        receiver = self.focused or top
        await super().on_event(key)
        if leads_away and not ends_filter:
            receiver.post_message(KeyDone())  # takes the way that the key takes, behind it

    async def on_key_done(self) -> None:
        """The key has done its work."""
        await self.on_typed_line_settled()

    async def on_typed_line_settled(self) -> None:
        """The line has done what enter asked for: what was typed behind it comes now, in its order."""
        held, self._behind = self._behind or [], None
        for event in held:
            await self._take(event)

    # -- the line to the terminal, and to the engine -----------------------------------------------------------------------

    def drained_from_driver(self) -> None:
        """From the terminal's input thread: everything drawn before the question was read."""
        self._drain.answer(self._clock.monotonic_ns())

    def _tick(self) -> None:
        """Draw as often as the terminal takes it; one that has stopped reading gets nothing more until it reads again."""
        now_ns = self._clock.monotonic_ns()
        if self._link == "auto":
            if self._drain.is_stalled(now_ns) or (self._drain.is_slow and now_ns - self._ticked_ns < SLOW_EVERY_NS):
                return
            if self._drain.is_slow != self._was_slow:
                self._was_slow = self._drain.is_slow
                self._say("the line is slow: four pictures a second" if self._was_slow else "the line is fast again")
            if isinstance(self._driver, DeskDriver) and self._drain.may_ask() and now_ns - self._asked_ns >= NS_PER_S:
                self._asked_ns = now_ns
                self._drain.ask(now_ns)
                self._driver.ask_drained()
        self._ticked_ns = now_ns
        if self._behind is not None and now_ns - self._behind_ns > NS_PER_S:
            self.call_next(self.on_typed_line_settled)  # whatever became of the line, the keyboard stays alive
        self.draw()
        self._look(now_ns)

    def _greet(self) -> None:
        """Attached to an engine that went on alone: what happened meanwhile."""
        if not self._is_ours and (words := meanwhile(self._port.view(), self._seen)):
            self._say(f"attached again; {words}")

    def _look(self, now_ns: int) -> None:
        """Note how far has been shown, and say what happened while the line to the engine was down."""
        view = self._port.view()
        if not self._port.connected:
            if not self._was_cut:
                self._was_cut, self._cut_ns = True, now_ns
            elif self._cut_ns and now_ns - self._cut_ns >= CUT_SAID_NS:
                self._cut_ns = 0
                self._say(f"what is shown is of {clock_second(view.status.ts_ns)}Z. {WITHOUT_ENGINE}", "bad")
            return
        is_on = view.status.halt.state == "active"
        if is_on and not self._was_on and "is halted" in self.said:
            self._say("trading is on again")  # what was refused for the halt would be said beside a desk that trades
        self._was_on = is_on
        if self._was_cut:
            self._was_cut = False
            self._say(f"the engine answers again; {meanwhile(view, self._seen)}")
        if now_ns - self._noted_ns >= NOTE_EVERY_NS and (self._seen is None or self._seen.seq != view.status.head_seq):
            self._noted_ns = now_ns
            self._seen = seen_of(view)
            self._keep_seen(self._seen)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The keys that go first are letters where text is typed, and do nothing behind a dialog."""
        del parameters
        if goes_first(action):
            return self.screen is self._base and not isinstance(self.focused, Input)
        return True

    # -- drawing -----------------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Show the newest picture on the desk, whatever lies above it. Nothing is drawn where nothing changed."""
        # The timer also fires while the tree is being built or taken down, part by part.
        if not self._is_built:
            self._is_built = all(self._base.query(part) for part in PARTS)
        if not self._is_built or not self._base.is_attached:
            return
        view = self._port.view()
        now_ns = self._clock.now_ns()
        trouble = "" if self._port.connected else self._port.link_text or "the line is down"
        halt = self._halt_of(view)
        if self._halt_asked_ns and (halt.state == "halted" or now_ns - self._halt_asked_ns > ASKED_SHOWN_NS):
            self._halt_asked_ns = 0
        self._part(StatusBar).draw(view, trouble)
        if isinstance(self._port, LooksBack):
            self._part(PastBanner).draw(self._port.words(), self._port.missing())
            now_ns = view.status.ts_ns
        self._part(KillBanner).draw(halt, now_ns, self._halt_asked_ns)
        self._draw_footer()
        state = (self._port.version(), now_ns // NS_PER_S, self._symbol)
        if bool(trouble) != self._is_old:
            self._is_old, self._drawn = bool(trouble), NEVER_DRAWN
        if state == self._drawn:
            return
        self._drawn = state
        self._draw_panes(self._ageing.of(view) if trouble else view, now_ns)

    def _halt_of(self, view: DeskView) -> HaltView:
        """The engine's halt; that of this process where no engine answers and none has been heard since."""
        here = None if self._port.connected else self._halted_here()
        return here if here is not None and here.ts_ns > view.status.ts_ns else view.status.halt

    def _draw_panes(self, view: DeskView, now_ns: int) -> None:
        self._part(DayLine).draw(view)
        if self._awaited and (
            any(order.order_id == self._awaited for order in view.orders)
            or any(basket.basket_id == self._awaited for basket in view.baskets)
        ):
            # The person's own new order or basket: it is selected where it belongs.
            self._select(self._awaited)
            self._awaited = ""
        if self._released and self._is_out(view, self._released):
            # It stood still below a heading that says that nothing of it has left.
            if self._orders.selected == self._released:
                self._select(self._released)
            self._released = ""
        self._check_alerts(view, now_ns, is_loud=self._is_loud)
        self._floor.draw(self._frame(view, now_ns))
        if not isinstance(self._base.focused, Input):  # what an order began with stays while it is typed
            self._aim(view)

    def _frame(self, view: DeskView, now_ns: int) -> Frame:
        """The picture with what the cursor points to; at first that is the symbol of the newest order or book."""
        order = self._order(view)
        known = {book.symbol for book in view.books}
        if not self._symbol and known:
            newest = max(view.orders, key=lambda item: item.created_ns, default=None)
            self._symbol = newest.symbol if newest and newest.symbol in known else view.books[0].symbol
        return frame_of(view, now_ns, self._symbol, order.order_id if order is not None else "")

    def _draw_footer(self) -> None:
        focused = self._base.focused
        place = Place.DESK
        if isinstance(focused, Input):
            place = Place.FILTER if isinstance(focused.parent, FilterBar) else Place.LINE
        self._part(FooterLine).draw(place)

    def on_resize(self) -> None:
        """Widths decide what is shown."""
        self._painter.forget()
        self._pane_resized()

    @on(LiveTable.Resized)
    def _pane_resized(self) -> None:
        # A pane learns its size after a mode or a terminal has changed; many do at once, and one drawing is enough.
        self._drawn = NEVER_DRAWN
        self.call_after_refresh(self.draw)

    # -- halting -----------------------------------------------------------------------------------------------------------

    def halt_from_driver(self) -> None:
        """From the terminal's input thread; nothing of the screen is touched here."""
        self._port.halt_now(self._who)

    def action_halt(self) -> None:
        """Halt, where no driver of ours saw the key: from the command palette, and from any other driver."""
        self._port.halt_now(self._who)
        self._show_halt()

    def _show_halt(self) -> None:
        """Say that a halt was asked for."""
        if isinstance(self._port, LooksBack):
            self._say(
                "HALT sent to what runs now; the past shown here does not change. `bolt status` says what came of it",
                "bad",
            )
            return
        self._halt_asked_ns = self._clock.now_ns()
        self.draw()

    def action_rearm(self) -> None:
        """Ask for word and reason; the engine judges."""
        if self._port.view().status.halt.state == "active" and not self._port.view().status.halt.scopes:
            self._say("trading is on; there is nothing to re-arm")
            return

        async def ask(word: str, reason: str) -> co.CommandResult:
            return await self._port.submit(co.Rearm(source=self._source, word=word, reason=reason))

        def end(is_on: bool | None) -> None:
            self._say(
                "re-armed: trading is on" if is_on else "not re-armed; trading stays halted", "good" if is_on else ""
            )

        self.push_screen(RearmScreen(self._port.view, ask, self._clock.now_ns), end)

    def action_flatten(self) -> None:
        """The second rung: the position under the cursor where that pane has the focus, else everything. Asks for the word."""
        strip = self._base.query_one(PositionStrip)
        row = strip.row if self.focused is strip else None
        symbol = row.id.split("/", 2)[-1] if row is not None else ""
        scope = co.HaltScope(co.HaltScopeKind.SYMBOL, symbol) if symbol else co.HaltScope()

        def end(is_asked: bool | None) -> None:
            if not is_asked:
                self._say("not flattened; everything stays as it is")
                return
            self._say(f"flattening {symbol or 'everything'}: halted first; the receipt says what is left")
            self._post(co.Halt(source=self._source, scope=scope, why="flattened from the desk", flatten=True))

        self.push_screen(FlattenScreen(self._port.view, symbol), end)

    # -- looking back ------------------------------------------------------------------------------------------------------

    def action_scrub(self, steps: int) -> None:
        """Move the past: by lines of the log, or by a minute."""
        past = self._port
        if not isinstance(past, LooksBack):
            self._say("this is now; `bolt --at 14:42:06` looks back over the ledger")
        elif abs(steps) == 1:
            past.step(steps)
        else:
            past.move(steps)
        self.draw_anew()

    # -- around -----------------------------------------------------------------------------------------------------------

    def action_theme(self, name: str = "") -> None:
        """The theme of a name, or the next shipped one."""
        names = [theme.name for theme in self._themes.values()]
        at = names.index(self.theme) if self.theme in names else -1
        self.theme = f"bolt-{name}" if name else names[(at + 1) % len(names)]
        self._say(f"theme {self.theme.removeprefix('bolt-')}; desk.theme in settings.yaml keeps it")

    def action_help(self) -> None:
        """Show the card."""
        self.push_screen(CardScreen("KEYS", card(min(72, self.size.width - 8), self.keys)))

    def action_quit_desk(self) -> None:
        """Ask what becomes of an engine this desk started; any other one goes on."""
        if not self._is_ours:
            self.exit(DeskExit.LEAVE)
            return
        if isinstance(self.screen, Quitting):
            return
        status = self._port.view().status
        made = QuitScreen if self._port.connected else QuitAloneScreen
        self.push_screen(made(status.orders_working, status.parents_open, status.orders_unknown), self._leave)

    def _leave(self, choice: str | None) -> None:
        if choice:
            self.exit(choice)


def run_desk(port: EnginePort, settings: Settings, is_ours: bool, **how: Any) -> DeskExit:
    """Show the desk until the person leaves; what is to become of the engine. Ended any other way, the engine goes on.

    ``how``: further arguments of :class:`Desk`.
    """
    hasten()
    return DeskExit(Desk(port, settings, is_ours=is_ours, **how).run() or DeskExit.LEAVE)
