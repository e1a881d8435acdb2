"""A folder of an IMAP server as a source: ``imaps://USER@HOST/FOLDER``. Nothing on the server is changed.

A message is fetched once: its UID, with the folder's UIDVALIDITY, names the same message for ever (RFC 9051, 2.3.1.1).
"""

from __future__ import annotations

import base64
import imaplib
import ipaddress
import os
import re
import ssl
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Final
from urllib.parse import unquote, urlsplit

from indexer.sources.base import ReadError
from indexer.sources.mailboxes.messages import MAX_MESSAGE_BYTES, Mail, MailSource
from winnow.core.errors import InvalidSource
from winnow.ports.source import SourceOptions

PASSWORD_VARIABLE: Final = "IMAP_PASSWORD"  # noqa: S105 - the variable's name
TIMEOUT_SECONDS: Final = 60.0

_NOT_ASCII: Final = re.compile(r"[^\x20-\x7e]+")
_SIZE: Final = re.compile(rb"RFC822\.SIZE (\d+)")


class ImapSource(MailSource):
    """The messages of one folder that are not marked as deleted, by UID. The label is the address.

    Raises:
        InvalidSource: the address lacks a user or a host or holds a password, or the environment has none.
    """

    def __init__(self, spec: str, options: SourceOptions) -> None:
        parts = urlsplit(spec)
        form = f"write imaps://USER@HOST/FOLDER and set {PASSWORD_VARIABLE}"
        if parts.password is not None:
            raise InvalidSource(f"the address of a mailbox carries a password; {form}")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if not parts.username or not parts.hostname or port == -1 or parts.query or parts.fragment:
            raise InvalidSource(f"{spec!r} is not the address of a mailbox; {form}")
        self._encrypted = parts.scheme.lower() == "imaps"
        self._host, self._port = parts.hostname, port or (993 if self._encrypted else 143)
        self._user, self._folder = unquote(parts.username), unquote(parts.path.strip("/")) or "INBOX"
        if any(not char.isprintable() for char in self._user + self._folder):
            raise InvalidSource(f"the user or the folder in {spec!r} has control characters")
        self._password = os.environ.get(PASSWORD_VARIABLE, "")
        if not self._password:
            raise InvalidSource(f"the environment variable {PASSWORD_VARIABLE} holds no password for {self._user}")
        super().__init__(spec.rstrip("/"), options)

    def messages(self) -> Iterator[Mail]:
        """The messages, fetched one at a time when they are loaded."""
        try:
            server = self._connect()
            try:
                self._log_in(server)
                validity, uids = self._select(server)
                for uid in uids:
                    yield Mail(f"{self.label};UID={uid}", f"{validity}:{uid}", partial(_fetch, server, uid))
            finally:
                with suppress(imaplib.IMAP4.error, OSError):
                    server.logout()
        except (imaplib.IMAP4.error, OSError) as error:
            raise ReadError("imap_failed", f"{self._host}: {error!s:.300}") from None

    def _connect(self) -> imaplib.IMAP4:
        context = ssl.create_default_context()
        if self._encrypted:
            return _TlsServer(self._host, self._port, ssl_context=context, timeout=TIMEOUT_SECONDS)
        server = _Server(self._host, self._port, timeout=TIMEOUT_SECONDS)
        if "STARTTLS" in server.capabilities:
            server.starttls(context)
        elif not ipaddress.ip_address(server.sock.getpeername()[0]).is_loopback:
            server.shutdown()
            raise ReadError("not_encrypted", f"{self._host} offers no encryption; the password was not sent")
        return server

    def _log_in(self, server: imaplib.IMAP4) -> None:
        try:
            if "AUTH=PLAIN" in server.capabilities:  # takes passwords of any characters
                server.authenticate("PLAIN", lambda _: f"\0{self._user}\0{self._password}".encode())
            else:
                server.login(self._user, self._password)
        except (imaplib.IMAP4.abort, OSError):
            raise
        except (imaplib.IMAP4.error, UnicodeEncodeError) as error:
            said = "it cannot be sent" if isinstance(error, UnicodeError) else f"{error!s:.200}"
            message = f"{self._host} refused user {self._user} with the password of {PASSWORD_VARIABLE}: {said}"
            raise ReadError("login_failed", message.replace(self._password, "…")) from None

    def _select(self, server: imaplib.IMAP4) -> tuple[str, list[str]]:
        """The folder's UIDVALIDITY and the UIDs of its messages, in order."""
        status, said = server.select(_quoted(self._folder), readonly=True)
        if status != "OK":
            raise ReadError("no_folder", f"{self._host} has no folder {self._folder!r}: {said[0]!r:.200}")
        validity = server.response("UIDVALIDITY")[1][0]
        status, found = server.uid("SEARCH", "UNDELETED")
        if status != "OK" or validity is None:
            raise ReadError("imap_failed", f"{self._host} lists no messages: {found[0]!r:.200}")
        uids = b" ".join(part for part in found if isinstance(part, bytes)).split()
        return bytes(validity).decode(), [str(uid) for uid in sorted(map(int, uids))]


class _Bounded:
    """Refuses a message that a server announces as larger than we asked for."""

    def read(self, size: int) -> bytes:
        if size > MAX_MESSAGE_BYTES:
            raise imaplib.IMAP4.abort("the server sends more than it announced")
        return super().read(size)  # type: ignore[misc,no-any-return]  # of the class that this is mixed into


class _Server(_Bounded, imaplib.IMAP4):
    """A connection that may be encrypted later."""


class _TlsServer(_Bounded, imaplib.IMAP4_SSL):
    """An encrypted connection."""


def _fetch(server: imaplib.IMAP4, uid: str) -> bytes:
    _, sizes = server.uid("FETCH", uid, "(RFC822.SIZE)")
    size = next((int(found[1]) for part in sizes if isinstance(part, bytes) and (found := _SIZE.search(part))), 0)
    if size > MAX_MESSAGE_BYTES:
        raise ReadError("too_large", f"the message is larger than {MAX_MESSAGE_BYTES / 1024**2:g} MiB")
    _, parts = server.uid("FETCH", uid, "(BODY.PEEK[])")
    data = next((part[1] for part in parts if isinstance(part, tuple)), b"")
    if not data:
        raise ReadError("imap_failed", "the server did not send the message")
    return bytes(data)


def _quoted(folder: str) -> str:
    """A folder's name as IMAP wants it: quoted, other characters than ASCII in modified UTF-7 (RFC 3501, 5.1.3)."""

    def encoded(match: re.Match[str]) -> str:
        return f"&{base64.b64encode(match[0].encode('utf-16-be')).decode().rstrip('=').replace('/', ',')}-"

    name = _NOT_ASCII.sub(encoded, folder.replace("&", "&-")).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}"'
