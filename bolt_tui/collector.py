"""How Python's cyclic collector is set for an engine.

The engine frees what it drops by reference counts; almost nothing of it lies in cycles. With Python's own settings the
collector looks through the day's orders again and again, which took an eighth of the order path.
"""

from __future__ import annotations

import gc

YOUNG_MAX, MIDDLE_MAX, OLD_MAX = 50_000, 20, 50
"""New objects before a look at the young ones, and looks at one generation before a look at the next."""


def calm() -> None:
    """Leave everything that was made at start-up alone from now on, and look less often at the rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, MIDDLE_MAX, OLD_MAX)
