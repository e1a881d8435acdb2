"""Reads and checks a document from JSON, by the same rules over HTTP and in a JSONL file."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any, Final, cast, get_args

import orjson

from winnow.core.acl import parse_acl, wire_acl
from winnow.core.errors import DocumentTooLarge, InvalidDocument, InvalidInput
from winnow.core.filters import fits, values_of
from winnow.core.marks import parse_marks, parse_warnings, wire_marks, wire_warnings
from winnow.core.tenancy import check_tenant, qualify_id, split_id, tenant_of
from winnow.core.text import has_unprintable, is_encodable
from winnow.core.types import Document, FieldType, JsonValue, Metadata, TextFormat

MAX_ID_CHARS: Final = 512
MAX_TITLE_CHARS: Final = 2048
MAX_URL_CHARS: Final = 4096
MAX_METADATA_BYTES: Final = 64 * 1024
MAX_METADATA_DEPTH: Final = 16

_KEYS: Final = ("id", "text", "format", "title", "url", "metadata", "version", "tenant", "acl")
_READ_KEYS: Final = ("source_format", "marks", "warnings")  # of a text that the caller has converted already
_FORMAT_NAME: Final = re.compile(r"[a-z0-9]{1,16}")


def parse_document(raw: object, *, fields: Mapping[str, FieldType], max_chars: int, tenant: str = "") -> Document:
    """Read one document and check it. Its text is canonical only if the document names its ``source_format``.

    Args:
        raw: the decoded JSON value.
        fields: declared fields of the collection; metadata under these keys must be of the declared type.
        max_chars: largest text, in characters.
        tenant: of a document that names none.

    Raises:
        InvalidDocument: names the key that is wrong.
        DocumentTooLarge: the text is longer than ``max_chars``.
    """
    if not isinstance(raw, dict):
        raise InvalidDocument(f"a document is a JSON object, not {_kind(raw)}")
    for key in map(str, raw):
        if key not in _KEYS and key not in _READ_KEYS:
            message = f"unknown key {key[:80]!r}; a document has {', '.join(_KEYS)} (put the rest under metadata)"
            raise InvalidDocument(message, location=(key,))
    text = _string(raw, "text", None)
    if len(text) > max_chars:
        raise DocumentTooLarge(f"text has {len(text):,} characters; the limit is {max_chars:,}", location=("text",))
    if not text.strip():
        raise InvalidDocument("text is empty", location=("text",))
    return Document(
        id=qualify_id(_tenant(raw.get("tenant"), tenant), check_id(raw.get("id"))),
        text=text,
        source_format=_format(raw),
        title=_string(raw, "title", MAX_TITLE_CHARS),
        url=_string(raw, "url", MAX_URL_CHARS),
        metadata=check_metadata(raw.get("metadata"), fields),
        version=_version(raw.get("version")),
        marks=parse_marks(raw.get("marks") or [], len(text)),
        warnings=parse_warnings(raw.get("warnings") or []),
        canonical=raw.get("source_format") is not None,
        acl=parse_acl(raw.get("acl")),
    )


def wire_document(document: Document) -> dict[str, Any]:
    """The JSON form of a document, which ``parse_document`` reads."""
    tenant, document_id = split_id(document.id)
    values = {
        "id": document_id,
        "tenant": tenant or None,
        "acl": wire_acl(document.acl),
        "text": document.text,
        "source_format" if document.canonical else "format": document.source_format,
        "title": document.title,
        "url": document.url,
        "metadata": document.metadata,
        "version": document.version,
        "marks": wire_marks(document.marks),
        "warnings": wire_warnings(document.warnings),
    }
    return {key: value for key, value in values.items() if value not in (None, [])}


def check_id(value: object) -> str:
    """Return the id if it is a usable one: a string of 1 to 512 characters with no control characters."""
    if value is None or value == "":
        raise InvalidDocument("id is missing", location=("id",))
    if not isinstance(value, str):
        raise InvalidDocument(f"id is a string, not {_kind(value)}", location=("id",))
    if len(value) > MAX_ID_CHARS:
        message = f"id has {len(value)} characters; the limit is {MAX_ID_CHARS} (it starts {value[:40]!r})"
        raise InvalidDocument(message, location=("id",))
    if has_unprintable(value):
        message = f"id {value[:80]!r} has control characters or lone surrogates; remove them"
        raise InvalidDocument(message, location=("id",))
    return value


def _tenant(value: object, default: str) -> str:
    try:
        return default if value is None else check_tenant(value)
    except InvalidInput as error:
        raise InvalidDocument(error.message, location=error.location) from error


def check_metadata(value: object, fields: Mapping[str, FieldType]) -> Metadata:
    """Return the metadata if it is a finite JSON object whose declared fields have their types."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidDocument(f"metadata is an object, not {_kind(value)}", location=("metadata",))
    _check_json(value, ("metadata",))
    if (size := len(orjson.dumps(value))) > MAX_METADATA_BYTES:
        message = f"metadata has {size:,} bytes; the limit is {MAX_METADATA_BYTES:,}"
        raise InvalidDocument(message, location=("metadata",))
    for key, kind in fields.items():
        for item in values_of(value.get(key)):
            if not fits(kind, item):
                message = f"metadata {key!r} is declared as {kind}; {repr(item)[:80]} is not"
                raise InvalidDocument(message, location=("metadata", key))
    return value


