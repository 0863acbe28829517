"""Turns the risk day of each account at its cut, and journals what the day's result is counted from.

At the cut every open position is marked at what closing it would meet. Where nobody could look at the cut (the engine was
down, the feed was stale), the last journaled price before it and the first fresh one after it stand beside each other and the
worse of the two counts; until there is one, the result of the day is not known and only orders that shrink pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from engine.api.risk_view import EngineRiskView
from engine.domain import day_events as de
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S, Clock, iso
from engine.domain.money import EXACT, Price
from engine.ledger.day_book import Day, DayBook
from engine.ledger.ledger import Ledger
from engine.ledger.positions import Position
from engine.risk.policy import Policy, PolicyHolder
from engine.risk.risk_day import span_ns

LOOK_EVERY_NS = NS_PER_S
KEEP_EVERY_NS = 900 * NS_PER_S
"""How often the marks of open positions are journaled: a crash over the cut finds none that is older."""
PEAK_STEPS = 1_000
"""A new best result is journaled when it is higher by this part of the drawdown limit: a bound for the journal, and for what
a restart may forget."""


class DayKeeper:
    """The deciding half of the risk day; :class:`DayBook` is what it journals."""

    def __init__(
        self,
        book: DayBook,
        ledger: Ledger,
        view: EngineRiskView,
        policy: PolicyHolder,
        record: Callable[[ev.AnyEvent], int],
        clock: Clock,
    ) -> None:
        self._book = book
        self._ledger = ledger
        self._view = view
        self._policy = policy
        self._record = record
        self._clock = clock
        self._keep_ns = 0
        self.next_ns = 0
        """When :meth:`on_time` must be called at the latest."""

    def on_time(self, now_ns: int) -> None:
        """Turn days, complete marks, note best results. About once a second, and at each cut."""
        if now_ns < self.next_ns:
            return
        self.next_ns = now_ns + LOOK_EVERY_NS
        policy = self._policy.policy
        if policy is None:
            return
        for account in dict.fromkeys(account for _, account in self._view.brokers()):
            words = policy.word_of("day.starts", account)
            begins_ns, ends_ns = span_ns(words, now_ns)
            self.next_ns = min(self.next_ns, ends_ns)
            day = self._book.days.get(account)
            if day is None or begins_ns > day.begins_ns:
                self._begin(account, begins_ns, words)
            elif day.waiting():
                self._complete(account, day)
            self._note_peak(account, policy)
        if now_ns >= self._keep_ns:
            self._keep_ns = now_ns + KEEP_EVERY_NS
            self.keep_marks()

    def keep_marks(self) -> None:
        """Journal what open positions are worth now, where that is known and new."""
        for account in dict.fromkeys(account for _, account in self._view.brokers()):
            found = [self._mark(broker, symbol, held) for broker, symbol, held in self._open(account)]
            marks = tuple(mark for mark in found if mark is not None)
            if any(self._book.seen.get(mark.symbol, (None, 0))[0] != mark.price for mark in marks):
                self._record(de.PositionsMarked(account=account, marks=marks))

    def _open(self, account: str) -> Iterator[tuple[str, str, Position]]:
        return ((broker, symbol, held) for broker, symbol, held in self._ledger.held(account) if held.qty)

    def _mark(self, broker: str, symbol: str, held: Position) -> de.DayMark | None:
        found = self._view.mark_seen(symbol, held.qty)
        if found is None:
            return None
        return de.DayMark(broker=broker, symbol=symbol, qty=held.qty, price=found[0], ts_ns=found[1])

    # -- the cut -------------------------------------------------------------------------------------------------------

    def _begin(self, account: str, begins_ns: int, cut: str) -> None:
        marks, waiting = [], []
        is_late = self._is_late(begins_ns)
        for broker, symbol, held in self._open(account):
            mark = self._mark(broker, symbol, held)
            if mark is not None and is_late:
                mark = self._worse(mark, self._book.seen.get(symbol))
            if mark is None:
                waiting.append(symbol)
            else:
                marks.append(mark)
        self._record(
            de.RiskDayBegan(
                account=account, begins_ns=begins_ns, cut=cut, marks=tuple(marks), waiting=tuple(dict.fromkeys(waiting))
            )
        )

    def _is_late(self, begins_ns: int) -> bool:
        """Whether a mark of now is too late to be one of the cut."""
        return self._clock.now_ns() - begins_ns > self._view.mark_age_ns_max()

    def _complete(self, account: str, day: Day) -> None:
        """Mark what waited. Quantities are those of the cut."""
        marks = []
        is_late = self._is_late(day.begins_ns)
        for broker, symbol in day.waiting():
            qty = day.carried[broker, symbol].qty
            found = self._view.mark_seen(symbol, qty)
            if found is None:
                continue
            mark = de.DayMark(broker=broker, symbol=symbol, qty=qty, price=found[0], ts_ns=found[1])
            late = self._worse(mark, day.before.get(symbol)) if is_late else mark
            if late is not None:
                marks.append(late)
        if marks:
            self._record(de.RiskDayMarked(account=account, marks=tuple(marks)))

    def _worse(self, after: de.DayMark, before: tuple[Price, int] | None) -> de.DayMark | None:
        """The worse for us of the prices on both sides of the cut; None where only one is known."""
        if before is None:
            return None
        price, ts_ns = before
        one, other = f"the first after the cut ({after.price})", f"the last before it ({price}, {iso(ts_ns)[:19]}Z)"
        # A higher starting value makes the day's result worse: high for what is long, low for what is short.
        is_before = (price > after.price) if after.qty > 0 else (price < after.price)
        chosen, left = (other, one) if is_before else (one, other)
        return de.DayMark(
            broker=after.broker,
            symbol=after.symbol,
            qty=after.qty,
            price=price if is_before else after.price,
            ts_ns=ts_ns if is_before else after.ts_ns,
            note=f"nobody looked at the cut: {chosen} counts, it is no better for us than {left}",
        )

    # -- the best result -----------------------------------------------------------------------------------------------

    def _note_peak(self, account: str, policy: Policy) -> None:
        result, limit = self._view.pnl_day(account), policy.limits(account, "", "").get("loss.max_drawdown")
        if result is None or limit is None:
            return
        rise = EXACT.subtract(result, self._view.peak_day(account))
        if rise > 0 and EXACT.multiply(rise, Decimal(PEAK_STEPS)) >= limit.value:
            self._record(de.ResultPeaked(account=account, result=result))
