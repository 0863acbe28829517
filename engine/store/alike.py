"""Whether two rows of a table say the same, though an older Bolt wrote one of them."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from engine.domain.events import decoder
from engine.domain.order import OrderSpec
from engine.store.statements import COLUMNS, Values

_SPEC = decoder(OrderSpec)


def says_the_same(table: str, kept: Values, made: Values) -> bool:
    """Equal, or an order whose terms were kept before some term existed: what it lacks has its default.

    A kept term with another value, or one that nobody knows, makes the rows differ.
    """
    if kept == made:
        return True
    if table != "orders":
        return False
    at = COLUMNS[table].index("spec")
    if kept[:at] != made[:at] or kept[at + 1 :] != made[at + 1 :]:
        return False
    try:
        is_within = _is_within(json.loads(kept[at]), json.loads(made[at]))
        return is_within and bool(_SPEC.decode(kept[at]) == _SPEC.decode(made[at]))
    except (ValueError, TypeError, msgspec.MsgspecError):
        return False


def _is_within(kept: Any, made: Any) -> bool:
    if isinstance(kept, dict) and isinstance(made, dict):
        return kept.keys() <= made.keys() and all(_is_within(value, made[name]) for name, value in kept.items())
    return bool(kept == made)
