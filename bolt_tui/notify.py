"""Notifications outside the screen: a webhook, a mail, a command of the desktop. They never delay the engine.

The engine only puts a line into a bounded queue. A thread, begun with the first line, sends each to every channel with a deadline; more than so many
an hour are held back, counted and summed up. A failure is counted, kept in ``notify.json`` for `bolt status`, and told to the desk once.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from bolt_tui.notify_settings import MailSettings, NotifySettings
from bolt_tui.settings import Home
from engine.domain import events as ev
from engine.domain.clock import NS_PER_S, Clock, SystemClock, iso
from engine.domain.errors import SettingsError
from engine.domain.strategy_events import StrategyChanged

QUEUE_MAX = 256
"""Lines that may wait; a further one is dropped and counted."""
HOUR_NS = 3_600 * NS_PER_S
FAILED_CODE = "NOTIFY_FAILED"
KINDS: dict[str, tuple[type[msgspec.Struct], ...]] = {
    "halts": (ev.TradingStateChanged,),
    "alerts": (ev.AlertRaised, ev.FillConflict),
    "brokers": (ev.BrokerChanged,),
    "strategies": (StrategyChanged,),
    "rejects": (ev.OrderRejected,),
    "fills": (ev.OrderFilled,),
}
"""What can be told, by the word in the settings."""


class Notice(msgspec.Struct, frozen=True):
    """One line to send."""

    ts_ns: int
    word: str
    text: str
    severity: str = "info"

    def line(self) -> str:
        """As one line."""
        return f"Bolt {iso(self.ts_ns)[:19]}Z {self.word} {self.text}"


class NoticeCounts(msgspec.Struct, kw_only=True):
    """What became of notifications since the engine started."""

    sent: int = 0
    failed: int = 0
    held: int = 0
    """Held back, as there were too many in the hour."""
    dropped: int = 0
    """Never looked at: the queue was full."""
    error: str = ""
    """The last failure."""
    failing: bool = False
    """The last send failed."""

    def words(self) -> str:
        """For a person."""
        said = f"{self.sent} sent, {self.failed} failed, {self.held} held back, {self.dropped} dropped"
        return f"{said}; last failure: {self.error}" if self.error else said


Send = Callable[[Notice], None]
"""Sends over one channel; raises OSError or ValueError where it could not."""


def channels(settings: NotifySettings) -> dict[str, Send]:
    """The channels that are set."""
    found: dict[str, Send] = {}
    if settings.webhook:
        found["webhook"] = lambda notice: _post(settings.webhook, notice, settings.deadline_s)
    if settings.mail is not None:
        mail = settings.mail
        found["mail"] = lambda notice: _mail(mail, notice, settings.deadline_s)
    if settings.command:
        found["command"] = lambda notice: _run(settings.command, notice, settings.deadline_s)
    return found


class Notifier:
    """Sends notices on a thread of its own.

    Args:
        settings: what is told, where and how often.
        counts_path: where the counts are kept for `bolt status`; None keeps them here only.
        on_failure: told once when sending begins to fail, from the thread.
        sends: the channels; those of the settings where it is None.
    """

    def __init__(
        self,
        settings: NotifySettings,
        counts_path: Path | None = None,
        on_failure: Callable[[str], None] = lambda _: None,
        *,
        sends: dict[str, Send] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.counts = NoticeCounts()
        self._settings = settings
        self._path = counts_path
        self._on_failure = on_failure
        self._sends = channels(settings) if sends is None else sends
        self._clock = clock or SystemClock()
        self._queue: queue.Queue[Notice | None] = queue.Queue(QUEUE_MAX)
        self._times: deque[int] = deque()
        self._thread: threading.Thread | None = None
        if self._path is not None and self._sends:
            self._keep()

    def kinds(self) -> tuple[type[msgspec.Struct], ...]:
        """Kinds of event that are wanted; none where there is no channel."""
        return tuple(kind for word in self._settings.tell for kind in KINDS[word]) if self._sends else ()

    def on_event(self, seq: int, ts_ns: int, event: ev.AnyEvent) -> None:
        """An event of the engine, on its thread: queued at once or dropped."""
        from engine.api import (
            log_lines,
        )  # here: `bolt status` reads the counts, and starts in a tenth of the time without it

        if isinstance(event, ev.AlertRaised) and event.code == FAILED_CODE:
            return  # it would fail again, and be told again
        said = log_lines.line(seq, ts_ns, event, None)
        if said is not None:
            self.offer(Notice(ts_ns, said.word, f"{said.order_id} {said.text}".strip(), said.severity))

    def offer(self, notice: Notice) -> None:
        """Queue a notice, never waiting."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="bolt-notify", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait(notice)
        except queue.Full:
            self.counts.dropped += 1

    def close(self, wait_s: float = 2.0) -> None:
        """Send what waits, for so long at most."""
        if self._thread is not None:
            try:
                self._queue.put(None, timeout=wait_s)
            except queue.Full:
                return
            self._thread.join(wait_s)

    # -- on the thread -------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (notice := self._queue.get()) is not None:
            if self._may_send():
                self._send(notice)
            else:
                self.counts.held += 1
            self._keep()

    def _may_send(self) -> bool:
        now_ns = self._clock.monotonic_ns()
        while self._times and now_ns - self._times[0] >= HOUR_NS:
            self._times.popleft()
        if len(self._times) >= self._settings.per_hour:
            return False
        self._times.append(now_ns)
        return True

    def _send(self, notice: Notice) -> None:
        if self.counts.held:
            notice = msgspec.structs.replace(
                notice, text=f"{notice.text} ({self.counts.held} before it were held back)"
            )
        was_failing, failed = self.counts.failing, ""
        for name, send in self._sends.items():
            try:
                send(notice)
                self.counts.sent += 1
            except Exception as error:  # loop edge: what a channel raises is counted, and the next one is tried
                self.counts.failed += 1
                # A URL may hold a secret: no error is shown that may quote it.
                failed = f"{name}: {type(error).__name__}{_words_of(error)}"
        self.counts.failing = bool(failed)
        if failed:
            self.counts.error = failed
            if not was_failing:
                self._on_failure(failed)

    def _keep(self) -> None:
        if self._path is None:
            return
        part = self._path.with_suffix(f".{os.getpid()}")
        try:
            part.write_bytes(msgspec.json.encode(self.counts))
            part.replace(self._path)
        except OSError:
            return  # the counts are for people; the notices themselves went out


