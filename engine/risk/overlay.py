"""The desk as it would be once some orders have left: what the second line of a basket is judged on (C28).

Exposure, counts, rates, turnover and duplicates of the orders ahead are added to what the engine has; everything else is the
engine's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, cast

from engine.domain.money import EXACT, ZERO_QTY, Qty
from engine.domain.order import OrderSpec, Side, Source
from engine.risk.controls_history import History, shape, source_name
from engine.risk.exposure import OpenOrder, RiskView


class Overlay:
    """Orders ahead, and the two things that the gate reads: :attr:`view` and :attr:`history`."""

    def __init__(self, view: RiskView, history: History) -> None:
        self._base, self._past = view, history
        self._ahead: list[OpenOrder] = []
        self._worth: list[tuple[str, str, Decimal]] = []
        """Account, currency and amount of each."""
        self._sent: list[tuple[OrderSpec, Source, int]] = []

    def add(
        self, order_id: str, spec: OrderSpec, source: Source, now_ns: int, worth: tuple[str, Decimal] | None
    ) -> None:
        """Count an order as sent; ``worth`` is its currency and amount."""
        self._ahead.append(
            OpenOrder(
                order_id=order_id, account=spec.account, symbol=spec.symbol, side=spec.side, leaves=spec.qty,
                type=spec.type, limit=spec.limit, stop=spec.stop, source=source,
            )
        )  # fmt: skip
        self._sent.append((spec, source, now_ns))
        if worth is not None:
            self._worth.append((spec.account, *worth))

    @property
    def pair(self) -> tuple[RiskView, History]:
        """What the gate is given in place of its own."""
        return cast("RiskView", _View(self, self._base)), cast("History", _History(self, self._past))

    def open_orders(self, account: str | None, symbol: str | None) -> list[OpenOrder]:
        """Orders ahead, of one account or symbol where it is named."""
        return [
            one
            for one in self._ahead
            if (account is None or one.account == account) and (symbol is None or one.symbol == symbol)
        ]

    def qty(self, account: str, symbol: str, side: Side) -> Qty:
        """What they would fill on a side."""
        found = [one.leaves for one in self.open_orders(account, symbol) if one.side is side]
        return Qty(sum(found, ZERO_QTY))

    def messages(self, kind: str, name: str) -> int:
        """Messages that they are."""
        return sum(
            name == (source_name(source) if kind == "source" else spec.account if kind == "account" else spec.broker)
            for spec, source, _ in self._sent
        )

    def seen_ns(self, spec: OrderSpec) -> int | None:
        """When the same order was among them."""
        return next((at_ns for one, _, at_ns in self._sent if shape(one) == shape(spec)), None)

    def turnover(self, account: str) -> dict[str, Decimal]:
        """Their amounts by currency."""
        found: dict[str, Decimal] = {}
        for name, currency, amount in self._worth:
            if name == account:
                found[currency] = EXACT.add(found.get(currency, Decimal(0)), amount)
        return found


class _View:
    """The engine's view with the orders ahead in it."""

    def __init__(self, overlay: Overlay, base: RiskView) -> None:
        self._overlay, self._base = overlay, base

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    def open_qty(self, account: str, symbol: str, side: Side) -> Qty:
        return Qty(self._base.open_qty(account, symbol, side) + self._overlay.qty(account, symbol, side))

    def open_orders(self, account: str | None, symbol: str | None) -> Iterable[OpenOrder]:
        return [*self._base.open_orders(account, symbol), *self._overlay.open_orders(account, symbol)]

    def open_count(self, account: str, symbol: str | None) -> int:
        return self._base.open_count(account, symbol) + len(self._overlay.open_orders(account, symbol))

    def positions(self, account: str) -> Iterable[tuple[str, Qty]]:
        found = dict(self._base.positions(account))
        for one in self._overlay.open_orders(account, None):
            found.setdefault(one.symbol, ZERO_QTY)
        return list(found.items())


class _History:
    """The gate's memory with the orders ahead in it."""

    def __init__(self, overlay: Overlay, past: History) -> None:
        self._overlay, self._past = overlay, past

    def __getattr__(self, name: str) -> Any:
        return getattr(self._past, name)

    def messages(self, kind: str, name: str, now_ns: int) -> int:
        return self._past.messages(kind, name, now_ns) + self._overlay.messages(kind, name)

    def seen_ns(self, spec: OrderSpec) -> int | None:
        ahead = self._overlay.seen_ns(spec)
        return self._past.seen_ns(spec) if ahead is None else ahead

    def day_orders(self, account: str) -> int:
        return self._past.day_orders(account) + len(self._overlay.open_orders(account, None))

    def order_to_trade(self, account: str, ratio_from: Decimal) -> int:
        # Nothing ahead has traded yet: at worst each of them is one message more for the executions there are.
        more = len(self._overlay.open_orders(account, None))
        return (
            self._past.order_to_trade(account, ratio_from) + more
            if more
            else self._past.order_to_trade(account, ratio_from)
        )

    def day_turnover(self, account: str) -> dict[str, Decimal]:
        found = dict(self._past.day_turnover(account))
        for currency, amount in self._overlay.turnover(account).items():
            found[currency] = EXACT.add(found.get(currency, Decimal(0)), amount)
        return found
