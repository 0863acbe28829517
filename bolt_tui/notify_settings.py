"""Settings of notifications outside the screen."""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.domain.errors import SettingsError

PER_HOUR_MAX = 3_600
LOOPBACK = ("localhost", "127.0.0.1", "::1")
Kind = Literal["halts", "alerts", "brokers", "strategies", "rejects", "fills"]


class MailSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A mail for each notice."""

    host: str
    sender: str
    to: str
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password_file: str = ""
    """File whose first words are the password; keep it to yourself (mode 600)."""
    ca_file: str = ""
    """Certificates (PEM) that the server's own may be signed by, beside the machine's; for a server with a private one."""


class NotifySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Notifications outside the screen: every channel that is set gets each of them."""

    tell: tuple[Kind, ...] = ("halts", "alerts", "brokers", "strategies")
    """What is told: `halts`, `alerts`, `brokers`, `strategies`, `rejects`, `fills`."""
    webhook: str = ""
    """URL that gets a JSON object with `text`, `word`, `severity` and `ts_ns`; it may hold a secret and is never shown."""
    mail: MailSettings | None = None
    """`host`, `port`, `tls` (`starttls`, `tls`, `none`), `user`, `password_file`, `ca_file`, `sender`, `to`."""
    command: tuple[str, ...] = ()
    """A program and its arguments, `{text}` and `{word}` replaced: `[notify-send, Bolt, "{text}"]`. No shell reads it."""
    per_hour: int = 30
    """More than these in an hour are held back and counted."""
    deadline_s: float = 10.0
    """Longest time for one channel and notice."""

    def __repr__(self) -> str:
        """Without what may be secret."""
        return f"NotifySettings(tell={self.tell}, webhook={'set' if self.webhook else ''!r})"


def check(made: NotifySettings) -> None:
    """Refuse what cannot be used.

    Raises:
        SettingsError: naming the setting and what was expected.
    """
    if made.webhook and not made.webhook.startswith(("https://", "http://")):
        raise SettingsError("notify.webhook is no URL; expected https://... (or http://...)")
    if not 1 <= made.per_hour <= PER_HOUR_MAX:
        raise SettingsError(f"notify.per_hour was {made.per_hour}; expected 1 to {PER_HOUR_MAX}")
    if not 0 < made.deadline_s <= 60:
        raise SettingsError(f"notify.deadline_s was {made.deadline_s}; expected more than 0 and 60 at most")
    mail = made.mail
    if mail is not None and not (0 < mail.port < 65_536 and "@" in mail.sender and "@" in mail.to and mail.host):
        raise SettingsError("notify.mail needs a host, a port, and sender and to with an @")
    if mail is not None and mail.user and mail.tls == "none" and mail.host not in LOOPBACK:
        raise SettingsError(
            "notify.mail.tls is none, and user is given: the password would go over the net as it is; use starttls or tls"
        )
    if mail is not None and mail.user and not mail.password_file:
        raise SettingsError("notify.mail.user is given without password_file; put the password into a file of your own")
