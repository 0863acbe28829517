"""The realism report: what the simulation modelled and how, so that a paper profit can be judged.

One line for each effect a real market has (P01 to P26), ``on``, ``estimated`` or ``off``, with a sentence; the depth of the data; the
share of fills that came from an estimate; every default that nobody chose.
"""

from __future__ import annotations

import msgspec

from brokers.paper.config import Counters
from brokers.paper.levels import LevelListing
from brokers.paper.lifecycle import Lifecycle
from engine.market.calendar import ALWAYS


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One effect of a real market."""

    code: str
    name: str
    state: str
    """``on``, ``estimated`` or ``off``."""
    text: str


class RealismReport(msgspec.Struct, frozen=True, kw_only=True):
    """What stands behind the figures of a session."""

    effects: tuple[Effect, ...]
    depth: str
    """Data depth: ``L3``, ``L1/L2`` or both."""
    source: str
    """``recorded`` or ``simulated``."""
    fills: int
    fills_guessed: int
    guessed_share: str
    """Of the fills, in percent with one decimal."""
    defaults: tuple[str, ...]
    notes: tuple[str, ...]
    counters: Counters


_OFF = {
    "P09": ("borrow", "no locate, no borrow fee, no recall: any short sale is filled"),
    "P10": ("margin", "no margin call and no liquidation; futures and perpetuals move only realised results"),
    "P11": ("carry", "no funding, dividends, splits or settlement dates"),
    "P14": ("auctions", "no auction orders; auction prints of the feed fill nobody"),
    "P19": ("rate limits", "the venue takes any number of messages"),
    "P23": ("foreign activity", "none unless another session trades the account"),
    "P24": ("combos", "no combination orders"),
    "P25": ("currencies", "cash is kept per currency, without conversion"),
    "P26": ("chain", "no decentralised venue"),
}


def realism_report(core: Lifecycle, *, source: str, defaults: tuple[str, ...] = (), curve: str = "") -> RealismReport:
    """Describe a session.

    Args:
        core: the venue after it.
        source: ``recorded`` or ``simulated``.
        defaults: sentences on values that nobody gave.
        curve: where volume weights were from, empty where none were asked for.
    """
    effects = [*_timing(core), *_trading(core), *_rules(core)]
    effects += [Effect(code=code, name=name, state="off", text=text) for code, (name, text) in _OFF.items()]
    fills, guessed = core.counters.fills, core.counters.guessed
    permille = guessed * 1000 // fills if fills else 0
    return RealismReport(
        effects=tuple(sorted(effects, key=lambda effect: effect.code)),
        depth=" and ".join(_depths(core)) or "none",
        source=source,
        fills=fills,
        fills_guessed=guessed,
        guessed_share=f"{permille // 10}.{permille % 10}",
        defaults=defaults,
        notes=_notes(core, curve),
        counters=core.counters,
    )


def _depths(core: Lifecycle) -> list[str]:
    kinds = {isinstance(listing, LevelListing) for listing in core.listings.values()}
    return [word for is_level, word in ((False, "L3"), (True, "L1/L2")) if is_level in kinds]


def _effect(code: str, name: str, state: str, text: str) -> Effect:
    return Effect(code=code, name=name, state=state, text=text)


def _timing(core: Lifecycle) -> list[Effect]:
    params, drawn = core.config.latency, core.latency
    legs = [params.insert, params.modify, params.cancel, params.ack, params.report]
    is_on = any(leg.base_ns or leg.jitter_ns for leg in legs)
    words = ", ".join(
        f"{name} {leg.base_ns // 1000}+{leg.jitter_ns // 1000} us"
        for name, leg in zip(("insert", "modify", "cancel", "ack", "report"), legs, strict=True)
    )
    text = f"{words}; {drawn.bursts} busy spells in {drawn.drawn} messages; the feed leg is part of the way in"
    return [
        _effect("P01", "latency", "on" if is_on else "off", text if is_on else "every message arrives at once"),
        _effect("P02", "stale decisions", "on", "an order meets the book as of its arrival"),
    ]


def _trading(core: Lifecycle) -> list[Effect]:
    levels = "L1/L2" in _depths(core)
    queue = core.config.queue
    cancels = "no cancel moves us" if not queue.power else f"cancels move us by the power-{queue.power} model"
    impact = ", ".join(symbol for symbol, params in sorted(core.config.impact.items()) if params.is_on)
    if impact:
        shock = _effect("P07", "impact", "on", f"linear, permanent and decaying, for {impact}")
    elif core.reacts:
        shock = _effect("P07", "impact", "on", "the simulated market reacts to what we take")
    else:
        shock = _effect("P07", "impact", "off", "the feed does not react to us beyond the orders we took from it")
    return [
        _effect("P03", "taking", "on", "walks the visible book; what we took stays gone"),
        _effect(
            "P04", "missing depth", "estimated" if levels else "on",
            f"beyond the displayed size each further portion costs {queue.beyond_ticks} tick" if levels
            else "every visible order is known; nothing trades beyond them",
        ),
        _effect(
            "P05", "resting fills", "estimated" if levels else "on",
            "prints through our price, or at it behind the estimated queue" if levels
            else "true queue: a unit of feed volume serves at most one fill of ours",
        ),
        _effect(
            "P06", "queue position", "estimated" if levels else "on",
            f"displayed size at entry, moved by prints; {cancels}" if levels else "from the orders themselves",
        ),
        shock,
    ]  # fmt: skip


def _rules(core: Lifecycle) -> list[Effect]:
    listings = core.listings.values()
    charged = sorted({core.config.fees[one.mic].name for one in listings if one.mic in core.config.fees})
    examples = any(core.config.fees[one.mic].example for one in listings if one.mic in core.config.fees)
    fees = f"{', '.join(charged)}{' (example rates)' if examples else ''}" if charged else "no rate file: fees are zero"
    calendars = sorted({one.calendar.name for one in listings})
    count = core.counters
    return [
        _effect("P08", "fees", "on" if charged else "off", fees),
        _effect(
            "P12", "sessions", "off" if calendars == [ALWAYS] else "on",
            f"calendars {', '.join(calendars)}; orders outside a session are refused",
        ),
        _effect("P13", "halts", "on", "orders are refused and stops wait while halted; no price bands"),
        _effect("P15", "time in force", "on", f"DAY ends with the session, GTD at its time ({count.expired} expired), GTC, IOC, FOK"),
        _effect(
            "P16", "stops", "on",
            f"triggered by the last print ({count.stops_triggered}), filled at the book ({count.stop_gaps} fills worse than the stop)",
        ),
        _effect(
            "P17", "brackets", "on",
            "the venue keeps brackets and one-cancels-other; what one fills reaches the others a cancel later, so both may fill",
        ),
        _effect("P18", "refusals", "on", f"tick, lot, size, session, halt, duplicate id: {count.rejected} orders; not funds"),
        _effect("P20", "transport faults", "off", "none unless faults were asked for"),
        _effect("P21", "races", "on", "cancels and amendments meet fills at the matching; too late is refused"),
        _effect("P22", "restart", "on", "orders and positions live at the venue; resting orders re-enter at the back"),
    ]  # fmt: skip


def _notes(core: Lifecycle, curve: str) -> tuple[str, ...]:
    notes = []
    for listing in core.listings.values():
        notes.append(f"{listing.key}: {listing.rows} rows, {listing.prints} prints, calendar {listing.calendar.name}")
        notes += [f"{listing.key}: {word}" for word in listing.oddities()]
        if listing.mic not in core.config.fees:
            notes.append(f"{listing.key}: no rate file for {listing.mic}, fees are zero")
    if curve:
        notes.append(f"volume curve: {curve}")
    return tuple(notes)
