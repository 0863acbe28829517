"""The realism report: what the simulation modelled and how, so that a paper profit can be judged.

One line for each effect a real market has (P01 to P26), ``on``, ``estimated`` or ``off``, with a sentence; the depth of the data; the
share of fills that came from an estimate; every default that nobody chose.
"""

from __future__ import annotations

import msgspec

from brokers.paper.bars import BarListing
from brokers.paper.config import Counters
from brokers.paper.house import HouseRules
from brokers.paper.levels import LevelListing
from brokers.paper.realism_money import Effect, money_effects
from engine.market.calendar import ALWAYS
from engine.market.official import told

TOLD_MAX = 10
"""Auctions of a listing whose print is named."""


class RealismReport(msgspec.Struct, frozen=True, kw_only=True):
    """What stands behind the figures of a session."""

    effects: tuple[Effect, ...]
    depth: str
    """Data depth: ``L3``, ``L1/L2``, ``bars`` or several."""
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
    "P26": ("chain", "no decentralised venue"),
}


def realism_report(
    core: HouseRules, *, source: str, defaults: tuple[str, ...] = (), curve: str = "", notes: tuple[str, ...] = ()
) -> RealismReport:
    """Describe a session.

    Args:
        core: the venue after it.
        source: ``recorded`` or ``simulated``.
        defaults: sentences on values that nobody gave.
        curve: where volume weights were from, empty where none were asked for.
        notes: sentences on the data.
    """
    effects = [*_timing(core), *_trading(core), *_rules(core), *money_effects(core)]
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
        notes=(*_notes(core, curve), *notes),
        counters=core.counters,
    )


def _depths(core: HouseRules) -> list[str]:
    found = {
        "bars" if isinstance(one, BarListing) else "L1/L2" if isinstance(one, LevelListing) else "L3"
        for one in core.listings.values()
    }
    return [word for word in ("L3", "L1/L2", "bars") if word in found]


def _effect(code: str, name: str, state: str, text: str) -> Effect:
    return Effect(code=code, name=name, state=state, text=text)


def _timing(core: HouseRules) -> list[Effect]:
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


_DEPTH_WORDS = {
    "P03": ("taking", {
        "L3": ("on", "walks the visible book; what we took stays gone"),
        "L1/L2": ("on", "walks the visible book; what we took stays gone"),
        "bars": ("estimated", "at the worst price of the bar it arrives in, known only in hindsight"),
    }),
    "P04": ("missing depth", {
        "L3": ("on", "every visible order is known; nothing trades beyond them"),
        "L1/L2": ("estimated", "beyond the displayed size each further portion costs {ticks} tick"),
        "bars": ("estimated", "all orders together have at most {share} % of a bar's volume; quotes are made, a tick each side of open and close"),
    }),
    "P05": ("resting fills", {
        "L3": ("on", "true queue: a unit of feed volume serves at most one fill of ours"),
        "L1/L2": ("estimated", "prints through our price, or at it behind the estimated queue"),
        "bars": ("estimated", "where a later bar went through the limit, at its end and at the limit; stops before limits"),
    }),
    "P06": ("queue position", {
        "L3": ("on", "exact, from the orders themselves"),
        "L1/L2": ("estimated", "displayed size at entry, moved by prints; {cancels}"),
        "bars": ("estimated", "none: at the back of every queue, a touch fills nothing"),
    }),
}  # fmt: skip
"""By effect and depth of data: state and words."""


def _by_depth(core: HouseRules) -> list[Effect]:
    queue = core.config.queue
    cancels = "no cancel moves us" if not queue.power else f"cancels move us by the power-{queue.power} model"
    depths = _depths(core) or ["L3"]
    effects = []
    for code, (name, words) in _DEPTH_WORDS.items():
        state = "estimated" if any(words[depth][0] == "estimated" for depth in depths) else "on"
        said = dict.fromkeys(words[depth][1] for depth in depths)
        mark = len(said) > 1
        texts = [f"{depth}: {words[depth][1]}" if mark else words[depth][1] for depth in depths]
        text = "; ".join(dict.fromkeys(texts)).format(
            ticks=queue.beyond_ticks, share=queue.bar_share_pct, cancels=cancels
        )
        effects.append(_effect(code, name, state, text))
    return effects


def _trading(core: HouseRules) -> list[Effect]:
    impact = ", ".join(symbol for symbol, params in sorted(core.config.impact.items()) if params.is_on)
    if impact:
        shock = _effect("P07", "impact", "on", f"linear, permanent and decaying, for {impact}")
    elif core.reacts:
        shock = _effect("P07", "impact", "on", "the simulated market reacts to what we take")
    else:
        shock = _effect("P07", "impact", "off", "the feed does not react to us beyond the orders we took from it")
    return [*_by_depth(core), shock]


def _rules(core: HouseRules) -> list[Effect]:
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
        _effect("P13", "halts", "on", "orders are parked and stops wait while halted, an auction ends it; price bands where bands.json names the symbol"),
        _effect(
            "P14", "auctions", "off" if calendars == [ALWAYS] else "on",
            _auctions(core) if calendars != [ALWAYS] else "a venue that never closes has none",
        ),
        _effect("P15", "time in force", "on", f"DAY ends with the session, GTD at its time ({count.expired} expired), GTC, IOC, FOK"),
        _effect(
            "P16", "stops", "on",
            f"triggered by the last print ({count.stops_triggered}), filled at the book ({count.stop_gaps} fills worse than the stop)",
        ),
        _effect(
            "P17", "brackets", "on",
            "the venue keeps brackets and one-cancels-other; what one fills reaches the others a cancel later, so both may fill",
        ),
        _effect(
            "P24", "combos", "on",
            f"priced on the books of the legs, {core.counters.combo_units} units done; all legs of a unit or none, or leg by leg where not guaranteed",
        ),
        _effect("P20", "transport faults", "off", "none unless faults were asked for"),
        _effect("P21", "races", "on", "cancels and amendments meet fills at the matching; too late is refused"),
        _effect("P22", "restart", "on", "orders and positions live at the venue; resting orders re-enter at the back"),
    ]  # fmt: skip


def _auctions(core: HouseRules) -> str:
    own = "at the session's first and last print, shared by size; how large an auction was is guessed"
    if not any(one.found for one in core.auctions.officials.values()):
        return f"opg and cls orders {own}"
    return f"opg and cls orders at the official prints that the recording marks, up to their size; where none can be told {own}"


def _notes(core: HouseRules, curve: str) -> tuple[str, ...]:
    notes = []
    for listing in core.listings.values():
        notes.append(f"{listing.key}: {listing.rows} rows, {listing.prints} prints, calendar {listing.calendar.name}")
        notes += [f"{listing.key}: {word}" for word in listing.oddities()]
        officials = core.auctions.officials.get(listing.key)
        if officials is not None:
            notes += [f"{listing.key}: {word}" for word in told(officials, listing.calendar)[:TOLD_MAX]]
        if listing.mic not in core.config.fees:
            notes.append(f"{listing.key}: no rate file for {listing.mic}, fees are zero")
    if curve:
        notes.append(f"volume curve: {curve}")
    return tuple(notes)
