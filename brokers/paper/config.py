"""What a paper venue is like, what it counted, and what it must remember over a restart."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from brokers.paper.accounts import Account
from brokers.paper.auction_rules import AuctionRules
from brokers.paper.bands import Band, BandState
from brokers.paper.exchange import ExchangeTerms
from brokers.paper.flights import Flight
from brokers.paper.house_file import House
from brokers.paper.impact import ImpactParams
from brokers.paper.latency import LatencyParams
from brokers.paper.levels import QueueModel
from brokers.paper.orders import Working
from brokers.paper.tallies import Tally
from engine.domain.events import Fill
from engine.domain.money import Money
from engine.domain.movements import Movement
from engine.domain.order import Liquidity
from engine.market.carry_file import CarryFile
from engine.market.fees import FeeSchedule
from engine.oms.broker_interface import BrokerEvent, VenueOrder

Report = Callable[[str, BrokerEvent], None]
"""Called with the account and the event, at the event's own time."""
OwnFlow = Callable[[str, int, int, Liquidity], None]
"""Called after each execution with listing key, time, signed quantity and liquidity: the simulated market reacts to it."""


class VenueConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a paper venue is like. Accounts open with ``cash`` on first use."""

    broker: str = "paper"
    seed: int = 1
    latency: LatencyParams = LatencyParams()
    queue: QueueModel = QueueModel()
    auctions: AuctionRules = AuctionRules()
    bands: dict[str, Band] = {}
    """Price bands by symbol; one that is not named has none."""
    impact: dict[str, ImpactParams] = {}
    """By symbol; a symbol that is not named has none."""
    fees: dict[str, FeeSchedule] = {}
    """By MIC; a venue that is not named charges nothing."""
    cash: dict[str, Money] = {}
    exchange: ExchangeTerms | None = None
    """How it changes currencies; None: it keeps cash in each."""
    house: House | None = None
    """The broker's house rules; None: it has none."""
    carry: CarryFile | None = None
    """What happens to positions and cash over time; None: nothing does."""
    history_max: int = 200_000
    """Ended orders and executions kept for queries; older ones are forgotten, their ids with them."""


class Counters(msgspec.Struct, kw_only=True):
    """What happened, for the realism report."""

    orders: int = 0
    rejected: int = 0
    duplicates: int = 0
    """Orders that arrived with a wire id the account had used before."""
    cancels: int = 0
    amends: int = 0
    expired: int = 0
    stops_triggered: int = 0
    stop_gaps: int = 0
    """Triggered stops that filled worse than their stop price."""
    fills: int = 0
    maker_fills: int = 0
    guessed: int = 0
    combo_units: int = 0
    """Units of combinations that were done, or begun where they are not guaranteed."""


class VenueState(msgspec.Struct, frozen=True, kw_only=True):
    """All a venue must remember over a restart. Reports under way are not in it: a client that was away asks for its state."""

    now_ns: int
    numbered: int
    random: int
    accounts: dict[str, Account]
    orders: tuple[Working, ...]
    refused: dict[str, tuple[VenueOrder, ...]]
    fills: dict[str, tuple[Fill, ...]]
    counters: Counters
    movements: dict[str, tuple[Movement, ...]] = {}
    flights: tuple[Flight, ...] = ()
    """Messages that were taken and have not arrived, in the order of their arrival."""
    bands: BandState = BandState()
    paced: tuple[tuple[str, int], ...] = ()
    """Messages that count against a rate limit, by account with their times."""
    tallies: tuple[Tally, ...] = ()
    """What accounts have used of the limits of fixed intervals."""
