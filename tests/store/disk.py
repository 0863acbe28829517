"""A small disk of its own, for tests that fill it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(size_mb: int) -> Iterator[Path]:
    """A tmpfs of so many megabytes, on a folder that everybody may enter; only root may mount one."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip(
            "a small disk is a mount, which only root may make; /dev/full and RLIMIT_FSIZE are tested for everybody"
        )
    folder = Path(tempfile.mkdtemp(prefix="bolt-disk-"))
    folder.chmod(0o755)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=755", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"this machine does not let root mount a small disk: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()
