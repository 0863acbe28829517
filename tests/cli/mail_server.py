"""A mail server on loopback: the real protocol, with and without TLS, and what can be wrong with it."""

from __future__ import annotations

import base64
import datetime as dt
import queue
import socket
import ssl
import threading
from email import message_from_bytes, policy
from email.message import Message
from io import BufferedRWPair
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

WAIT_S = 20
USER, PASSWORD = "desk", "s3cret-word"


def certificate(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """A self-signed certificate of a name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if name == "localhost":
        names.append(x509.IPAddress(ip_address("127.0.0.1")))
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


class MailServer:
    """Takes mails of one user; each ``with`` block has a port of its own.

    Args:
        certificate: PEM files of certificate and key; without them there is no TLS.
        implicit: TLS from the first byte, instead of STARTTLS.
        silent: takes the connection and never says a word.
        refuses: recipients are refused.
    """

    def __init__(
        self,
        certificate: tuple[Path, Path] | None = None,
        *,
        implicit: bool = False,
        silent: bool = False,
        refuses: bool = False,
    ) -> None:
        self.mails: queue.Queue[Message] = queue.Queue()
        self.passwords: list[str] = []
        """What was given as a password, and over a line that was encrypted or not."""
        self._implicit, self._silent, self._refuses = implicit, silent, refuses
        self._tls = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._is_over = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._listener.close()

    def _serve(self) -> None:
        while not self._is_over.is_set():
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(line,), daemon=True).start()

    def _talk(self, line: socket.socket) -> None:
        line.settimeout(WAIT_S)
        held = [line]
        try:
            if self._silent:
                self._is_over.wait(WAIT_S)
                return
            if self._implicit and self._tls is not None:
                held.append(self._tls.wrap_socket(line, server_side=True))
            self._session(held)
        except OSError:
            return  # the client left, or would not trust us
        finally:
            for one in held:
                one.close()

    def _session(self, held: list[socket.socket]) -> None:
        """One conversation; ``held`` ends with the socket it goes over, and gets the encrypted one."""
        file = held[-1].makefile("rwb")
        try:
            while (verb := self._converse(file, held[-1])) == "STARTTLS" and self._tls is not None:
                file.close()
                held.append(self._tls.wrap_socket(held[-1], server_side=True))
                file = held[-1].makefile("rwb")
            assert verb in {"QUIT", ""}
        finally:
            file.close()

    def _converse(self, file: BufferedRWPair, line: socket.socket) -> str:
        """Answer until the client leaves or wants TLS; the last verb."""

        def say(*words: str) -> None:
            file.write(b"".join(f"{word}\r\n".encode() for word in words))
            file.flush()

        if not isinstance(line, ssl.SSLSocket) or self._implicit:
            say("220 loopback ready")
        while raw := file.readline():
            word = raw.decode().strip()
            verb = word.partition(" ")[0].upper()
            if verb == "EHLO":
                offers = ["250-STARTTLS"] if self._tls is not None and not isinstance(line, ssl.SSLSocket) else []
                say("250-loopback", *offers, "250 AUTH PLAIN")
            elif verb == "STARTTLS" and self._tls is not None:
                say("220 go on")
                return verb
            elif verb == "AUTH":
                say("235 welcome" if self._knows(word.split()[-1]) else "535 5.7.8 no such user, or another password")
            elif verb == "RCPT" and self._refuses:
                say("550 no such box")
            elif verb == "DATA":
                say("354 go on")
                lines = []
                while (part := file.readline()) not in {b".\r\n", b""}:
                    lines.append(part)
                self.mails.put(message_from_bytes(b"".join(lines), policy=policy.default))
                say("250 taken")
            elif verb == "QUIT":
                say("221 bye")
                return verb
            else:
                say("250 ok")
        return ""

    def _knows(self, word: str) -> bool:
        _, user, password = base64.b64decode(word).decode().split("\0")
        self.passwords.append(password)
        return (user, password) == (USER, PASSWORD)
