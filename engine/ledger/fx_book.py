"""Currency rates as they were stated, newest of each pair; a pure function of the journal.

Rates are read one way or turned round (one divided by it, to 12 digits); never through a third currency, because
nobody stated that one.
"""

from __future__ import annotations

from decimal import Decimal

from engine.domain import events as ev
from engine.domain.money import ratio
from engine.domain.money_events import FxRate, FxRateSet, RateSeen

_ONE = Decimal(1)


class FxBook:
    """The table of rates."""

    def __init__(self) -> None:
        self.rates: dict[tuple[str, str], FxRate] = {}
        self.routes: ev.Routes = {FxRateSet: self._set}

    def _set(self, _seq: int, _ts_ns: int, event: FxRateSet) -> None:
        rate = event.rate
        self.rates[rate.of, rate.to] = rate

    def is_news(self, rate: FxRate) -> bool:
        """Whether a stated rate is neither known nor older than the one that is."""
        held = self.rates.get((rate.of, rate.to))
        return held is None or (rate.ts_ns >= held.ts_ns and rate != held)

    def seen(self, of: str, to: str) -> RateSeen | None:
        """The newer of the stated rate and the one stated the other way round; None where there is neither."""
        straight, turned = self.rates.get((of, to)), self.rates.get((to, of))
        if turned is not None and (straight is None or turned.ts_ns > straight.ts_ns):
            return RateSeen(ratio(_ONE, turned.rate), turned.ts_ns, f"{turned.source}, turned round")
        return None if straight is None else RateSeen(straight.rate, straight.ts_ns, straight.source)
