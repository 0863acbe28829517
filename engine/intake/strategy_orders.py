"""Orders beyond limit and stop, as a strategy writes them: how one waits, what it shows, when it ends, what goes with it."""

from __future__ import annotations

import msgspec

from engine.domain.errors import InputError
from engine.domain.money import EXACT, Price, Qty, text
from engine.domain.order import WHEN, AlgoSpec, Combo, Link, LinkRole, OrderSpec, OrderType, Side, Tif


class OrderTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What ``ctx.order`` takes beside prices. At most one of ``trail``, ``touch`` and ``to_limit``."""

    trail: Price | None = None
    """A trailing stop at this distance from the best trade."""
    touch: Price | None = None
    """Wait for a trade at this better price; with a limit, then a limit order."""
    to_limit: bool = False
    """Take the best opposing price only; the rest becomes a limit order there."""
    display: Qty | None = None
    """Most of a limit order that is shown at a time."""
    expires_ns: int = 0
    """When a GTD order ends."""

    def kind(self, limit: Price | None, stop: Price | None) -> OrderType:
        """The type of an order with these terms; InputError where they exclude one another."""
        asked = [self.trail is not None, self.touch is not None, self.to_limit, stop is not None]
        if sum(asked) > 1 or ((self.trail is not None or self.to_limit) and limit is not None):
            msg = f"an order waits for one trigger, and only a stop or a touch takes a limit: {self}, limit {limit}, stop {stop}"
            raise InputError(msg)
        if self.trail is not None:
            return OrderType.TRAILING_STOP
        if self.touch is not None:
            return OrderType.MARKET_IF_TOUCHED if limit is None else OrderType.LIMIT_IF_TOUCHED
        if self.to_limit:
            return OrderType.MARKET_TO_LIMIT
        return _TYPES[limit is not None, stop is not None]


PLAIN = OrderTerms()
_TYPES = {
    (False, False): OrderType.MARKET,
    (True, False): OrderType.LIMIT,
    (False, True): OrderType.STOP,
    (True, True): OrderType.STOP_LIMIT,
}


def when_trades(symbol: str, *, above: Price | None = None, below: Price | None = None) -> AlgoSpec:
    """For ``ctx.order(..., algo=...)``: wait in the engine until the symbol trades at or beyond a price. Dies with the engine."""
    if (above is None) is (below is None):
        msg = f"give above or below: they were {above} and {below}"
        raise InputError(msg)
    side, price = ("above", above) if above is not None else ("below", below)
    assert price is not None
    return AlgoSpec(name=WHEN, params={"symbol": symbol, side: text(price)})


def when_time(at_ns: int) -> AlgoSpec:
    """For ``ctx.order(..., algo=...)``: wait in the engine until a time. Dies with the engine."""
    return AlgoSpec(name=WHEN, start_ns=at_ns)


def with_exits(entry: OrderSpec, target: Price | None, guard: Price | None) -> tuple[OrderSpec, tuple[OrderSpec, ...]]:
    """An entry and its exits, good till cancelled; InputError where it has none."""
    exits = []
    plain = msgspec.structs.replace(
        entry, side=entry.side.other, tif=Tif.GTC, limit=None, stop=None, link=Link(LinkRole.LEG), reduce_only=True
    )
    if target is not None:
        exits.append(msgspec.structs.replace(plain, type=OrderType.LIMIT, limit=target))
    if guard is not None:
        exits.append(msgspec.structs.replace(plain, type=OrderType.STOP, stop=guard))
    if not exits:
        msg = "a bracket has a target, a guard, or both"
        raise InputError(msg)
    return msgspec.structs.replace(entry, link=Link(LinkRole.ENTRY)), tuple(exits)


def as_combo(
    plain: OrderSpec, units: int, parts: tuple[tuple[str, Side, Qty], ...], net: Price | None, *, is_legged: bool
) -> tuple[OrderSpec, tuple[OrderSpec, ...]]:
    """Legs of a combination; ``parts`` are symbol, side and quantity of one unit. InputError for fewer than two."""
    if len(parts) < 2:
        msg = f"a combination has at least two legs: {parts}"
        raise InputError(msg)
    link = Link(LinkRole.COMBO, combo=Combo(units, net, is_legged))
    made = [
        msgspec.structs.replace(plain, symbol=symbol, side=side, qty=Qty(EXACT.multiply(qty, Qty(units))), link=link)
        for symbol, side, qty in parts
    ]
    return made[0], tuple(made[1:])


def as_rivals(
    plain: OrderSpec, limits: tuple[Price, ...], stops: tuple[Price, ...]
) -> tuple[OrderSpec, tuple[OrderSpec, ...]]:
    """Orders of which one cancels the others; InputError for fewer than two."""
    plain = msgspec.structs.replace(plain, link=Link(LinkRole.PEER))
    made = [msgspec.structs.replace(plain, type=OrderType.LIMIT, limit=price) for price in limits]
    made += [msgspec.structs.replace(plain, type=OrderType.STOP, stop=price) for price in stops]
    if len(made) < 2:
        msg = f"one order has no other to cancel: limits {limits}, stops {stops}"
        raise InputError(msg)
    return made[0], tuple(made[1:])
