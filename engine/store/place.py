"""Where a ledger is kept: in a file, or on a PostgreSQL server that a URL names."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from engine.domain.errors import SettingsError

SCHEMES = ("postgresql://", "postgres://", "postgresql+psycopg://")
"""How the URL of a server begins; anything else is the path of a file."""
URL_FORM = "postgresql://USER@HOST:PORT/DATABASE"
_HIDDEN = "***"


class ServerPlace:
    """A ledger on a PostgreSQL server. As text it is its URL without the password; nothing of Bolt prints the whole one.

    Args:
        url: as libpq reads it: ``postgresql://user:password@host:port/database?options``. Without a password libpq looks in
            ``~/.pgpass`` and in ``PGPASSWORD``.
        folder: where the head of this ledger is noted: outside the server that it is to prove.

    Raises:
        SettingsError: the text is no such URL; without its password in the words.
    """

    __slots__ = ("_words", "folder", "url")

    def __init__(self, url: str, folder: Path) -> None:
        parts = _split(url)
        if len(parts.path) < 2:
            msg = f"ledger URL {_without_password(url)} names no database; expected {URL_FORM}"
            raise SettingsError(msg)
        self.url = urlunsplit(parts._replace(scheme="postgresql"))
        self.folder = folder
        self._words = _without_password(self.url)

    @property
    def head_file(self) -> Path:
        """Where the head is noted: by the address without user and password, which may change."""
        parts = urlsplit(self._words)
        address = f"{parts.hostname}:{parts.port or 5432}{parts.path}?{parts.query}"
        return self.folder / f"ledger-{hashlib.sha256(address.encode()).hexdigest()[:12]}.head"

    def scrub(self, words: str) -> str:
        """Words of a library about this place, without the password they may quote."""
        password = _password(self.url)
        for secret in {password, unquote(password)}:
            words = words.replace(secret, _HIDDEN) if secret else words
        return words

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ServerPlace) and (self.url, self.folder) == (other.url, other.folder)

    def __hash__(self) -> int:
        return hash((self.url, self.folder))

    def __str__(self) -> str:
        return self._words

    def __repr__(self) -> str:
        return f"ServerPlace({self._words!r})"


Place = Path | ServerPlace


def is_server_url(words: str) -> bool:
    """Whether these words name a server and no file."""
    return words.startswith(SCHEMES)


def read_place(words: str, folder: Path) -> Place:
    """A place as a person names it: a URL or a path. Raises SettingsError where a URL cannot be used."""
    if is_server_url(words):
        return ServerPlace(words, folder)
    if "://" in words:
        msg = f"ledger {_without_password(words)} is of no kind that Bolt knows; expected a file or {URL_FORM}"
        raise SettingsError(msg)
    return Path(words)


def head_file(place: Place) -> Path:
    """The file in which the head of a ledger is noted."""
    return place.head_file if isinstance(place, ServerPlace) else place.with_name(f"{place.name}.head")


def _split(url: str) -> Any:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        msg = f"ledger URL {_without_password(url)} cannot be read ({error}); expected {URL_FORM}"
        raise SettingsError(msg) from None
    return parts


def _password(url: str) -> str:
    """The password as the URL spells it; empty where it has none."""
    address, _, query = url.partition("://")[2].partition("?")
    login = address.rpartition("@")[0]
    in_query = re.search(r"(?:^|&)password=([^&]*)", query)
    return login.partition(":")[2] or (in_query.group(1) if in_query else "")


def _without_password(url: str) -> str:
    """For people: whatever stands where a password may, hidden, also in a URL that cannot be read."""
    scheme, _, rest = url.partition("://")
    address, mark, query = rest.partition("?")
    login, at, host = address.rpartition("@")
    user, colon, _ = login.partition(":")
    pairs = [(name, _HIDDEN if name == "password" else value) for name, value in parse_qsl(query)]
    shown = urlencode(pairs, safe="/*,=- ") if pairs else ""
    return f"{scheme}://{user}{colon}{_HIDDEN if colon else ''}{at}{host}{mark if shown else ''}{shown}"
