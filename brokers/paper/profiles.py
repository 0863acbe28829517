"""How three real brokers word their refusals, and how many messages they take: what the paper venue can be told to act like.

Each code, sentence and limit carries its source; limits are those published as of 2026 and change. What has no source keeps the
venue's own sentence, and a refusal that a broker has no word for its own code too. Not modelled: what Binance gives back beyond one for an
order that rested before it was filled; Interactive Brokers holds some orders it could refuse.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from brokers.paper.checks import Refusal
from brokers.paper.tallies import Limit, Message, Tallies
from engine.domain.clock import NS_PER_S

DAY_S = 86_400
_NEW_MAX = 200_000
"""Messages kept for a memory that asks; a replay has none."""


class Window(msgspec.Struct, frozen=True):
    """At most so many messages in so many seconds; more are refused until the window has room."""

    span_s: int
    most: int
    code: str
    text: str
    source: str


class Word(msgspec.Struct, frozen=True):
    """How a broker says one of the venue's refusals."""

    code: str
    text: str
    """``{text}`` is the venue's own sentence: all there is where only the code has a source."""
    source: str


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One broker."""

    name: str
    words: dict[str, Word]
    """By the venue's own code."""
    windows: tuple[Window, ...] = ()
    limits: tuple[Limit, ...] = ()
    """Limits of fixed intervals."""
    counts_cancels: bool = False
    """Cancels use up the same windows."""
    amends_max: int = 0
    """An order takes so many amendments; 0: any number. Its word is ``AMENDS_MAX``."""
    ban_s: int = 0
    """For so long nothing is taken, cancels neither, from who sends on after a refusal; 0: nobody is banned."""
    ban: Word | None = None

    @property
    def is_paced(self) -> bool:
        """Whether it limits messages at all."""
        return bool(self.windows or self.limits)

    def word(self, code: str, text: str) -> tuple[str, str]:
        """Code and sentence as this broker says it."""
        found = self.words.get(code)
        return (code, text) if found is None else (found.code, found.text.format(text=text))


def _words(source: str, rows: dict[str, tuple[str, str]]) -> dict[str, Word]:
    return {own: Word(code, text, source) for own, (code, text) in rows.items()}


