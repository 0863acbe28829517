"""Recorded data beside the repository, for tests that are worth more on a real market. Without it they are skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def shared_file(relative: str) -> Path:
    """A recorded file in ``BOLT_SHARED_DATA`` or in ``../shared/data``; skips the test where it is not there."""
    folder = Path(os.environ.get("BOLT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    path = folder / relative
    if not path.is_file():
        pytest.skip(f"recorded data {relative} is not in {folder}; set BOLT_SHARED_DATA to its folder")
    return path
