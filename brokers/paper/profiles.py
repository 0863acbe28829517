"""How three real brokers word their refusals, and how many messages they take: what the paper venue can be told to act like.

Codes and sentences are those that the brokers document or were seen to send; limits are their published ones as of 2026 and change.
A refusal that a broker has no word for keeps the venue's own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from brokers.paper.checks import Refusal
from engine.domain.clock import NS_PER_S

DAY_S = 86_400
_NEW_MAX = 200_000
"""Messages kept for a memory that asks; a replay has none."""


class Window(msgspec.Struct, frozen=True):
    """At most so many messages in so many seconds; more are refused until the window has room and the penalty is over."""

    span_s: int
    most: int
    penalty_s: int
    code: str
    text: str


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One broker."""

    name: str
    words: dict[str, tuple[str, str]]
    """The venue's own code to the broker's code and sentence; ``{text}`` is the venue's own."""
    windows: tuple[Window, ...] = ()
    counts_cancels: bool = False
    """Cancels use up the same windows."""

    def word(self, code: str, text: str) -> tuple[str, str]:
        """Code and sentence as this broker says it."""
        found = self.words.get(code)
        return (code, text) if found is None else (found[0], found[1].format(text=text))


_BINANCE_FILTER = "Filter failure: "
BINANCE = Profile(
    name="binance",
    words={
        "TICK": ("-1013", _BINANCE_FILTER + "PRICE_FILTER"),
        "PRICE": ("-1013", _BINANCE_FILTER + "PRICE_FILTER"),
        "LOT": ("-1013", _BINANCE_FILTER + "LOT_SIZE"),
        "QTY_MIN": ("-1013", _BINANCE_FILTER + "LOT_SIZE"),
        "QTY_MAX": ("-1013", _BINANCE_FILTER + "LOT_SIZE"),
        "NOTIONAL_MIN": ("-1013", _BINANCE_FILTER + "NOTIONAL"),
        "DISPLAY": ("-1013", _BINANCE_FILTER + "ICEBERG_PARTS"),
        "CLOSED": ("-1013", "Market is closed."),
        "HALTED": ("-1013", "Market is closed."),
        "FUNDS": ("-2010", "Account has insufficient balance for requested action."),
        "LOCATE": ("-2010", "Account has insufficient balance for requested action."),
        "MARGIN": ("-2010", "Account has insufficient balance for requested action."),
        "POST_ONLY": ("-2010", "Order would immediately match and take."),
        "DUPLICATE_ID": ("-2010", "Duplicate order sent."),
        "UNKNOWN_SYMBOL": ("-1121", "Invalid symbol."),
        "UNKNOWN_ORDER": ("-2011", "Unknown order sent."),
        "TOO_LATE": ("-2011", "Unknown order sent."),
    },
    windows=(
        Window(10, 50, 120, "-1015", "Too many new orders; current limit is 50 orders per 10 SECOND."),
        Window(DAY_S, 160_000, 0, "-1015", "Too many new orders; current limit is 160000 orders per 1 DAY."),
    ),
)
ZERODHA = Profile(
    name="zerodha",
    words={
        "TICK": (
            "InputException",
            "Tick size for this script is different. Kindly enter price in the multiple of tick size for this script. ({text})",
        ),
        "LOT": ("InputException", "Quantity should be in multiples of the lot size. ({text})"),
        "QTY_MIN": ("InputException", "Invalid `quantity`. ({text})"),
        "QTY_MAX": ("OrderException", "The quantity is above the freeze quantity. ({text})"),
        "FUNDS": ("MarginException", "Insufficient funds. ({text})"),
        "MARGIN": ("MarginException", "Insufficient funds. ({text})"),
        "LOCATE": ("HoldingException", "Insufficient stock holding. ({text})"),
        "CLOSED": ("OrderException", "Markets are closed right now. Use GTT for placing long-standing orders."),
        "HALTED": ("OrderException", "The exchange has suspended trading in this script."),
        "UNKNOWN_SYMBOL": (
            "InputException",
            "The instrument you are placing an order for has either expired or does not exist.",
        ),
        "UNKNOWN_ORDER": ("OrderException", "Couldn't find that `order_id`."),
        "TOO_LATE": ("OrderException", "Order cannot be cancelled as it is being processed. Try later."),
        "DUPLICATE_ID": ("OrderException", "{text}"),
    },
    windows=(
        Window(1, 10, 0, "NetworkException 429", "Too many requests"),
        Window(60, 400, 0, "NetworkException 429", "Maximum allowed order requests exceeded for the minute."),
        Window(DAY_S, 5_000, 0, "NetworkException 429", "Maximum allowed order requests exceeded for the day."),
    ),
    counts_cancels=True,
)
IBKR = Profile(
    name="ibkr",
    words={
        "TICK": ("110", "The price does not conform to the minimum price variation for this contract."),
        "PRICE": ("110", "The price does not conform to the minimum price variation for this contract."),
        "LOT": ("201", "Order rejected - reason: The order size does not conform to the size increment. {text}"),
        "QTY_MIN": ("201", "Order rejected - reason: {text}"),
        "QTY_MAX": ("201", "Order rejected - reason: {text}"),
        "FUNDS": (
            "201",
            "Order rejected - reason: YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY MUST EXCEED THE MARGIN. {text}",
        ),
        "MARGIN": (
            "201",
            "Order rejected - reason: YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY MUST EXCEED THE MARGIN. {text}",
        ),
        "LOCATE": ("404", "Shares for this order are not immediately available for short sale. {text}"),
        "CLOSED": ("201", "Order rejected - reason: Exchange is closed."),
        "HALTED": ("201", "Order rejected - reason: Trading is halted for this contract."),
        "DUPLICATE_ID": ("103", "Duplicate order id"),
        "UNKNOWN_SYMBOL": ("200", "No security definition has been found for the request"),
        "UNKNOWN_ORDER": ("10147", "OrderId that needs to be cancelled is not found."),
        "TOO_LATE": ("10148", "OrderId that needs to be cancelled can not be cancelled, state: {text}"),
        "QTY_FILLED": ("104", "Can't modify a filled order."),
        "BAD_TIF": ("321", "Error validating request: {text}"),
        "BAD_ORDER": ("321", "Error validating request: {text}"),
    },
    windows=(Window(1, 50, 0, "100", "Max rate of messages per second has been exceeded."),),
    counts_cancels=True,
)
PLAIN = Profile(name="plain", words={})
PROFILES = {one.name: one for one in (PLAIN, BINANCE, ZERODHA, IBKR)}


