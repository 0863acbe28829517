"""Limits of fixed intervals: so many orders without an execution, so much request weight, from one full interval to the next.

As Binance publishes them (faqs/order_count_decrement.md, rest-api.md): an order that is placed counts one, an order's first execution takes
one off again whenever it was placed, below zero it never goes; a cancel, an expiry and a refusal change nothing. Weight is counted for
whatever is sent, refused or not. Intervals begin at whole multiples of their length, a day at midnight UTC. What the venue may give back
beyond one, for orders that rested first, is not published as a figure and is not modelled.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from brokers.paper.checks import Refusal
from engine.domain.clock import NS_PER_S


class Message(StrEnum):
    """What an account sends."""

    NEW = "new"
    AMEND = "amend"
    CANCEL = "cancel"
    ORDER_QUESTION = "order question"
    STATE_QUESTION = "state question"


class Limit(msgspec.Struct, frozen=True):
    """At most so much in each interval."""

    span_s: int
    most: int
    code: str
    text: str
    source: str
    weights: dict[Message, int] = {}
    """Request weight of each message; empty for a limit that counts orders without an execution."""


class Tally(msgspec.Struct, kw_only=True):
    """One account in one limit: what a venue remembers over a restart."""

    account: str
    at: int
    """Number of the limit."""
    start: int = 0
    """Number of the interval."""
    count: int = 0
    over_ns: int = -1
    """When it last refused; -1 for never."""
    until_ns: int = 0
    """End of a ban that came of it."""


class Tallies:
    """Counts what accounts send.

    Args:
        limits: of the broker.
        ban_s: for so long nothing is taken of who sends on in the interval of a refusal; 0: nobody is banned.
    """

    def __init__(self, limits: tuple[Limit, ...], ban_s: int) -> None:
        self._limits, self._ban_ns = limits, ban_s * NS_PER_S
        self._kept: dict[tuple[str, int], Tally] = {}
        self._changed: dict[tuple[str, int], Tally] = {}

    def refusal(self, account: str, now_ns: int, message: Message) -> Refusal | None:
        """Why a message that arrives now is not taken; None where it is. Counts its weight, and no order yet."""
        found = None
        for at, limit in enumerate(self._limits):
            tally = self._tally(account, at, now_ns)
            if limit.weights:
                tally.count += limit.weights.get(message, 0)
                is_over = tally.count > limit.most
            else:
                is_over = message in {Message.NEW, Message.AMEND} and tally.count >= limit.most
            if not is_over:
                continue
            found = found or Refusal(limit.code, limit.text)
            if self._ban_ns and tally.over_ns >= 0:
                tally.until_ns = now_ns + self._ban_ns
            tally.over_ns = now_ns
        return found

    def banned(self, account: str, now_ns: int) -> bool:
        """Whether nothing is taken of an account."""
        return any(now_ns < one.until_ns for (name, _), one in self._kept.items() if name == account)

    def placed(self, account: str, now_ns: int) -> None:
        """An order was taken, or got terms that make it another."""
        self._add(account, now_ns, 1)

    def filled(self, account: str, now_ns: int) -> None:
        """An order has its first execution."""
        self._add(account, now_ns, -1)

    def _add(self, account: str, now_ns: int, more: int) -> None:
        for at, limit in enumerate(self._limits):
            if not limit.weights:
                tally = self._tally(account, at, now_ns)
                tally.count = max(0, tally.count + more)

    def _tally(self, account: str, at: int, now_ns: int) -> Tally:
        key = (account, at)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = Tally(account=account, at=at)
        start = now_ns // (self._limits[at].span_s * NS_PER_S)
        if start != found.start:
            found.start, found.count, found.over_ns = start, 0, -1
        self._changed[key] = found
        return found

    def take_changed(self) -> list[Tally]:
        """What changed since this was last asked."""
        changed, self._changed = [msgspec.structs.replace(one) for one in self._changed.values()], {}
        return changed

    def all(self) -> list[Tally]:
        """Everything to remember."""
        return [msgspec.structs.replace(one) for one in self._kept.values()]

    def load(self, tallies: Iterable[Tally]) -> None:
        """Go on from what was remembered; limits that the broker no longer has are left out."""
        self._kept = {(one.account, one.at): one for one in tallies if one.at < len(self._limits)}
