"""Every format, good, empty, broken, hostile and of 1 GB: a text or a failure with a name, within bounds of memory."""

from __future__ import annotations

import base64
import json
import random
import resource
import sys
import zlib
from collections.abc import Callable
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.sources.build import open_source
from indexer.sources.formats import SUFFIXES
from tests.files import docx, pdf, write
from tests.sources import read_all
from tests.unit.test_sources_office import GOOD, archive
from winnow.core.types import Document
from winnow.ports.source import Failure

GIGABYTE: Final = 1024**3
MOST_MEMORY_MIB: Final = 400  # by which this process may grow; parsers have a process and a limit of their own

# A workbook of Excel 97 with one sheet of two rows, which nothing that is installed here can write.
XLS: Final = (
    "c-rk)Pe@cj82`<4*ZqU8Z*>*4kVVMSyo8r7_N*woBql)-fvx!tq3p_20y~stdklh3MHj(K7pqHus6%z?5Eyj`f?&6fodSany07p1"
    "cAl)|!G#iw`90=0-}~m9neV;%X6DU%yOb=<KWr=F7aTwhN`4Hr6*@&J7TnmNa^Gh$$fJ~egMSLKC=Fz77|-h8M0gB&yo<2#AoP+L"
    "_)O_6CNY@Hy6G*%A@L!j*oQu1g}bClpjEtT6h1H9Bz#{ip9}Yk=7w+|*%s6pEIEVS`*jqbwmPIN0dDuP)cGiyeQ3sOj^ZmfRoOO-"
    "gWiSA#P%#`57l7-G;RZK*7Y(I1*B*I7x3Lr1IxioeUUc$t<@`#{>OTKWCQ&zD+J8KKPLg6M+08fa7hHmGTudZYI+4b!5U6vdf3ZN"
    "Qg$+zog&Tfj2q__S!S@kZU)y&WY-aoQKKv;CBAK1qgU>Idv|<v$QcpMtgPDQwS5=610Pqp231Z-iM7Vv!h40UNvk_VZWB&XR8rnK"
    ")U1W0b7FH{N;|2aUcq~3cZIx%<owqYPulZeoGy|V2a1<ciyxeMbkJTiM)mocLyziFcWyJDIzg`VI`B!j^|v)4YT4R%UvFRySVdgK"
    "q;UC;-;UDuY6E*E_T1uSD=z*d(ZYMA)rd#(dipDN$v6xQ3=9km3=9kmwkwqWw$~>N`gAX!AR_v|&MKvn`AzcQVi-BPrs-gM1X;>G"
    "%v2RWEeNZiEw#xy!T&<WDeB$BI7Y>f@v7sOPJpWNc{W|q{&Q2P+Wt$``1zOn{|TFkz{C"
)
ODS: Final = {
    "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
    "META-INF/manifest.xml": "<manifest:manifest xmlns:manifest='urn:oasis:names:tc:opendocument:xmlns:manifest:1.0'/>",
    "content.xml": "<office:document-content xmlns:office='urn:oasis:names:tc:opendocument:xmlns:office:1.0' "
    "xmlns:text='urn:oasis:names:tc:opendocument:xmlns:text:1.0' "
    "xmlns:table='urn:oasis:names:tc:opendocument:xmlns:table:1.0'><office:body><office:spreadsheet>"
    "<table:table table:name='Harvest'><table:table-row><table:table-cell office:value-type='string'>"
    "<text:p>Rye</text:p></table:table-cell></table:table-row></table:table>"
    "</office:spreadsheet></office:body></office:document-content>",
}


def parquet(rows: int) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": list(map(str, range(rows))), "text": ["Rye is in."] * rows}), out)
    return out.getvalue().to_pybytes()


@cache
def good(suffix: str) -> bytes:
    """A small file of a format."""
    if (known := GOOD.get(f"a{suffix}")) is not None:
        return known[0]
    plain = b"# Harvest\n\nRye is in.\n"
    made: dict[str, Callable[[], bytes]] = {
        ".pdf": lambda: pdf(["Rye is in."]),
        ".docx": lambda: docx(("Normal", "Rye is in.")),
        ".xls": lambda: zlib.decompress(base64.b85decode(XLS)),
        ".ods": lambda: archive(dict(ODS)),
        ".csv": lambda: b"id,text\na,Rye is in.\n",
        ".tsv": lambda: b"id\ttext\na\tRye is in.\n",
        ".parquet": lambda: parquet(1),
        **dict.fromkeys((".jsonl", ".ndjson"), lambda: b'{"id": "a", "text": "Rye is in."}\n'),
        **dict.fromkeys((".html", ".htm", ".xhtml"), lambda: b"<html><body><p>Rye is in.</p></body></html>"),
    }
    return made.get(suffix, lambda: plain)()


