"""The types of the domain, as frozen dataclasses. They are independent of HTTP, SQL and vendors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from winnow.core.acl import ACCESS_FIELDS, UNUSED, AccessRules, Acl
from winnow.core.calibration import Calibration
from winnow.core.errors import IndexRebuilding
from winnow.core.marks import DocumentWarning, Mark
from winnow.core.rebuild import Rebuild
from winnow.core.rules import NO_RULES, RuleSet

JsonValue: TypeAlias = Any  # str | int | float | bool | None | list | dict; finite numbers only
Metadata: TypeAlias = Mapping[str, JsonValue]
FloatArray: TypeAlias = npt.NDArray[np.float32]
HalfArray: TypeAlias = npt.NDArray[np.float16]

TextFormat: TypeAlias = Literal["text", "markdown", "mdx", "html", "rst", "asciidoc", "org", "srt", "vtt", "ipynb"]
TokenFormat: TypeAlias = Literal["uint8", "float16"]
FieldType: TypeAlias = Literal["keyword", "integer", "float", "datetime", "boolean"]
PLAIN: Final = frozenset({"text", "rtf", "srt", "vtt"})
"""Source formats whose canonical text is plain: no line of it is markup."""
WhichIndex: TypeAlias = Literal["serving", "beside"]
DocumentState: TypeAlias = Literal["pending", "indexed", "failed", "deleting"]
JobStatus: TypeAlias = Literal["pending", "running", "done"]


@dataclass(frozen=True, slots=True)
class Document:
    """A document.

    Attributes:
        id: the qualified id (``winnow.core.tenancy``): tenant, and the caller's own id of 1 to 512 characters.
        text: the canonical text, in Markdown (plain for formats of ``PLAIN``); chunk offsets count its code points.
        source_format: what the text came from: ``html``, ``pdf`` …
        metadata: JSON object; the keys that are declared as fields can be filtered on.
        version: optional, must not go backwards.
        marks: anchors, pages, slides and sheets in the text, by their offset.
        warnings: what was lost when the document was read.
        canonical: false while ``text`` is still as it was submitted, in ``source_format``.
        acl: who may see it; ``None`` leaves that to the collection.
    """

    id: str
    text: str
    source_format: str = "text"
    title: str = ""
    url: str = ""
    metadata: Metadata = field(default_factory=dict)
    version: int | None = None
    marks: tuple[Mark, ...] = ()
    warnings: tuple[DocumentWarning, ...] = ()
    canonical: bool = True
    acl: Acl | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a document.

    Attributes:
        index: position among the document's chunks, from 0.
        start, end: offsets into the document's canonical text, in code points, ``end`` exclusive.
        text: ``prefix`` and the document's ``text[start:end]``.
        headings: heading path above the span, outermost first.
        anchor: fragment of the nearest heading, without ``#``; empty where there is none.
        prefix: repeated from before the span where a table or a piece of code was cut: the header, the opening fence.
        place: where the span begins, by kind of mark: ``{"page": 3}``.
    """

    index: int
    start: int
    end: int
    text: str
    headings: tuple[str, ...] = ()
    anchor: str = ""
    prefix: str = ""
    place: Mapping[str, str | int] = field(default_factory=dict)


def passage_of(title: str, chunk: Chunk) -> str:
    """The text of a chunk as models and the keyword arm read it: title, heading path, text."""
    heads = [part for part in (title, *chunk.headings) if part]
    unique = list(dict.fromkeys(heads))
    return "\n".join([" › ".join(unique), chunk.text]) if unique else chunk.text


@dataclass(frozen=True, slots=True)
class Chunking:
    """The size of chunks and their overlap, in tokens of the embedder's own tokenizer."""

    max_tokens: int = 256
    overlap: int = 32


@dataclass(frozen=True, slots=True)
class IndexIdentity:
    """The models and parameters that an index was built with. A service configured otherwise refuses the collection.

    Attributes:
        provider: where the embedder ran; informative, since another one gives the same vectors of the same model.
        model, revision: the embedder; the revision is "" where the provider does not name it.
        dimensions: size of the dense vector.
        instruct: instruct that the embedder adds to queries, "" if none.
        keyword_tokenizer: tokenizer and parameters of the keyword arm, one string.
        chunker: name and version of the chunker.
        token_dimensions: size of the stored token vectors for late interaction, 0 where none are stored.
        tokenizer: the tokenizer that counted the chunks' tokens, "" if it was not recorded; informative too.
    """

    provider: str
    model: str
    revision: str
    dimensions: int
    instruct: str
    keyword_tokenizer: str
    chunker: str
    token_dimensions: int = 0
    tokenizer: str = ""


@dataclass(frozen=True, slots=True)
class IndexRef:
    """The name of an index in the vector store: a collection, and the number of one of its indexes."""

    collection: str
    generation: int = 1


