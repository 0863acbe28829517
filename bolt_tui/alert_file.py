"""The price alerts of a person, kept in the state folder so that they outlive the desk that they were set on."""

from __future__ import annotations

from pathlib import Path

import msgspec

from widgets.alerts_panel import ALERTS_MAX, PriceAlert

NAME = "desk.alerts"


class AlertFile:
    """One file; a folder that takes none, or a file that cannot be read, costs the keeping and nothing else."""

    def __init__(self, root: Path) -> None:
        self._path = root / NAME

    def load(self) -> tuple[PriceAlert, ...]:
        """The alerts that were kept last; none where there is no file that can be read."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=tuple[PriceAlert, ...])
        except (OSError, msgspec.DecodeError):
            return ()
        return tuple(alert for alert in found if alert.price.is_finite())[:ALERTS_MAX]

    def keep(self, alerts: tuple[PriceAlert, ...]) -> bool:
        """Write them, all or nothing; False where the folder takes no file."""
        try:
            made = self._path.with_suffix(".new")
            made.write_bytes(msgspec.json.encode(alerts))
            made.replace(self._path)
        except OSError:
            return False
        return True