DEEP: Final = 100_000
ZIPPED: Final = frozenset({".docx", ".pptx", ".xlsx", ".ods", ".odt", ".epub"})
PARTS: Final = (
    "content.xml",
    "xl/workbook.xml",
    "META-INF/container.xml",
    "word/document.xml",
    "ppt/presentation.xml",
)
BOMBS: Final[dict[str, Callable[[], list[bytes]]]] = {
    ".pdf": lambda: [pdf(["x"], stream=b"BT (a) Tj ET" + b" " * 2**29)],
    ".xls": lambda: [good(".xls")[:512] + b"\xff" * DEEP],
    ".rtf": lambda: [b"{\\rtf1 " + b"{" * DEEP + b"Rye" + b"}" * DEEP],
    ".eml": lambda: [b'Content-Type: multipart/mixed; boundary="b"\n\n' + b"--b\n" * DEEP, _nested_mail(20)],
    ".ipynb": lambda: [b"[" * DEEP, json.dumps({"cells": [{"cell_type": "markdown", "source": "[" * DEEP}]}).encode()],
    ".parquet": lambda: [parquet(1)[:-8] + b"\xff\xff\xff\x7fPAR1"],
    ".html": lambda: [b"<html><body>" + b"<div>" * DEEP + b"Rye", _laughs()],
    ".jsonl": lambda: [b'{"id": "a", "text": ' + b"[" * DEEP + b"\n"],
    ".csv": lambda: [b",".join(b"c%d" % n for n in range(DEEP)), b'id,text\na,"' + b"x" * 2**25],
}


def bombs(suffix: str) -> list[bytes]:
    """Small files of a format that would unpack, nest or multiply without end."""
    if suffix in ZIPPED:
        nested = b"<a>" * DEEP + b"Rye" + b"</a>" * DEEP
        swollen = dict.fromkeys(PARTS, b"<a>") | {"word/document.xml": bytes(2**28 + 1)}
        return [archive(parts) for parts in (dict.fromkeys(PARTS, nested), dict.fromkeys(PARTS, _laughs()), swollen)]
    alike = {".htm": ".html", ".xhtml": ".html", ".ndjson": ".jsonl", ".tsv": ".csv"}
    if made := BOMBS.get(alike.get(suffix, suffix)):
        return made()
    yaml = b"\n".join(b"l%d: &l%d [%s]" % (n, n, b", ".join([b"*l%d" % (n - 1)] * 9)) for n in range(1, 30))
    runs = [start * (DEEP // 2) + b"Rye" for start in (b"> ", b"[", b"<<a,", b":a:", b"\t", b"https://a")]
    return [*runs, b"---\nl0: &l0 [x]\n" + yaml + b"\n---\nRye\n"]


def _laughs() -> bytes:
    entities = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 12))
    return b'<!DOCTYPE a [<!ENTITY l0 "ha">' + entities + b"]><a>&l11;</a>"


def _nested_mail(levels: int) -> bytes:
    message = EmailMessage()
    message.set_content("Rye is in.")
    for _ in range(levels):
        outer = EmailMessage()
        outer.set_content("As attached.")
        outer.add_attachment(message.as_bytes(), maintype="application", subtype="octet-stream", filename="m.eml")
        if len(outer.as_bytes()) > 2_000_000:
            break
        message = outer
    return message.as_bytes()


def outcomes(path: Path) -> list[Document | Failure]:
    """What reading a file comes to; fails if that is nothing, has no text or no name, or takes too much memory."""
    before = _memory_mib()
    found = read_all(open_source(str(path)))
    assert found, "nothing was said"
    for item in found:
        if isinstance(item, Document):
            assert item.text.strip()
        else:
            assert item.code
            assert item.message
            assert len(item.message) < 2000
    assert _memory_mib() - before < MOST_MEMORY_MIB
    return found


def _memory_mib() -> float:
    """The most memory that this process has had."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1024 if sys.platform == "linux" else most / 1024**2


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_a_good_file_is_text(tmp_path: Path, suffix: str) -> None:
    (item,) = outcomes(write(tmp_path / f"a{suffix}", good(suffix)))
    assert isinstance(item, Document), item


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
@pytest.mark.parametrize("content", [b"", b"\n \n"], ids=["nothing", "spaces"])
def test_an_empty_file_is_a_failure(tmp_path: Path, suffix: str, content: bytes) -> None:
    (item,) = outcomes(write(tmp_path / f"a{suffix}", content))
    assert isinstance(item, Failure), item
    assert content or item.code == "empty"


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_a_broken_file_is_text_or_a_failure(tmp_path: Path, suffix: str) -> None:
    whole = good(suffix)
    noise = random.Random(suffix).randbytes(len(whole))
    for number, content in enumerate((whole[: len(whole) // 2], whole[: len(whole) // 2] + noise, noise * 10)):
        outcomes(write(tmp_path / str(number) / f"a{suffix}", content))


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_a_hostile_file_is_text_or_a_failure(tmp_path: Path, suffix: str) -> None:
    for number, content in enumerate(bombs(suffix)):
        outcomes(write(tmp_path / str(number) / f"a{suffix}", content))


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_a_file_of_1_gb_is_a_failure_and_what_was_read_before_is_kept(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", good(suffix))
    with path.open("r+b") as file:
        file.truncate(GIGABYTE)  # sparse: it takes no room
    *_, last = outcomes(path)
    assert isinstance(last, Failure), last
