"""Mailboxes: each message once, under its Message-ID, and none parsed or fetched twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import quote

import pytest

from indexer.sources.build import open_source
from indexer.sources.mailboxes import messages
from indexer.sources.mailboxes.imap import PASSWORD_VARIABLE, _quoted
from indexer.sources.sandbox import Sandbox
from tests.files import pdf
from tests.stubs.imap import PASSWORD, USER, ImapServer, imap_server
from winnow.core.errors import InvalidSource
from winnow.core.types import Document
from winnow.ports.source import Failure, Notice, SourceItem, SourceOptions


def mail(number: int, text: str = "", *, attach: bool = False, id_: str | None = None) -> bytes:
    message = EmailMessage()
    message["Subject"] = f"Letter {number}"
    message["From"] = "ada@example.org"
    if id_ != "":
        message["Message-ID"] = f"<{id_ or number}@example.org>"
    message.set_content(text or f"Text of letter {number}.\nFrom here on, more.")
    if attach:
        message.add_attachment(pdf(["Weights."]), maintype="application", subtype="pdf", filename="w.pdf")
    return message.as_bytes()


def mbox(*mails: bytes) -> bytes:
    """A file in the form mboxo: lines of a text that begin with ``From`` are quoted."""
    return b"".join(
        b"From ada@example.org Mon Mar  2 10:00:00 2026\n" + each.replace(b"\nFrom here", b"\n>From here") + b"\n"
        for each in mails
    )


def everything(spec: str, state_dir: Path | None = None) -> list[SourceItem]:
    async def collected() -> list[SourceItem]:
        return [item async for item in open_source(spec, SourceOptions(state_dir=state_dir)).read()]

    return asyncio.run(collected())


def ids(items: list[SourceItem]) -> list[str]:
    return [item.id for item in items if isinstance(item, Document)]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Parsers that were used."""
    seen: list[str] = []
    parse = Sandbox.parse

    def watched(self: Sandbox, parser: str, *rest: object) -> object:
        seen.append(parser)
        return parse(self, parser, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Sandbox, "parse", watched)
    return seen


def test_messages_of_an_mbox_file_are_documents_with_their_attachments(tmp_path: Path, parsed: list[str]) -> None:
    path = tmp_path / "old.mbox"
    mails = [mail(1, attach=True), mail(2), mail(1), mail(3, id_="")]
    path.write_bytes(mbox(*mails))
    first, second, unnamed, notice = everything(f"mbox:{path}", tmp_path / "state")
    assert isinstance(first, Document)
    assert (first.id, first.title, first.source_format) == ("1@example.org", "Letter 1", "eml")
    assert "Text of letter 1." in first.text
    assert "## w.pdf\n\nWeights." in first.text
    assert isinstance(second, Document)
    assert second.id == "2@example.org"
    assert isinstance(unnamed, Document)
    assert unnamed.title == "Letter 3"
    assert isinstance(notice, Notice)
    assert (notice.code, notice.count) == ("duplicates", 1)
    parsed.clear()
    path.write_bytes(mbox(*mails, mail(4)))
    again = everything(f"mbox:{path}", tmp_path / "state")
    assert again[:3] == [first, second, unnamed]
    assert parsed == ["mail"]


def test_an_mbox_file_that_is_none_fails(tmp_path: Path) -> None:
    (tmp_path / "a.mbox").write_bytes(b"Subject: no mailbox\n\nText")
    (failure,) = everything(f"mbox:{tmp_path / 'a.mbox'}")
    assert isinstance(failure, Failure)
    assert (failure.code, failure.document_id) == ("not_a_mailbox", "")
    with pytest.raises(InvalidSource, match="write mbox:FILE"):
        open_source("mbox:no/such/file")