_ERRORS_MD = "binance-spot-api-docs, errors.md of 2025-01-09"
_COUNT_MD = "binance-spot-api-docs, faqs/order_count_decrement.md: intervals, and what an execution gives back"
_FILTER = "Filter failure: "
BINANCE = Profile(
    name="binance",
    words=_words(
        f"{_ERRORS_MD}: filter failures, which reject before the matching engine (-1013)",
        {
            "TICK": ("-1013", _FILTER + "PRICE_FILTER"),
            "PRICE": ("-1013", _FILTER + "PRICE_FILTER"),
            "LOT": ("-1013", _FILTER + "LOT_SIZE"),
            "QTY_MIN": ("-1013", _FILTER + "LOT_SIZE"),
            "QTY_MAX": ("-1013", _FILTER + "LOT_SIZE"),
            "NOTIONAL_MIN": ("-1013", _FILTER + "NOTIONAL"),
        },
    )
    | _words(
        f"{_ERRORS_MD}: messages of the matching engine for -2010 and -2011",
        {
            "CLOSED": ("-2010", "Market is closed."),
            "HALTED": ("-2010", "Market is closed."),
            "FUNDS": ("-2010", "Account has insufficient balance for requested action."),
            "LOCATE": ("-2010", "Account has insufficient balance for requested action."),
            "POST_ONLY": ("-2010", "Order would immediately match and take."),
            "DUPLICATE_ID": ("-2010", "Duplicate order sent."),
            "UNKNOWN_ORDER": ("-2011", "Unknown order sent."),
            "TOO_LATE": ("-2011", "Unknown order sent."),
        },
    )
    | _words(f"{_ERRORS_MD}: -1121", {"UNKNOWN_SYMBOL": ("-1121", "Invalid symbol.")}),
    limits=(
        Limit(
            10, 50, "-1015", "Too many new orders; current limit is 50 orders per 10 SECOND.",
            f"{_ERRORS_MD}: -1015; rateLimits of a recorded exchangeInfo: ORDERS 50 in 10 seconds; {_COUNT_MD}",
        ),
        Limit(
            DAY_S, 160_000, "-1015", "Too many new orders; current limit is 160000 orders per 1 DAY.",
            f"{_ERRORS_MD}: -1015; rateLimits of a recorded exchangeInfo: ORDERS 160,000 a day; {_COUNT_MD}",
        ),
        Limit(
            60, 6_000, "-1003",
            "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
            f"{_ERRORS_MD}: -1003; developers.binance.com, rate limits: REQUEST_WEIGHT 6,000 a minute for an address, here for an "
            "account; rest-api.md: an order, a cancel and a replacement weigh 1, a question for an order 4, one for the account 20",
            {
                Message.NEW: 1, Message.AMEND: 1, Message.CANCEL: 1,
                Message.ORDER_QUESTION: 4, Message.STATE_QUESTION: 20,
            },
        ),
    ),
    ban_s=120,
    ban=Word(
        "-1003", "Way too much request weight used; IP banned. Please use WebSocket Streams for live updates to avoid bans.",
        f"{_ERRORS_MD}: -1003; rest-api.md: 2 minutes to 3 days for who does not back off after a 429. How often one may go on "
        "before is not published: here not once",
    ),
)  # fmt: skip
_KITE = "kite.trade/docs/connect/v3/exceptions: the class; the sentence is ours"
_KITE_FUNDS = "zerodha/kiteconnect-mocks, orders.json of 2026-03-25: a rejected order's status_message begins so"
ZERODHA = Profile(
    name="zerodha",
    words=_words(
        _KITE,
        {
            "TICK": ("InputException", "{text}"),
            "PRICE": ("InputException", "{text}"),
            "LOT": ("InputException", "{text}"),
            "QTY_MIN": ("InputException", "{text}"),
            "QTY_MAX": ("OrderException", "{text}"),
            "LOCATE": ("HoldingException", "{text}"),
            "CLOSED": ("OrderException", "{text}"),
            "HALTED": ("OrderException", "{text}"),
            "UNKNOWN_SYMBOL": ("InputException", "{text}"),
            "UNKNOWN_ORDER": ("OrderException", "{text}"),
            "TOO_LATE": ("OrderException", "{text}"),
            "DUPLICATE_ID": ("OrderException", "{text}"),
        },
    )
    | _words(
        "kite.trade forum 34659: 25 modifications, then another order is needed; the sentence is ours",
        {"AMENDS_MAX": ("OrderException", "{text}")},
    )
    | _words(
        _KITE_FUNDS,
        {
            "FUNDS": ("MarginException", "Insufficient funds. {text}"),
            "MARGIN": ("MarginException", "Insufficient funds. {text}"),
        },
    ),
    windows=(
        Window(
            1, 10, "NetworkException 429", "Too many requests",
            "kite.trade forum 16217 (10 a second for an account) and 48463 (429, the sentence)",
        ),
        Window(
            60, 400, "NetworkException 429", "Maximum allowed order requests exceeded.",
            "kite.trade forum 16217 (400 a minute) and 7679 (the sentence; amendments and refused orders count)",
        ),
        Window(
            DAY_S, 5_000, "NetworkException 429", "Maximum allowed order requests exceeded.",
            "kite.trade forum 16217 (5,000 a day) and 7679 (the sentence; amendments and refused orders count)",
        ),
    ),
    counts_cancels=True,
    amends_max=25,
)  # fmt: skip
_IB = "interactivebrokers.com API message codes"
_IB_201 = f"{_IB}: 201, an order the broker rejected; its reasons are not listed, so the sentence behind it is ours"
_REJECTED = ("201", "Order rejected - reason: {text}")
IBKR = Profile(
    name="ibkr",
    words=_words(
        _IB,
        {
            "TICK": ("110", "The price does not conform to the minimum price variation for this contract."),
            "DUPLICATE_ID": ("103", "Duplicate order ID."),
            "QTY_FILLED": ("104", "Can't modify a filled order."),
            "UNKNOWN_SYMBOL": ("200", "No security definition has been found for the request."),
            "BAD_ORDER": ("321", "Server error when validating an API client request. {text}"),
            "BAD_TIF": ("321", "Server error when validating an API client request. {text}"),
            "UNKNOWN_ORDER": ("10147", "OrderId that needs to be cancelled is not found."),
            "TOO_LATE": ("10148", "OrderId that needs to be cancelled can not be cancelled, state: {text}"),
        },
    )
    | _words(
        _IB_201,
        dict.fromkeys(
            ("PRICE", "LOT", "QTY_MIN", "QTY_MAX", "FUNDS", "MARGIN", "LOCATE", "CLOSED", "HALTED"), _REJECTED
        ),
    ),
    windows=(
        Window(
            1, 50, "100", "Max rate of messages per second has been exceeded.",
            f"{_IB}: 100; interactivebrokers.github.io/tws-api/order_limitations.html: the API's inherent limitation of 50 messages a "
            "second, so of 50 orders",
        ),
    ),
    counts_cancels=True,
)  # fmt: skip
PLAIN = Profile(name="plain", words={})
PROFILES = {one.name: one for one in (PLAIN, BINANCE, ZERODHA, IBKR)}


class Pace:
    """Counts an account's messages in the windows and limits of a profile. Refused ones count in a window too: who goes on
    stays out.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self.tallies = Tallies(profile.limits, profile.ban_s)
        self._sent: dict[tuple[str, int], deque[int]] = {}
        self._new: deque[tuple[str, int]] = deque(maxlen=_NEW_MAX)
        self.refused = 0

    def refusal(self, account: str, now_ns: int, message: Message = Message.NEW) -> Refusal | None:
        """Why a message that arrives now is not taken; None where it is. An order that is taken then counts by :meth:`placed`."""
        profile = self._profile
        found = self.tallies.refusal(account, now_ns, message) if profile.limits else None
        if profile.windows and (message is not Message.CANCEL or profile.counts_cancels):
            self._new.append((account, now_ns))
            found = found or self._count(account, now_ns)
        found = self._banned(account, now_ns) or found
        self.refused += found is not None
        return found

    def asked(self, account: str, now_ns: int, message: Message) -> None:
        """A question came: it weighs, and is answered."""
        if self._profile.limits:
            self.tallies.refusal(account, now_ns, message)

    def placed(self, account: str, now_ns: int) -> None:
        """An order was taken."""
        self.tallies.placed(account, now_ns)

    def filled(self, account: str, now_ns: int) -> None:
        """An order has its first execution."""
        self.tallies.filled(account, now_ns)

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
            if len(sent) <= window.most:
                continue
            found = found or Refusal(window.code, window.text)
        return found

    def _banned(self, account: str, now_ns: int) -> Refusal | None:
        ban = self._profile.ban
        if ban is None or not self.tallies.banned(account, now_ns):
            return None
        return Refusal(ban.code, ban.text)
