"""What the simulated market makes of ``sessions.yaml``: its listings with their calendars, and the times of its auctions."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from brokers.paper.auction_rules import AuctionRules
from brokers.paper.listings import LISTINGS, Listing
from engine.domain.clock import NS_PER_S
from engine.domain.errors import DataError
from engine.market.calendar import ALWAYS, DAY_NS, Calendar
from engine.market.own_sessions import OWN_NAME, SessionPlan, load_sessions

AHEAD_NS = 5 * 366 * DAY_NS
"""A venue loads its calendars once, when it starts."""


def planned_listings(plan: SessionPlan) -> tuple[Listing, ...]:
    """What is listed, each with the calendar that the plan gives it.

    Raises:
        DataError: the plan names a symbol that is not listed.
    """
    known = {one.instrument.symbol for one in LISTINGS}
    strange = sorted(set(plan.market) - known)
    if strange:
        raise DataError(f"{OWN_NAME}: market names {strange[0]}; the simulated market lists {', '.join(sorted(known))}")
    return tuple(
        replace(one, instrument=replace(one.instrument, calendar=plan.market.get(one.instrument.symbol, ALWAYS)))
        for one in LISTINGS
    )


def planned_calendars(plan: SessionPlan, home: Path, now_ns: int) -> dict[str, Calendar]:
    """By symbol: the calendar of each listing that closes, from the year before a time on, for as long as a venue may run
    without a start (:data:`AHEAD_NS`) and the exchange's days off are known.

    Raises:
        InputError: a calendar is not known.
    """
    names = sorted(set(plan.market.values()) - {ALWAYS})
    until_ns = now_ns + AHEAD_NS
    tables = {name: load_sessions(name, home / "calendars", now_ns, until_ns, home / OWN_NAME) for name in names}
    return {symbol: tables[name] for symbol, name in plan.market.items() if name != ALWAYS}


def planned_auctions(plan: SessionPlan) -> AuctionRules:
    """When orders for an auction are taken."""
    times = plan.auctions
    return AuctionRules(
        open_call_ns=times.open_call_s * NS_PER_S,
        open_cut_off_ns=times.open_cut_off_s * NS_PER_S,
        close_cut_off_ns=times.close_cut_off_s * NS_PER_S,
    )
