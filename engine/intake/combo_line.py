"""The line of a combination: ``combo 10 buy 1 ESH7 sell 1 ESM7 @-12.25 [tif] [legged] [acct: broker:]``.

How often, then two to four legs with their side and their quantity in one unit, then the net price of a unit: what is paid for
the bought legs less what is received for the sold ones. ``@mkt`` takes what the books show. ``legged`` gives up the guarantee that all legs of a
unit are done or none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from engine.domain.money import EXACT, Price, Qty, text
from engine.domain.order import Combo, Link, LinkRole, OrderSpec, OrderType, Side, Tif
from engine.intake.drafts import NewOrderDraft
from engine.intake.line_words import Words
from engine.intake.presets import Default
from engine.intake.words import read_price, read_size

COMBO = "combo"
LEGGED = "legged"
LEGS_MIN, LEGS_MAX = 2, 4
UNITS_MAX = 1_000_000
_TIFS = {str(tif): tif for tif in (Tif.DAY, Tif.GTC, Tif.IOC, Tif.FOK)}
COMBO_OPTIONS = (*_TIFS, LEGGED, "acct:", "broker:")
"""Words that may follow the net price."""
_NET = ("a net price of one unit: @-12.25, @mkt",)
_SIDES = {"b": Side.BUY, "buy": Side.BUY, "s": Side.SELL, "sell": Side.SELL}
_UNITS = re.compile(r"[0-9]{1,7}")


class Leg(NamedTuple):
    """One leg as typed."""

    side: Side
    ratio: Qty
    symbol: str


class Routes(NamedTuple):
    """Where it goes where the line does not say, and what reads the words that do."""

    broker: str
    account: str
    symbol: Callable[[Words], str]
    """Reads a symbol."""
    route: Callable[[str, str], str]
    """``acct`` or ``broker`` and what was typed behind it -> the name."""


def read_combo(words: Words, routes: Routes) -> NewOrderDraft:
    """Read the words behind ``combo``; raises ``Wrong`` at the first that is not understood."""
    said = words.take(("how many units: combo 10",), ("1", "10"))
    if not _UNITS.fullmatch(said) or not 1 <= int(said) <= UNITS_MAX:
        raise words.fail("no number of units", (f"a whole number from 1 to {UNITS_MAX}",))
    units, legs = int(said), _legs(words, routes)
    net = _net(words)
    options = _options(words, routes)
    combo = Combo(units, net, options.get(LEGGED) == LEGGED)
    link, tif = Link(LinkRole.COMBO, combo=combo), _TIFS[options.get("tif", "day")]
    specs = [
        OrderSpec(
            symbol=leg.symbol, side=leg.side, qty=Qty(EXACT.multiply(leg.ratio, Qty(units))), type=OrderType.MARKET, tif=tif,
            broker=options.get("broker", routes.broker), account=options.get("acct", routes.account), link=link,
        )
        for leg in legs
    ]  # fmt: skip
    defaults = [
        Default(name, value, where)
        for name, option, value, where in (
            ("tif", "tif", str(tif), "the grammar"),
            ("account", "acct", routes.account, "the desk"),
            ("broker", "broker", routes.broker, "the desk"),
        )
        if option not in options
    ]
    return NewOrderDraft(spec=specs[0], linked=tuple(specs[1:]), echo=_echo(legs, combo, tif), defaults=tuple(defaults))


def _legs(words: Words, routes: Routes) -> list[Leg]:
    legs: list[Leg] = []
    while True:
        more = () if len(legs) < LEGS_MIN else ("@",)
        expected = (f"leg {len(legs) + 1}: buy 1 ESH7",) if len(legs) < LEGS_MAX else ()
        word = words.take((*expected, *(_NET if more else ())), ((*_SIDES,) if len(legs) < LEGS_MAX else ()) + more)
        if word.startswith("@") and len(legs) >= LEGS_MIN:
            words.next -= 1
            return legs
        side = _SIDES.get(word.lower())
        if side is None or len(legs) == LEGS_MAX:
            raise words.fail("not understood" if side is None else f"a combo has at most {LEGS_MAX} legs", _NET)
        ratio = read_size(words.take(("the leg's quantity in one unit: 1",), ("1", "2")).lower())
        if not isinstance(ratio, Qty):
            raise words.fail("no quantity of one unit", ("a plain number: 1",))
        symbol = routes.symbol(words)
        if any(symbol == leg.symbol for leg in legs):
            raise words.fail(f"{symbol} is a leg already", ("another symbol",))
        legs.append(Leg(side, ratio, symbol))


def _net(words: Words) -> Price | None:
    word = words.take(_NET)[1:].lower()
    if word == "mkt":
        return None
    price = read_price(word)
    if not isinstance(price, Price):
        raise words.fail("no net price", _NET)
    return price


def _options(words: Words, routes: Routes) -> dict[str, str]:
    found: dict[str, str] = {}
    expected = (*_TIFS, LEGGED, "acct:NAME", "broker:NAME")
    while not words.is_done:
        word = words.take(())
        low = word.lower()
        name, colon, value = word.partition(":")
        option = "tif" if low in _TIFS else LEGGED if low == LEGGED else name.lower() if colon else ""
        if option not in {"tif", LEGGED, "acct", "broker"}:
            raise words.fail("not understood", expected)
        if option in found:
            raise words.fail(f"the {option} was given already", expected)
        found[option] = routes.route(option, value) if colon else low
    return found


def _echo(legs: list[Leg], combo: Combo, tif: Tif) -> str:
    said = ", ".join(f"{leg.side} {text(EXACT.multiply(leg.ratio, Qty(combo.units)))} {leg.symbol}" for leg in legs)
    price = "at what the books show" if combo.net is None else f"for a net price of {text(combo.net)} a unit or better"
    kind = (
        "not guaranteed: the legs follow one another, and one may stay alone"
        if combo.legged
        else "all legs of a unit or none"
    )
    return f"combo of {combo.units}: {said}; {price}; {tif}; {kind}"
