"""The books of a ledger as of a moment, read from its journal, whether or not an engine writes it: for statements and parts of positions."""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec

from engine.domain import events as ev
from engine.domain.clock import NS_PER_S, iso
from engine.domain.day_events import RiskDayBegan
from engine.domain.errors import DataError, SettingsError
from engine.domain.ledger_events import PolicyLoaded
from engine.ledger.statement import Books
from engine.risk.policy import parse
from engine.risk.risk_day import span_ns
from engine.store.journal import Row, read_journal
from engine.store.place import Place

CUT = "00:00 UTC"
RATE_AGE_NS = 93_600 * NS_PER_S
"""How old a rate may be where the journal holds no policy."""


class DayOfBooks(msgspec.Struct, frozen=True, kw_only=True):
    """Books, and of when they are."""

    books: Books
    begins_ns: int
    ends_ns: int
    cut: str
    seq: int
    hash: str
    """Of the last row that was read: what the statement is proven against."""
    as_of_ns: int
    """Time of that row."""
    rate_age_ns: int

    @property
    def is_over(self) -> bool:
        """Whether the day had ended when the last row was written or read past."""
        return self.as_of_ns >= self.ends_ns

    def is_rate_fresh(self, at_ns: int) -> bool:
        """Whether a rate of this moment may be used at the end of the day."""
        return min(self.ends_ns, max(self.as_of_ns, self.begins_ns)) - at_ns <= self.rate_age_ns


def read_books(place: Place) -> tuple[Books, Row | None]:
    """The books as of the last row, and that row."""
    books, last = Books(), None
    books.open_day()
    for row in read_journal(place):
        books.take(row.seq, row.ts_ns, ev.decode_event(row.payload))
        last = row
    return books, last


def read_day(place: Place, words: str, account: str) -> DayOfBooks:
    """The books at the end of a day of an account, with the lines of that day.

    Args:
        words: the day as 2026-11-27 (the one that begins then), empty for the one of the last row.
        account: whose cut counts; empty for that of the account whose day began last.

    Raises:
        SettingsError: the day cannot be read. DataError: the ledger is empty.
    """
    head, cut, age_ns = _look(place, account)
    if head is None:
        msg = f"{place} holds no rows yet; there is no day to state"
        raise DataError(msg)
    begins_ns, ends_ns = span_ns(cut, _noon(words, cut) if words else head.ts_ns)
    if begins_ns > head.ts_ns:
        msg = f"the ledger ends at {iso(head.ts_ns)[:16]}Z, before that day begins; name an earlier --day"
        raise SettingsError(msg)
    books, last, is_open = Books(), None, False
    for row in read_journal(place):
        if row.ts_ns >= ends_ns:
            break
        if not is_open and row.ts_ns >= begins_ns:
            books.open_day()
            is_open = True
        books.take(row.seq, row.ts_ns, ev.decode_event(row.payload))
        last = row
    if not is_open:
        books.open_day()
    if last is None:
        msg = f"the ledger begins after {iso(ends_ns)[:16]}Z; name a later --day"
        raise SettingsError(msg)
    return DayOfBooks(
        books=books, begins_ns=begins_ns, ends_ns=ends_ns, cut=cut, seq=last.seq, hash=last.hash.hex(),
        as_of_ns=max(last.ts_ns, min(head.ts_ns, ends_ns)), rate_age_ns=age_ns,
    )  # fmt: skip


def _look(place: Place, account: str) -> tuple[Row | None, str, int]:
    """Last row, the account's cut and the age that rates may have, as the journal has them."""
    last, cut, age_ns = None, CUT, RATE_AGE_NS
    for row in read_journal(place):
        last = row
        if row.kind in {"risk_day_began", "policy_loaded"}:
            event = ev.decode_event(row.payload)
            if isinstance(event, RiskDayBegan) and account in {"", event.account}:
                cut = event.cut
            elif isinstance(event, PolicyLoaded):
                age_ns = _age_of(event, age_ns)
    return last, cut, age_ns


def _age_of(event: PolicyLoaded, otherwise: int) -> int:
    policy, _ = parse(event.text, "journal")
    return otherwise if policy is None else policy.ns("fx.max_age_s")


def _noon(words: str, cut: str) -> int:
    """A moment in the middle of the day that begins on a date."""
    try:
        named = date.fromisoformat(words)
    except ValueError:
        msg = f"--day was {words!r}; expected a date such as 2026-11-27"
        raise SettingsError(msg) from None
    # A cut late in the day begins the day that is named by its own date.
    from zoneinfo import ZoneInfo

    at, _, zone = cut.partition(" ")
    hour, minute = at.split(":")
    begins = datetime(named.year, named.month, named.day, int(hour), int(minute), tzinfo=ZoneInfo(zone))
    return int(begins.astimezone(UTC).timestamp()) * NS_PER_S + NS_PER_S