@dataclass(frozen=True, slots=True)
class IndexSchema:
    """The layout of an index. With ``token_dimensions`` 0 it stores no token vectors.

    ``tokens_as`` is how an engine keeps them; ``keywords`` is the tokenizer of the keyword arm, "" the newest. An index
    that exists keeps its own of both, whatever is asked for.
    """

    dimensions: int
    token_dimensions: int = 0
    fields: Mapping[str, FieldType] = field(default_factory=dict)
    tokens_as: TokenFormat = "uint8"
    keywords: str = ""


@dataclass(frozen=True, slots=True)
class Index:
    """One set of points of a collection, and the models it is built with.

    Attributes:
        collection: name of the collection.
        uid: of the collection, another one when it is deleted and made again: point ids and names never collide.
        generation: number of the index within the collection, from 1.
        instruct: the collection's own instruct for queries; ``None`` leaves the embedder's.
        state: ``serving`` searches; beside that one ``building``, or after a switch ``kept``.
        started_at: when the re-embedding began, of an index beside the serving one.
    """

    collection: str
    uid: str
    generation: int
    identity: IndexIdentity
    instruct: str | None = None
    state: Literal["serving", "building", "kept"] = "serving"
    started_at: datetime | None = None

    @property
    def ref(self) -> IndexRef:
        """The name of the index in the vector store."""
        return IndexRef(f"{self.collection}.{self.uid[:8]}", self.generation)

    def schema(self, fields: Mapping[str, FieldType]) -> IndexSchema:
        """The layout of the index in a collection that declares ``fields``, to which those of access are added."""
        identity, every = self.identity, {**fields, **ACCESS_FIELDS}
        return IndexSchema(identity.dimensions, identity.token_dimensions, every, keywords=identity.keyword_tokenizer)


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents that share one embedding identity, chunking and field schema.

    Attributes:
        serving: the index that searches read. The catalog row that names it is the atomic pointer to it.
        last_generation: the highest number that an index of this collection ever had; numbers are not used twice.
        beside: the second index while the model is being changed; writes and deletions reach both.
        awaits_model: the first documents choose the embedder; until then the default one is named.
        rebuild: set while an index that was lost is filled again.
        rules: of its searches.
    """

    serving: Index
    chunking: Chunking
    fields: Mapping[str, FieldType]
    rerank_instruct: str | None = None
    metadata: Metadata = field(default_factory=dict)
    status: Literal["ready", "deleting"] = "ready"
    created_at: datetime | None = None
    last_generation: int = 1
    beside: Index | None = None
    access: AccessRules = UNUSED
    awaits_model: bool = False
    calibration: Calibration | None = None
    rebuild: Rebuild | None = None
    rules: RuleSet = NO_RULES

    @property
    def name(self) -> str:
        """The name that callers use."""
        return self.serving.collection

    @property
    def uid(self) -> str:
        """As ``Index.uid``."""
        return self.serving.uid

    def chosen(self, which: WhichIndex) -> Index | None:
        """The index that a request names; ``None`` where the collection has no second one."""
        return self.serving if which == "serving" else self.beside

    @property
    def indexes(self) -> tuple[Index, ...]:
        """Every index of the collection, the serving one first."""
        return (self.serving,) if self.beside is None else (self.serving, self.beside)

    def is_filling(self, generation: int) -> bool:
        """Whether the index of this number was lost and does not hold all documents again."""
        return self.rebuild is not None and self.rebuild.generation == generation

    def require_filled(self, generation: int) -> None:
        """Raise ``IndexRebuilding`` if the index of this number does not hold all documents (again)."""
        if self.is_filling(generation):
            raise IndexRebuilding(f"the index of collection {self.name!r} was lost and is being filled again")

    @property
    def newer_generation(self) -> int | None:
        """The higher number of two indexes, the same before and after a switch; ``None`` where there is one index."""
        return None if self.beside is None else max(self.serving.generation, self.beside.generation)


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of documents of a collection, by state, and of its searchable chunks."""

    documents: int = 0
    chunks: int = 0
    pending: int = 0
    indexed: int = 0
    failed: int = 0
    deleting: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """``{"type": op, "key": key, "value": value}``; ``value`` is a list for ``in`` and ``nin``.

    For a field of type datetime the values are ``datetime`` objects with a zone, else JSON values.
    """

    op: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    key: str
    value: JsonValue


@dataclass(frozen=True, slots=True)
class Exists:
    """True where the document has a value (not null) for ``key``."""

    key: str


@dataclass(frozen=True, slots=True)
class And:
    """True where every part is true; true when empty."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True where any part is true; false when empty."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True where ``part`` is not. ``ne`` and ``nin`` equal ``Not`` of ``eq`` and ``in``: a missing key is unequal."""

    part: Filter


Filter: TypeAlias = Comparison | Exists | And | Or | Not
