"""Decodes bytes as browsers do (https://encoding.spec.whatwg.org), and detects the encoding where nothing names it."""

from __future__ import annotations

import codecs
import re
import unicodedata
from typing import Final, NamedTuple

import webencodings
from chardetng_py.detector import EncodingDetector

from winnow.conversion.markup import attributes_of
from winnow.core.errors import InvalidDocument

DETECTED_BYTES: Final = 64 * 1024  # of a text without a label, read to detect its encoding
CONTROLS: Final = "winnow-controls"  # the standard's reading of bytes that Python's windows-1252 lacks, as errors=
MAX_REPLACED_SHARE: Final = 0.01  # of the characters; beyond that a text is in another encoding than it says

_DECLARED_BYTES: Final = 64 * 1024  # in which a page names its encoding; browsers read again for one beyond 1,024
_COMMENT: Final = re.compile(rb"<!--.*?-->", re.DOTALL)
_META: Final = re.compile(rb"<meta[\s/][^<>]{1,400}>", re.IGNORECASE)
_XML: Final = re.compile(rb"\s*<\?xml[^>]{1,100}?encoding\s*=\s*[\"']([\w:.-]{1,40})", re.IGNORECASE)
_CHARSET: Final = re.compile(r"charset\s*=\s*[\"']?\s*([\w:.-]{1,40})", re.IGNORECASE)
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_PLAIN_UTF16: Final = 0.3  # share of NUL bytes at even or odd places of a Latin text in UTF-16 without a mark
_SHIFTS: Final = re.compile(rb"\x1b(?:\$[@B]|\([BJ])")  # between the character sets of ISO-2022-JP
_CONTROL: Final = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
_MANY_CONTROLS: Final = 0.1  # of the bytes: no text of one byte a character has them
_NO_TEXT: Final = frozenset({"Cc", "Cn", "Co", "Cs"})
_WIDER: Final = {"gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs"}
_MORE_BYTES: Final = frozenset("big5hkscs euc_jp cp949 gb18030 iso2022_jp cp932 utf-16-be utf-16-le".split())
_SURELY_UTF8: Final = 8  # characters outside ASCII
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
        return _as_utf8(data, named) or _decoded(data, named)
    if wide := _unmarked_utf16(data):
        return _decoded(data, wide)._replace(detected=True)
    if data.isascii() and _SHIFTS.search(data):
        return _decoded(data, "iso2022_jp_2")._replace(detected=True)
    try:
        return DecodedText(data.decode(), "utf-8")
    except UnicodeDecodeError as error:
        return _detected(data, error, named=named is not None)


def _as_utf8(data: bytes, named: str) -> DecodedText | None:
    """UTF-8 that is said to be in another encoding, in which a text is valid UTF-8 by chance only if it is short."""
    if data.isascii():
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    enough = len(_NOT_ASCII.findall(text)) >= (_SURELY_UTF8 if named in _MORE_BYTES else 1)
    return DecodedText(text, "utf-8", detected=True) if enough and "\x00" not in text else None


def _unmarked_utf16(data: bytes) -> str:
    """The kind of UTF-16 that bytes without a mark are in; empty if they are in none.

    Of Latin text every second byte is 0. Other text has some ASCII (spaces, line ends, tags), which tells the order of
    the bytes, and it is all letters and punctuation in that order; as text of one byte a character it is none.
    """
    sample = data[:1024]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if (not even and not odd) or len(data) % 2:
        return ""
    name = "utf-16-le" if odd > even else "utf-16-be"
    if max(even, odd) >= _PLAIN_UTF16 * len(sample) and min(even, odd) == 0:
        return name
    controls = len(_CONTROL.findall(sample)) > _MANY_CONTROLS * len(sample)
    return name if (controls or not _is_utf8(sample)) and _reads_as(data[:DETECTED_BYTES], name) else ""


def _is_utf8(sample: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()  # a sample may end inside of a character
    try:
        decoder.decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _reads_as(data: bytes, name: str) -> bool:
    """Whether bytes are letters, signs and white space in an encoding of two bytes."""
    try:
        text = codecs.getincrementaldecoder(name)().decode(data)  # a part may end inside of a pair
    except UnicodeDecodeError:
        return False
    return not any(unicodedata.category(char) in _NO_TEXT for char in set(text) - set("\t\n\r\f"))


def _declared(data: bytes) -> str:
    """The label in a page's XML declaration or ``<meta>``; those in comments and of other purposes do not count."""
    head = _COMMENT.sub(b"", data[:_DECLARED_BYTES])
    xml = _XML.match(head)
    labels = [xml[1].decode()] if xml else []
    for meta in _META.finditer(head):
        attributes = attributes_of(meta[0].decode("latin-1"))
        pragma = attributes.get("http-equiv", "").strip().lower() == "content-type"
        found = _CHARSET.search(attributes.get("content", "")) if pragma else None
        labels += [attributes["charset"].strip()] if "charset" in attributes else [found[1]] if found else []
    label = next((label for label in labels if _codec(label)), "")
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