def test_a_message_that_cannot_be_read_is_named_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.sources.mailboxes.mbox.MAX_MESSAGE_BYTES", 2000)
    empty = b"Message-ID: <empty@example.org>\nSubject: x\n\n"
    (tmp_path / "a.mbox").write_bytes(mbox(mail(1), empty, mail(2, "word " * 1000), mail(3)))
    items = everything(f"mbox:{tmp_path / 'a.mbox'}")
    assert ids(items) == ["1@example.org", "3@example.org"]
    failures = [item for item in items if isinstance(item, Failure)]
    assert [(item.code, item.document_id) for item in failures] == [("no_text", "empty@example.org"), ("too_large", "")]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ImapServer]:
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    with imap_server() as running:
        running.folders["INBOX"] = {n: mail(n, attach=n == 1) for n in (1, 2, 3)}
        yield running


def address(server: ImapServer, folder: str = "") -> str:
    return f"imap://{quote(USER, safe='')}@127.0.0.1:{server.port}{folder}"


def test_messages_of_a_folder_are_documents_and_are_fetched_once(server: ImapServer, tmp_path: Path) -> None:
    items = everything(address(server), tmp_path)
    assert ids(items) == ["1@example.org", "2@example.org", "3@example.org"]
    assert isinstance(items[0], Document)
    assert "## w.pdf\n\nWeights." in items[0].text
    server.fetched.clear()
    del server.folders["INBOX"][2]
    server.folders["INBOX"][9] = mail(9)
    assert ids(everything(address(server), tmp_path)) == ["1@example.org", "3@example.org", "9@example.org"]
    assert server.fetched == [9]
    assert not {"SELECT", "STORE", "LOGIN"} & set(server.commands)


def test_a_folder_whose_uids_are_given_again_is_fetched_again(server: ImapServer, tmp_path: Path) -> None:
    first = everything(address(server), tmp_path)
    server.fetched.clear()
    server.validity += 1
    assert everything(address(server), tmp_path) == first
    assert server.fetched == [1, 2, 3]


def test_folders_have_names_of_every_script(server: ImapServer) -> None:
    assert _quoted('Entwürfe & 台北/"a"') == '"Entw&APw-rfe &- &U,BTFw-/\\"a\\""'
    server.folders["Entw&APw-rfe"] = {4: mail(4)}
    assert ids(everything(address(server, "/Entw%C3%BCrfe"))) == ["4@example.org"]


def test_a_message_that_is_too_large_is_not_fetched(server: ImapServer) -> None:
    server.announced[2] = messages.MAX_MESSAGE_BYTES + 1
    items = everything(address(server))
    assert [item.code for item in items if isinstance(item, Failure)] == ["too_large"]
    assert server.fetched == [1, 3]


def test_an_empty_folder_has_no_documents(server: ImapServer) -> None:
    server.folders["INBOX"] = {}
    assert everything(address(server)) == []


@pytest.mark.parametrize("what", ["password", "folder", "server"])
def test_what_cannot_be_opened_fails_without_a_document_and_without_the_password(
    server: ImapServer, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    spec = address(server, "/Nowhere" if what == "folder" else "")
    if what == "password":
        monkeypatch.setenv(PASSWORD_VARIABLE, "hush")
    if what == "server":
        spec = "imap://ada@127.0.0.1:1"
    (failure,) = everything(spec)
    assert isinstance(failure, Failure)
    codes = {"password": "login_failed", "folder": "no_folder", "server": "imap_failed"}
    assert (failure.code, failure.document_id) == (codes[what], "")
    assert "hush" not in failure.message


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("imaps://ada:hush@example.org/INBOX", "carries a password"),
        ("imaps://example.org/INBOX", "is not the address of a mailbox"),
        ("imaps:ada@example.org", "is not the address of a mailbox"),
        ("imaps://ada@example.org:x/", "is not the address of a mailbox"),
        ("imaps://ada@example.org/a%0Ab", "control characters"),
    ],
)
def test_what_is_no_address_of_a_mailbox_is_refused(spec: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "x")
    with pytest.raises(InvalidSource, match=words) as caught:
        open_source(spec)
    assert "hush" not in caught.value.message


def test_the_password_comes_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    with pytest.raises(InvalidSource, match=PASSWORD_VARIABLE):
        open_source("imaps://ada@example.org")
