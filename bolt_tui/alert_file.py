"""A person's price alerts and what they have acknowledged, kept in the state folder so that both outlive the desk."""

from __future__ import annotations

from pathlib import Path

import msgspec

from widgets.alerts import ACKNOWLEDGED_MAX, ALERTS_MAX, Kept, PriceAlert

NAME = "desk.alerts"


class AlertFile:
    """One file; a folder that takes none, or a file that cannot be read, costs the keeping and nothing else."""

    def __init__(self, root: Path) -> None:
        self._path = root / NAME

    def load(self) -> Kept:
        """What was kept last; nothing where there is no file that can be read."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=Kept | tuple[PriceAlert, ...])
        except (OSError, msgspec.DecodeError):
            return Kept()
        kept = found if isinstance(found, Kept) else Kept(found)  # an older desk kept the prices alone
        alerts = tuple(alert for alert in kept.alerts if alert.price.is_finite())[:ALERTS_MAX]
        return Kept(alerts, dict(list(kept.acknowledged.items())[:ACKNOWLEDGED_MAX]))

    def keep(self, kept: Kept) -> bool:
        """Write it, all or nothing; False where the folder takes no file."""
        try:
            made = self._path.with_suffix(".new")
            made.write_bytes(msgspec.json.encode(kept))
            made.replace(self._path)
        except OSError:
            return False
        return True