def _check_json(value: JsonValue, at: tuple[str | int, ...]) -> None:
    if len(at) > MAX_METADATA_DEPTH:
        raise InvalidDocument(f"metadata nests more than {MAX_METADATA_DEPTH} deep", location=at[:3])
    match value:
        case float() if not math.isfinite(value):
            raise InvalidDocument(f"{'.'.join(map(str, at))} is {value}; JSON has only finite numbers", location=at)
        case int() if not -(2**63) <= value < 2**64:
            raise InvalidDocument(f"{'.'.join(map(str, at))} is an integer of more than 64 bits", location=at)
        case str() if not is_encodable(value):
            raise InvalidDocument(f"{'.'.join(map(str, at))} has lone surrogates, which UTF-8 cannot hold", location=at)
        case dict():
            for key, item in value.items():
                if not isinstance(key, str) or not is_encodable(key):
                    raise InvalidDocument("metadata keys are strings of valid Unicode", location=at)
                _check_json(item, (*at, key))
        case list():
            for i, item in enumerate(value):
                _check_json(item, (*at, i))


def _string(raw: Mapping[str, object], key: str, limit: int | None) -> str:
    value = raw.get(key)
    if value is None:
        if key == "text":
            raise InvalidDocument("text is missing", location=("text",))
        return ""
    if not isinstance(value, str):
        raise InvalidDocument(f"{key} is a string, not {_kind(value)}", location=(key,))
    if limit is not None and len(value) > limit:
        raise InvalidDocument(f"{key} has {len(value):,} characters; the limit is {limit:,}", location=(key,))
    if not is_encodable(value):
        raise InvalidDocument(f"{key} has lone surrogates, which UTF-8 cannot hold", location=(key,))
    return value.replace("\x00", "\ufffd")  # PostgreSQL stores no NUL; one character for one keeps offsets true


def _format(raw: Mapping[str, object]) -> str:
    value, source = raw.get("format"), raw.get("source_format")
    known = get_args(TextFormat)
    if source is not None:
        if value is not None:
            message = "a text is in a format, or canonical and came from a source_format; give one of the two"
            raise InvalidDocument(message, location=("format",))
        if not isinstance(source, str) or not _FORMAT_NAME.fullmatch(source):
            raise InvalidDocument(f"source_format {repr(source)[:80]} is not a name", location=("source_format",))
        return source
    if next((key for key in ("marks", "warnings") if raw.get(key)), None):
        raise InvalidDocument("marks and warnings need a source_format", location=("source_format",))
    if value is None:
        return "text"
    if value not in known:
        message = f"format {value!r} is unknown; known are {', '.join(known)}; upload a file of another as a form"
        raise InvalidDocument(message, location=("format",))
    return cast("str", value)


def _version(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise InvalidDocument("version is an integer from 0 up", location=("version",))
    return value


def _kind(value: object) -> str:
    return {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}.get(
        type(value), "a number" if isinstance(value, int | float) else type(value).__name__
    )


def hash_text(document: Document) -> str:
    """Of what chunks are made of, title, source format and text, 128 bits of SHA-256 in hex.

    Two tenants never share one: what a tenant has must not show in what another one's documents cost.
    """
    owner = qualify_id(tenant, "") if (tenant := tenant_of(document.id)) else ""
    parts = f"{owner}{document.title}\0{document.source_format}\0{document.text}"
    return hashlib.sha256(parts.encode(errors="replace")).hexdigest()[:32]


def hash_content(document: Document) -> str:
    """SHA-256 over canonical JSON (sorted keys) of title, url, source format, metadata, text, marks and acl, in hex.

    Raises:
        TypeError: something in it has no form in JSON (a lone surrogate, an integer beyond 64 bits).
    """
    content: dict[str, object] = {
        "title": document.title,
        "url": document.url,
        "format": document.source_format,
        "metadata": dict(document.metadata),
        "text": document.text,
    }
    if document.marks:
        content["marks"] = wire_marks(document.marks)
    if document.canonical and document.source_format != "text":
        content["canonical"] = True  # differs from the hash of the same text that was stored as submitted
    if document.acl is not None:
        content["acl"] = wire_acl(document.acl)
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
