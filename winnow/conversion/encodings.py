"""Decodes bytes as browsers do (https://encoding.spec.whatwg.org), and detects the encoding where nothing names it."""

from __future__ import annotations

import codecs
import re
from typing import Final, NamedTuple

import webencodings
from chardetng_py.detector import EncodingDetector

from winnow.core.errors import InvalidDocument

DETECTED_BYTES: Final = 64 * 1024  # of a text without a label, read to detect its encoding
CONTROLS: Final = "winnow-controls"  # the standard's reading of bytes that Python's windows-1252 lacks, as errors=
MAX_REPLACED_SHARE: Final = 0.01  # of the characters; beyond that a text is in another encoding than it says

_DECLARED_BYTES: Final = 1024  # in which a page names its encoding (HTML, 4.2.5.5)
_DECLARED: Final = re.compile(
    rb"<meta[^>]{1,200}?charset\s*=\s*[\"']?\s*([\w:.-]{1,40})|<\?xml[^>]{1,100}?encoding\s*=\s*[\"']([\w:.-]{1,40})",
    re.IGNORECASE,
)
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_PLAIN_UTF16: Final = 0.3  # share of NUL bytes at even or odd places of a text in UTF-16 without a mark
_WIDER: Final = {"gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs"}
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_REPLACED: Final = "\ufffd"


class DecodedText(NamedTuple):
    """A text out of bytes: its encoding by Python's name, how many characters could not be read, if it was a guess."""

    text: str
    encoding: str
    replaced: int = 0
    detected: bool = False


class NotText(InvalidDocument):
    """The bytes are binary, or not in the encoding that they are said to be in."""

    code = "not_utf8"


def decode_text(data: bytes, label: str = "", *, page: bool = False) -> DecodedText:
    """Decode ``data`` by its byte order mark, by ``label``, by what a page declares, as UTF-8, or as detected.

    Args:
        data: the file or the response.
        label: the charset that a server sent; one that names no encoding is ignored.
        page: the text is HTML or XML, which may declare its encoding.

    Raises:
        NotText: the bytes are binary, or the encoding that is named fits badly.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], name)
    names = (label, _declared(data) if page else "")
    named = next((codec for codec in map(_codec, names) if codec), None)
    if named is not None and named != "utf-8":
        return _decoded(data, named)
    if wide := _unmarked_utf16(data):
        return _decoded(data, wide)._replace(detected=True)
    try:
        return DecodedText(data.decode(), "utf-8")
    except UnicodeDecodeError as error:
        return _detected(data, error, named=named is not None)


def _unmarked_utf16(data: bytes) -> str:
    """The kind of UTF-16 that bytes without a mark look like: of Latin text every second byte is 0."""
    sample = data[:1024]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if not sample or max(even, odd) < _PLAIN_UTF16 * len(sample) or min(even, odd) > 0:
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def _declared(data: bytes) -> str:
    found = _DECLARED.search(data[:_DECLARED_BYTES])
    label = next(name for name in found.groups() if name).decode() if found else ""
    return "utf-8" if label.lower().startswith("utf-16") else label  # its ASCII was read, so it cannot be UTF-16


def _codec(label: str) -> str | None:
    """Python's codec for a label of the Encoding Standard; ``None`` if the standard has no such label."""
    encoding = webencodings.lookup(label) if label else None
    if encoding is None or encoding.name in {"replacement", "x-user-defined"}:
        return None
    name: str = encoding.codec_info.name
    return _WIDER.get(name, name)


def _decoded(data: bytes, name: str) -> DecodedText:
    # the standard maps the five bytes that Python's codec of windows-1252 leaves out to control characters
    return _checked(data.decode(name, errors=CONTROLS if name == "cp1252" else "replace"), name)


def _checked(text: str, name: str) -> DecodedText:
    replaced = text.count(_REPLACED)
    if replaced > 1 and replaced > MAX_REPLACED_SHARE * len(text):
        raise NotText(f"{replaced:,} of {len(text):,} characters are not {name}; save the file as UTF-8")
    return DecodedText(text, name, replaced)


def _detected(data: bytes, error: UnicodeDecodeError, *, named: bool) -> DecodedText:
    """Decode by statistics of the bytes, unless almost all of it is UTF-8, as it says or as most of it shows."""
    text = data.decode(errors="replace")
    replaced = text.count(_REPLACED)
    if replaced <= MAX_REPLACED_SHARE * len(text) and (named or len(_NOT_ASCII.findall(text)) > 2 * replaced):
        return _checked(text, "utf-8")
    line = data.count(b"\n", 0, error.start) + 1
    if b"\x00" in data[:DETECTED_BYTES]:
        raise NotText(f"line {line} is not UTF-8, and the file has NUL bytes: it is binary, not text")
    detector = EncodingDetector()
    detector.feed(data[:DETECTED_BYTES], last=len(data) <= DETECTED_BYTES)
    guessed = detector.guess(tld=None, allow_utf8=False)
    name = _codec(guessed) or codecs.lookup(guessed).name
    return _decoded(data, name)._replace(detected=True)


def _controls(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(map(chr, error.object[error.start : error.end])), error.end


codecs.register_error(CONTROLS, _controls)
