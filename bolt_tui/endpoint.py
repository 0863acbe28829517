"""Where the engine's socket is, for both sides.

A Unix socket's path fits in 107 bytes on Linux and 103 on macOS. Where the state folder's is longer, the socket goes to
a private folder with a short path, and `engine.sock.path` in the state folder says where. Both sides refuse a folder
that is not the user's own or that others may enter: whoever owns the folder could put a false engine there.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import sys
import tempfile
from pathlib import Path

from bolt_tui.settings import DIR_MODE, FILE_MODE, Environment, Home, environment
from engine.domain.errors import SettingsError

PATH_BYTES_MAX = 103 if sys.platform == "darwin" else 107
_NAME = "engine.sock"


def claim_socket(home: Home, env: Environment | None = None) -> Path:
    """Where the engine of this state folder must listen; makes and records a short place where one is needed.

    Raises:
        SettingsError: no private place with a short path can be made.
    """
    if _fits(home.socket):
        home.socket_record.unlink(missing_ok=True)
        return home.socket
    recorded = _recorded(home)
    if recorded is not None and _fits(recorded) and _is_private(recorded.parent):
        return recorded
    place = _short_folder(env or environment()) / _NAME
    fresh = home.socket_record.with_suffix(".new")
    fresh.write_text(f"{place}\n", encoding="utf-8")
    fresh.chmod(FILE_MODE)
    fresh.replace(home.socket_record)
    return place


def find_socket(home: Home) -> Path:
    """Where an engine of this state folder listens, if one runs.

    Raises:
        SettingsError: the recorded place is not the user's own.
    """
    if _fits(home.socket):
        return home.socket
    place = _recorded(home)
    if place is None:
        return home.socket
    if place.parent.exists() and not _is_private(place.parent):
        msg = (
            f"{home.socket_record} names {place}, in a folder that is not yours alone; it is not trusted. "
            f"Stop the engine with a signal and remove that file"
        )
        raise SettingsError(msg)
    return place


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= PATH_BYTES_MAX


def _recorded(home: Home) -> Path | None:
    try:
        words = home.socket_record.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    return Path(words) if words else None


def _is_private(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _short_folder(env: Environment) -> Path:
    """A new private folder in the first base whose path is short enough."""
    bases = [base for base in (env.runtime_dir, env.temp_dir, "/tmp") if base]  # noqa: S108 - mkdtemp makes it private
    for base in bases:
        if not _fits(Path(base) / "bolt-12345678" / _NAME) or not os.access(base, os.W_OK):
            continue
        folder = Path(tempfile.mkdtemp(prefix="bolt-", dir=base))
        folder.chmod(DIR_MODE)
        return folder
    msg = (
        f"the engine's socket needs a path of at most {PATH_BYTES_MAX} bytes; set BOLT_HOME or TMPDIR to a shorter one"
    )
    raise SettingsError(msg)


def peer_uid(peer: socket.socket) -> int | None:
    """The user number of the process at the other end, where the system tells it."""
    if hasattr(socket, "SO_PEERCRED"):
        _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        return int(uid)
    if sys.platform == "darwin":
        # LOCAL_PEERCRED gives a struct xucred: version, uid, number of groups, groups.
        _, uid = struct.unpack_from("Ii", peer.getsockopt(0, 1, 76))
        return int(uid)
    return None


def is_listening(path: Path) -> bool:
    """Whether somebody accepts connections there now."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
