"""Mails to a real server: delivered, and what goes wrong with its certificate, its user and its patience is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bolt_tui.commands.exits import Exit
from bolt_tui.notify import Notice, Notifier, counts_path, read_counts
from bolt_tui.notify_settings import MailSettings, NotifySettings, check
from bolt_tui.settings import Home
from engine.domain.clock import NS_PER_S, SystemClock
from engine.domain.errors import SettingsError
from tests.cli.conftest import Ran
from tests.cli.mail_server import PASSWORD, USER, WAIT_S, MailServer, certificate

Bolt = Callable[..., Ran]


def settings(server: MailServer, folder: Path, *, password: str = PASSWORD, **more: str) -> NotifySettings:
    secret = folder / "password"
    secret.write_text(f"{password}\n", encoding="utf-8")
    words = {"host": "localhost", "user": USER, "password_file": str(secret), "ca_file": str(folder / "localhost.pem")}
    mail = MailSettings(port=server.port, sender="bolt@box", to="desk@home", **{**words, **more})  # type: ignore[arg-type] # its words
    return NotifySettings(mail=mail, deadline_s=2)


def sent(made: NotifySettings, home: Home) -> tuple[Notifier, list[str]]:
    """A notice offered and carried to its end, and what the desk was told."""
    told: list[str] = []
    notifier = Notifier(made, counts_path(home), told.append)
    notifier.offer(Notice(10**18, "HALT", "everything stopped"))
    notifier.close(WAIT_S)
    return notifier, told


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_notice_arrives_as_a_mail_over_a_checked_line(tls: str, tmp_path: Path, home: Home) -> None:
    with MailServer(certificate(tmp_path), implicit=tls == "tls") as server:
        notifier, told = sent(settings(server, tmp_path, tls=tls), home)
        mail = server.mails.get(timeout=WAIT_S)
        assert (mail["From"], mail["To"], mail["Subject"]) == ("bolt@box", "desk@home", "Bolt: HALT")
        assert "everything stopped" in str(mail.get_payload())
        assert server.passwords == [PASSWORD]
    assert (notifier.counts.sent, notifier.counts.failed, told) == (1, 0, [])


def test_a_server_with_another_certificate_gets_no_password(tmp_path: Path, home: Home) -> None:
    certificate(tmp_path)
    with MailServer(certificate(tmp_path, "elsewhere")) as server:
        for more in ({}, {"ca_file": str(tmp_path / "elsewhere.pem")}):
            notifier, told = sent(settings(server, tmp_path, **more), home)
            assert server.passwords == []
            assert server.mails.empty()
            assert told[0].startswith("mail: SSLCertVerificationError")
            assert notifier.counts.failing
    kept = read_counts(home)
    assert kept is not None
    assert "CERTIFICATE_VERIFY_FAILED" in kept.error


@pytest.mark.parametrize(
    ("password", "refuses", "words"),
    [
        ("other", False, "mail: SMTPAuthenticationError 535"),
        (PASSWORD, True, "mail: SMTPRecipientsRefused 550"),
    ],
)
def test_what_the_server_refuses_is_told_with_its_code_and_no_secret(
    password: str, refuses: bool, words: str, tmp_path: Path, home: Home
) -> None:
    with MailServer(certificate(tmp_path), refuses=refuses) as server:
        notifier, told = sent(settings(server, tmp_path, password=password), home)
    assert told == [words]
    assert notifier.counts.error == words
    assert password not in counts_path(home).read_text(encoding="utf-8")


def test_a_server_without_tls_gets_no_password(tmp_path: Path, home: Home) -> None:
    with MailServer() as server:
        certificate(tmp_path)
        _, told = sent(settings(server, tmp_path), home)
        assert told[0].startswith("mail: SMTPNotSupportedError")
        assert (server.passwords, server.mails.empty()) == ([], True)


def test_a_server_that_says_nothing_delays_nobody_and_is_given_up(tmp_path: Path, home: Home) -> None:
    clock = SystemClock()
    with MailServer(silent=True) as server:
        certificate(tmp_path)
        told: list[str] = []
        notifier = Notifier(settings(server, tmp_path), counts_path(home), told.append)
        began_ns = clock.monotonic_ns()
        for number in range(50):
            notifier.offer(Notice(number, "ALERT", str(number)))
        assert clock.monotonic_ns() - began_ns < NS_PER_S, "the engine's thread only queues"
        notifier.close(0.01)
        while not told:
            assert clock.monotonic_ns() - began_ns < WAIT_S * NS_PER_S
            clock.sleep(0.01)
    assert told == ["mail: SMTPServerDisconnected"], "so smtplib calls a server that answers nothing in time"


def test_notify_test_sends_a_mail_or_says_why_not(bolt: Bolt, home: Home, tmp_path: Path) -> None:
    with MailServer(certificate(tmp_path)) as server:
        made = settings(server, tmp_path).mail
        assert made is not None
        words = f"host: localhost, port: {server.port}, user: {USER}, password_file: {made.password_file}, ca_file: {made.ca_file}"
        home.settings.write_text(f"notify: {{mail: {{{words}, sender: a@b, to: c@d}}}}\n", encoding="utf-8")
        assert bolt("notify", "test").code == Exit.OK
        assert server.mails.get(timeout=WAIT_S)["Subject"] == "Bolt: TEST"
        Path(made.password_file).unlink()
        ran = bolt("notify", "test")
        assert ran.code == Exit.INCOMPLETE
        assert "password_file cannot be read" in ran.out or "SettingsError" in ran.out


def test_a_password_never_goes_over_the_net_as_it_is(tmp_path: Path) -> None:
    mail = MailSettings(host="mail.example", sender="a@b", to="c@d", tls="none", user=USER, password_file="x")
    with pytest.raises(SettingsError, match="starttls"):
        check(NotifySettings(mail=mail))
    check(
        NotifySettings(
            mail=MailSettings(host="127.0.0.1", sender="a@b", to="c@d", tls="none", user=USER, password_file="x")
        )
    )
