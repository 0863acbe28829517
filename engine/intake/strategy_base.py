"""Write a strategy: a class with parameters, three methods and a context.

A strategy is told of ticks and of its own orders and asks for orders. It has no clock, no file and no broker: time comes
from the context, so that a replay decides the same. Every order says *why*; an empty reason is an error. What must
outlive a restart stands in ``ctx.state`` (text to text) and is journaled after the event that changed it.

An exception, or an event that takes longer than the time budget, disables the strategy with the reason in the journal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Protocol, get_origin, get_type_hints

import msgspec

from engine.domain.errors import InputError
from engine.domain.instrument import Instrument
from engine.domain.money import Money, Price, Qty
from engine.domain.order import AlgoSpec, OrderState, Side, Tif
from engine.intake.strategy_orders import PLAIN, OrderTerms
from engine.intake.words import read_duration
from engine.market.feed import QuoteTick, TradeTick
from engine.market.history import HistoryBar


class OwnFill(msgspec.Struct, frozen=True):
    """An execution of an order of this strategy; a negative quantity is a busted or corrected one taken back."""

    order_id: str
    symbol: str
    side: Side
    qty: Qty
    price: Price
    ts_ns: int


class OwnOrder(msgspec.Struct, frozen=True):
    """An order of this strategy was accepted, refused or ended."""

    order_id: str
    symbol: str
    state: OrderState
    """NEW when accepted, DENIED when the gate refused it, else the state in which it ended."""
    qty_filled: Qty
    why: str = ""


class TimerDue(msgspec.Struct, frozen=True):
    """A timer that the strategy set."""

    name: str
    due_ns: int


class HistoryReady(msgspec.Struct, frozen=True):
    """History of a symbol was loaded: :meth:`StrategyContext.bars` reaches further back from now on."""

    symbol: str
    bars: int
    source: str
    """Where it is from, for people."""


StrategyEvent = QuoteTick | TradeTick | OwnFill | OwnOrder | TimerDue | HistoryReady


class StrategyContext(Protocol):
    """What a strategy may see and ask for."""

    state: dict[str, str]
    """Kept over restarts; change it when something happened, not on each tick (each change is a journal row)."""

    def now_ns(self) -> int:
        """Engine time: in a replay the time of the tape."""
        ...

    def instrument(self, symbol: str) -> Instrument:
        """Terms of a symbol; InstrumentError where it is not known."""
        ...

    def quote(self, symbol: str) -> QuoteTick | None:
        """The newest quote seen of a symbol, of any venue."""
        ...

    def bars(self, symbol: str, period_ns: int, count: int) -> tuple[HistoryBar, ...]:
        """The last so many bars that had ended by now, oldest first: files of history, then what the engine saw itself.

        Periods count from midnight UTC; one without trade has no bar, so fewer may come: check the number before deciding by them. A period is a
        whole number of minutes and a day at most; 10,000 bars at most come (InputError otherwise).
        """
        ...

    def position(self, symbol: str) -> Qty:
        """What this strategy's own fills add up to, signed."""
        ...

    def working(self, symbol: str) -> Qty:
        """What this strategy's open orders may still fill, signed, unknown ones in full."""
        ...

    def target(
        self,
        symbol: str,
        qty: Qty | int,
        *,
        why: str,
        limit: Price | None = None,
        tif: Tif = Tif.DAY,
        algo: AlgoSpec | None = None,
    ) -> str | None:
        """Want a position: order what is missing to it beyond position and working orders, and nothing when called again.

        Working orders that lead away from the target or past it are cancelled first; call again to order the rest. After a
        refusal the same target is not asked for again for 5 seconds. Returns the order's id, None where nothing was ordered.
        """
        ...

    def order(
        self,
        symbol: str,
        side: Side,
        qty: Qty | int,
        *,
        why: str,
        limit: Price | None = None,
        stop: Price | None = None,
        tif: Tif = Tif.DAY,
        post_only: bool = False,
        reduce_only: bool = False,
        algo: AlgoSpec | None = None,
        terms: OrderTerms = PLAIN,
    ) -> str | None:
        """Place an order; its id, or None where it was refused (an :class:`OwnOrder` says why).

        ``terms``: trailing, touched, market-to-limit, shown in part, dated. ``algo``: TWAP, VWAP, or a trigger that the engine waits
        for (``when_trades``, ``when_time`` of :mod:`engine.intake.strategy_orders`).
        """
        ...

    def bracket(
        self,
        symbol: str,
        side: Side,
        qty: Qty | int,
        *,
        why: str,
        target: Price | None = None,
        guard: Price | None = None,
        limit: Price | None = None,
        tif: Tif = Tif.DAY,
    ) -> str | None:
        """Place an order with the exits of its position, as one message: all of them or none. The venue keeps the exits, whether
        an engine lives or not. The entry's id, or None where it was refused.
        """
        ...

    def rivals(
        self,
        symbol: str,
        side: Side,
        qty: Qty | int,
        *,
        why: str,
        limits: tuple[Price, ...] = (),
        stops: tuple[Price, ...] = (),
        tif: Tif = Tif.DAY,
    ) -> str | None:
        """Place orders of which one cancels the others, as one message. The first one's id, or None where they were refused."""
        ...

    def combo(
        self,
        units: int,
        parts: tuple[tuple[str, Side, Qty], ...],
        *,
        why: str,
        net: Price | None = None,
        tif: Tif = Tif.DAY,
        is_legged: bool = False,
    ) -> str | None:
        """Place a combination of two to four legs as one message. The first leg's id, or None where it was refused.

        ``parts``: symbol, side and quantity of one unit, for each leg. ``net``: the most that is paid for a unit, below zero the
        least that is received; None takes what the books show. ``is_legged``: the legs follow one another, one can stay alone.
        """
        ...

    def cancel(self, order_id: str) -> None:
        """Ask for the cancel of an own order; of another's: InputError."""
        ...

    def timer(self, name: str, at_ns: int) -> None:
        """Ask for a :class:`TimerDue`; a timer of the same name is replaced. Timers end with the strategy."""
        ...


