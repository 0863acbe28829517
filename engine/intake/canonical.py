"""The canonical line of an order: what :func:`engine.intake.grammar.parse_order` reads back to the same order."""

from __future__ import annotations

from engine.domain.clock import duration_word, iso
from engine.domain.money import text
from engine.domain.order import TOUCHED, OrderSpec, OrderType, Tif


def order_words(spec: OrderSpec) -> str:
    """The canonical line of an order: :func:`parse_order` reads it back to the same spec (frozen prices as numbers)."""
    parts = [str(spec.side), text(spec.qty), spec.symbol]
    if spec.stop is not None:
        parts.append(f"{'touch' if spec.type in TOUCHED else 'stop'} {text(spec.stop)}")
    if spec.trail is not None:
        parts.append(f"trail {text(spec.trail)}")
    if spec.limit is not None:
        parts.append(f"@{text(spec.limit)}")
    elif not spec.type.terms.waits:
        parts.append("@mtl" if spec.type is OrderType.MARKET_TO_LIMIT else "@mkt")
    if spec.display is not None:
        parts.append(f"show {text(spec.display)}")
    parts.append(f"gtd {iso(spec.expires_ns)}" if spec.tif is Tif.GTD else str(spec.tif))
    if spec.algo.trigger:
        parts.append(spec.algo.trigger)
    elif spec.algo.name != "direct":
        parts += [spec.algo.name, duration_word(spec.algo.duration_ns)]
        parts += [f"{name}={value}" for name, value in sorted(spec.algo.params.items())]
    parts += [word for word, on in (("post", spec.post_only), ("reduce", spec.reduce_only)) if on]
    parts += [f"acct:{spec.account}", f"broker:{spec.broker}"]
    if spec.venue:
        parts.append(f"venue:{spec.venue}")
    return " ".join(parts)