class Pace:
    """Counts an account's messages in the windows of a profile. Refused ones count too: who goes on stays out."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._sent: dict[tuple[str, int], deque[int]] = {}
        self._until_ns: dict[tuple[str, int], int] = {}
        self._new: deque[tuple[str, int]] = deque(maxlen=_NEW_MAX)
        self.refused = 0

    def refusal(self, account: str, now_ns: int, *, is_cancel: bool = False) -> Refusal | None:
        """Why a message that arrives now is not taken; None where it is."""
        profile = self._profile
        if is_cancel and not profile.counts_cancels:
            return None
        self._new.append((account, now_ns))
        found = self._count(account, now_ns)
        self.refused += found is not None
        return found

    def take_new(self) -> list[tuple[str, int]]:
        """Messages counted since this was last asked, with their times: what a memory adds."""
        new = list(self._new)
        self._new.clear()
        return new

    def counted(self) -> list[tuple[str, int]]:
        """All messages that some window still holds; the longest window holds those of every other."""
        held = max(range(len(self._profile.windows)), key=lambda at: self._profile.windows[at].span_s, default=0)
        return [(account, ts_ns) for (account, at), sent in self._sent.items() if at == held for ts_ns in sent]

    def load(self, messages: Iterable[tuple[str, int]]) -> None:
        """Count messages of before once more, each at its own time: windows and penalties are then as they were."""
        for account, ts_ns in messages:
            self._count(account, ts_ns)

    def _count(self, account: str, now_ns: int) -> Refusal | None:
        found = None
        for number, window in enumerate(self._profile.windows):
            key = (account, number)
            sent = self._sent.setdefault(key, deque(maxlen=window.most + 1))
            while sent and sent[0] <= now_ns - window.span_s * NS_PER_S:
                sent.popleft()
            sent.append(now_ns)
            if len(sent) > window.most:
                self._until_ns[key] = now_ns + window.penalty_s * NS_PER_S
            if found is None and (len(sent) > window.most or now_ns < self._until_ns.get(key, 0)):
                found = Refusal(window.code, window.text)
        return found
