"""An IMAP server on loopback: the commands of RFC 3501 that a reader of one folder sends, and what it answered."""

from __future__ import annotations

import base64
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

USER, PASSWORD = "ada@example.org", 'pass "ü" word'


class ImapServer(socketserver.ThreadingTCPServer):
    """Folders of messages by UID.

    Attributes:
        folders: by name, as the protocol writes it, the messages by UID.
        validity: UIDVALIDITY of every folder.
        fetched: UIDs whose content was sent.
        announced: a size that RFC822.SIZE claims for a UID in place of its own.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.folders: dict[str, dict[int, bytes]] = {"INBOX": {}}
        self.validity = 7
        self.fetched: list[int] = []
        self.announced: dict[int, int] = {}
        self.commands: list[str] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class _Session(socketserver.StreamRequestHandler):
    server: ImapServer

    def handle(self) -> None:
        self.messages: dict[int, bytes] = {}
        self._send("* OK ready")
        while line := self.rfile.readline().decode().strip():
            tag, _, command = line.partition(" ")
            name, _, rest = command.partition(" ")
            self.server.commands.append(name.upper())
            answer = self._answer(name.upper(), rest)
            self._send(f"{tag} {answer}")
            if name.upper() == "LOGOUT":
                return

    def _answer(self, name: str, rest: str) -> str:
        match name:
            case "CAPABILITY":
                self._send("* CAPABILITY IMAP4rev1 AUTH=PLAIN")
            case "AUTHENTICATE":
                self._send("+ ")
                given = base64.b64decode(self.rfile.readline()).decode()
                if given != f"\0{USER}\0{PASSWORD}":
                    return f"NO wrong password {given.rpartition(chr(0))[2]}"
            case "EXAMINE":
                folder = rest.strip('"')
                if folder not in self.server.folders:
                    return "NO no such folder"
                self.messages = self.server.folders[folder]
                self._send(f"* {len(self.messages)} EXISTS")
                self._send(f"* OK [UIDVALIDITY {self.server.validity}] valid")
            case "UID":
                return self._uid(rest)
            case "LOGOUT":
                self._send("* BYE")
            case _:
                return f"BAD {name} is unknown"
        return "OK done"

    def _uid(self, rest: str) -> str:
        if rest.startswith("SEARCH"):
            self._send(f"* SEARCH {' '.join(map(str, self.messages))}".rstrip())
            return "OK done"
        found = re.fullmatch(r"FETCH (\d+) \((.*)\)", rest)
        assert found
        uid = int(found[1])
        data = self.messages[uid]
        if found[2] == "RFC822.SIZE":
            self._send(f"* 1 FETCH (UID {uid} RFC822.SIZE {self.server.announced.get(uid, len(data))})")
        else:
            assert found[2] == "BODY.PEEK[]"
            self.server.fetched.append(uid)
            self.wfile.write(b"* 1 FETCH (UID %d BODY[] {%d}\r\n%b)\r\n" % (uid, len(data), data))
        return "OK done"

    def _send(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def imap_server() -> Iterator[ImapServer]:
    """A server that runs until the context ends."""
    with ImapServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
