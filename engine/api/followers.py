"""Who is told of an event, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from engine.domain import events as ev

if TYPE_CHECKING:
    import msgspec

    from engine.api.engine import Engine

Act = Callable[[int, int, Any], None]
Table = Mapping[type, tuple[Act, ...]]
"""Of each kind of event: who is called, with its number, its time and itself."""


def followers(engine: Engine) -> tuple[Table, Table]:
    """Tables of a rebuild and of a live engine, where algorithms and strategies are told as well.

    Of a row that holds several events (``events.TOGETHER``) everybody is told each of them, one after the other.
    """
    found = {kind: _followers_of(engine, kind) for kind in ev.EVENT_KINDS if kind not in ev.TOGETHER}
    rebuild, live = ({kind: acts[at] for kind, acts in found.items()} for at in (0, 1))
    for table in (rebuild, live):
        table |= dict.fromkeys(ev.TOGETHER, (_each_part(table),))
    return rebuild, live


def _each_part(table: Table) -> Act:
    def tell(seq: int, ts_ns: int, event: Any) -> None:
        for part in event.parts():
            for act in table[part.__class__]:
                act(seq, ts_ns, part)

    return tell


def _followers_of(engine: Engine, kind: type[msgspec.Struct]) -> tuple[tuple[Act, ...], tuple[Act, ...]]:
    # The order is a promise: orders and books first, then those who read them.
    books = (engine.store, engine.ledger, engine.days, engine.fx, engine.reconciler)
    readers = (engine.view_of_risk, engine.gate, engine.safety, engine.habits, engine.baskets, engine.picture)
    acts = [one.routes[kind] for one in (*books, *readers) if kind in one.routes]
    acts += [engine.host.routes[kind]] if kind in engine.host.routes else []
    live: list[Act] = [engine.agent.on_event] if engine.agent.hears(kind) else []
    live += [engine.host.live_routes[kind]] if kind in engine.host.live_routes else []
    live += [engine.parts.told[kind]] if kind in engine.parts.told else []
    tellers = (engine.leg_risk, engine.split_rest)
    live += [one.routes[kind] for one in tellers if kind in one.routes]
    again = [one.routes_rebuild[kind] for one in tellers if kind in one.routes_rebuild]
    return (*acts, *again), (*acts, *live)