def _words_of(error: Exception) -> str:
    """The code of a server's refusal (a web server's, a mail server's), or the system's words."""
    for name in ("code", "smtp_code"):
        code = getattr(error, name, None)
        if isinstance(code, int):
            return f" {code}"
    refused = getattr(error, "recipients", None)
    if isinstance(refused, dict):
        return f" {', '.join(str(code) for code, _ in refused.values())}"
    return f" {error.strerror}" if isinstance(error, OSError) and error.strerror else ""


def counts_path(home: Home) -> Path:
    """Where the counts of a home are kept."""
    return home.root / "notify.json"


def read_counts(home: Home) -> NoticeCounts | None:
    """The counts of the engine that ran last; None where none has a channel."""
    try:
        return msgspec.json.decode(counts_path(home).read_bytes(), type=NoticeCounts)
    except (OSError, msgspec.DecodeError):
        return None


# -- channels ----------------------------------------------------------------------------------------------------------


def _post(url: str, notice: Notice, deadline_s: float) -> None:
    from urllib.request import Request, urlopen

    body = {"text": notice.line(), "word": notice.word, "severity": notice.severity, "ts_ns": notice.ts_ns}
    request = Request(  # noqa: S310 - the settings take http and https only
        url, json.dumps(body).encode(), {"Content-Type": "application/json", "User-Agent": "bolt"}
    )
    with urlopen(request, timeout=deadline_s) as answer:  # noqa: S310 - as above
        answer.read(1024)


def _mail(mail: MailSettings, notice: Notice, deadline_s: float) -> None:
    """Nothing is sent, no password above all, to a server whose certificate is not the host's."""
    import smtplib
    import ssl
    from email.message import EmailMessage

    message = EmailMessage()
    message["From"], message["To"] = mail.sender, mail.to
    message["Subject"] = f"Bolt: {notice.word}"
    message.set_content(notice.line())
    checked = ssl.create_default_context()
    if mail.ca_file:
        checked.load_verify_locations(Path(mail.ca_file).expanduser())
    with (
        smtplib.SMTP_SSL(mail.host, mail.port, timeout=deadline_s, context=checked)
        if mail.tls == "tls"
        else smtplib.SMTP(mail.host, mail.port, timeout=deadline_s)
    ) as line:
        if mail.tls == "starttls":
            line.starttls(context=checked)
        if mail.user:
            line.login(mail.user, _password(mail))
        line.send_message(message)


def _password(mail: MailSettings) -> str:
    try:
        return Path(mail.password_file).expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"notify.mail.password_file cannot be read: {error.strerror}") from None


def _run(command: tuple[str, ...], notice: Notice, deadline_s: float) -> None:
    words = [word.replace("{text}", notice.line()).replace("{word}", notice.word) for word in command]
    subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=deadline_s, check=True)
