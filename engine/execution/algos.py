"""The algorithms there are, by the name an order gives."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engine.execution.algo import Algo
from engine.execution.conditional import Conditional
from engine.execution.direct import Direct
from engine.execution.twap import TWAP
from engine.execution.vwap import VWAP

ALGOS: Mapping[str, Algo] = MappingProxyType({algo.name: algo for algo in (Direct(), TWAP, VWAP, Conditional())})