class Strategy:
    """Base of all strategies. Parameters are annotated class attributes; one without a value must be given.

    Types: ``str``, ``int``, ``bool``, ``Qty``, ``Price``, ``Money``. An ``int`` whose name ends in ``_ns`` also reads a duration
    (``30s``, ``5m``, ``1h30m``). A name that starts with ``_`` is no parameter.
    """

    name: ClassVar[str] = ""
    """Empty means the class's own name."""
    wants_ticks: ClassVar[bool] = True
    """False: told of timers and own orders only, and ``ctx.quote`` still answers. A simulated run of columns of ticks then goes straight to
    the next tick that can matter."""

    def symbols(self) -> tuple[str, ...]:
        """Symbols whose ticks are wanted; by default the parameter ``symbol``."""
        symbol = getattr(self, "symbol", "")
        return (symbol,) if symbol else ()

    def check(self) -> None:
        """Refuse parameters by raising InputError; called before the start, without a context."""

    def on_start(self, ctx: StrategyContext) -> None:
        """Begin, or go on with what ``ctx.state`` holds."""

    def on_event(self, ctx: StrategyContext, event: StrategyEvent) -> None:
        """Something happened."""

    def on_stop(self, ctx: StrategyContext) -> None:
        """Stopped by a person: cancel what should not stay. Not called by a halt, which cancels by itself."""


_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
_INT = re.compile(r"-?[0-9]{1,18}")
_BOOLS = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


def strategy_name(kind: type[Strategy]) -> str:
    """The name by which a strategy is started; InputError where it is none."""
    name = kind.name or kind.__name__
    if not _NAME.fullmatch(name):
        msg = f"strategy name {name!r} must be a letter and up to 31 letters, digits or _"
        raise InputError(msg)
    return name


def parameters(kind: type[Strategy]) -> dict[str, Any]:
    """Parameter names and types, in the order they are declared."""
    hints = get_type_hints(kind)
    found = {
        name: hint for name, hint in hints.items() if not name.startswith("_") and get_origin(hint) is not ClassVar
    }
    for name, hint in found.items():
        if hint not in _READERS:
            msg = f"{kind.__name__}.{name}: {hint} is no parameter type; use {', '.join(t.__name__ for t in _READERS)}"
            raise InputError(msg)
    return found


def make_strategy(kind: type[Strategy], words: Mapping[str, str]) -> Strategy:
    """A strategy with its parameters read from text; InputError names the parameter, the value and the rule."""
    name = strategy_name(kind)
    declared = parameters(kind)
    unknown = sorted(set(words) - set(declared))
    if unknown:
        msg = f"{name} has no parameter {unknown[0]!r}; it has {', '.join(declared) or 'none'}"
        raise InputError(msg)
    made = kind()
    for parameter, hint in declared.items():
        if parameter in words:
            setattr(made, parameter, _read(name, parameter, hint, words[parameter]))
        elif not hasattr(kind, parameter):
            msg = f"{name} needs the parameter {parameter}=..."
            raise InputError(msg)
    made.check()
    return made


def _read(strategy: str, parameter: str, hint: Any, word: str) -> Any:
    duration = read_duration(word.lower()) if hint is int and parameter.endswith("_ns") else None
    if duration is not None:
        return duration
    try:
        return _READERS[hint](word)
    except InputError as error:
        msg = f"{strategy}: {parameter} was {word!r}; {error}"
        raise InputError(msg) from None


def _read_int(word: str) -> int:
    if not _INT.fullmatch(word):
        msg = "expected a whole number"
        raise InputError(msg)
    return int(word)


def _read_bool(word: str) -> bool:
    if word.lower() not in _BOOLS:
        msg = f"expected one of {', '.join(_BOOLS)}"
        raise InputError(msg)
    return _BOOLS[word.lower()]


_READERS: dict[Any, Callable[[str], str | int | bool | Decimal]] = {
    str: str,
    int: _read_int,
    bool: _read_bool,
    Qty: Qty,
    Price: Price,
    Money: Money,
}
