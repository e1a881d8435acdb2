"""The schema of an index on the server: names, vectors, payload indexes, and the stored description.

One index is one collection of the server, ``<prefix>__<collection>__<generation>``. Its metadata holds the schema,
since the server does not tell a boolean field, which is indexed as words, from a keyword::

    {"winnow": 1, "dimensions": 384, "token_dimensions": 0, "tokens_as": "uint8",
     "keywords": "bm25:…", "field:lang": {"type": "keyword", "complete": true}}

Each field has a key of its own: the server merges metadata by key, so that two processes can add fields at a time. A
field is complete when the points that were there before it have its values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from qdrant_client import models

from winnow.core.acl import TENANT_FIELD
from winnow.core.errors import IdentityMismatch
from winnow.core.settings.vectors import QdrantVectors
from winnow.core.types import FieldType, JsonValue, TokenFormat
from winnow.ports import IndexRef, IndexSchema
from winnow.vectors.keywords import FIRST, NEWEST, stores_names
from winnow.vectors.payloads import DENSE, DOCUMENT_ID, NAMES, REVISION, SPARSE, TOKENS, field_path
from winnow.vectors.points import check_index
from winnow.vectors.tokens import stored_size

_FORMAT: Final = 1
_FIELD: Final = "field:"

_DATATYPES: Final[Mapping[TokenFormat, models.Datatype]] = {
    "uint8": models.Datatype.UINT8,
    "float16": models.Datatype.FLOAT16,
}

_INDEX_TYPES: Final[Mapping[FieldType, Any]] = {
    "keyword": (models.KeywordIndexParams, models.KeywordIndexType.KEYWORD),
    "integer": (models.IntegerIndexParams, models.IntegerIndexType.INTEGER),
    "float": (models.FloatIndexParams, models.FloatIndexType.FLOAT),
    "datetime": (models.DatetimeIndexParams, models.DatetimeIndexType.DATETIME),
    "boolean": (models.KeywordIndexParams, models.KeywordIndexType.KEYWORD),
}


@dataclass(frozen=True, slots=True)
class StoredSchema:
    """The schema of an index that exists. ``incomplete``: fields that earlier points may lack the values of."""

    schema: IndexSchema
    incomplete: Mapping[str, FieldType]


def name_of(index: IndexRef, prefix: str) -> str:
    """The server's name of an index.

    Raises:
        ValueError: the collection's name has characters that names of the server cannot have.
    """
    check_index(index)
    return f"{prefix}__{index.collection}__{index.generation}"


def indexes_in(names: Iterable[str], prefix: str) -> list[IndexRef]:
    """The indexes among the server's collections, sorted. Prefixes have no ``_``: none is the start of another."""
    pattern = re.compile(rf"{re.escape(prefix)}__([A-Za-z0-9._-]+)__([1-9]\d*)\Z")
    found = [IndexRef(match[1], int(match[2])) for name in names if (match := pattern.match(name))]
    return sorted(found, key=lambda index: (index.collection, index.generation))


def collection_for(schema: IndexSchema, settings: QdrantVectors) -> dict[str, Any]:
    """The arguments that make the server's collection."""
    turbo = models.TurboQuantQuantizationConfig(bits=models.TurboQuantBitSize.BITS4, always_ram=True)
    vectors = {
        DENSE: models.VectorParams(
            size=schema.dimensions,
            distance=models.Distance.COSINE,
            on_disk=settings.on_disk,
            quantization_config=models.TurboQuantization(turbo=turbo) if settings.quantization == "turbo" else None,
        )
    }
    if schema.token_dimensions:
        vectors[TOKENS] = models.VectorParams(
            size=stored_size(schema.token_dimensions, schema.tokens_as),
            distance=models.Distance.DOT,
            on_disk=settings.on_disk,
            datatype=_DATATYPES[schema.tokens_as],
            multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
            hnsw_config=models.HnswConfigDiff(m=0),  # only ever scored for given points
        )
    words = models.SparseIndexParams(on_disk=settings.on_disk)
    sparse = {SPARSE: models.SparseVectorParams(index=words, modifier=models.Modifier.IDF)}
    if stores_names(schema.keywords or NEWEST):
        sparse[NAMES] = models.SparseVectorParams(index=words)
    shape = {
        "dimensions": schema.dimensions,
        "token_dimensions": schema.token_dimensions,
        "tokens_as": schema.tokens_as,
        "keywords": schema.keywords or NEWEST,
    }
    return {
        "vectors_config": vectors,
        "sparse_vectors_config": sparse,
        "hnsw_config": models.HnswConfigDiff(m=settings.hnsw_m, ef_construct=settings.hnsw_ef_construct),
        "shard_number": settings.shards,
        "replication_factor": settings.replicas,
        "write_consistency_factor": settings.write_consistency,
        "metadata": {"winnow": _FORMAT, **shape, **note_of(schema.fields, complete=True)},
    }


def payload_indexes(fields: Mapping[str, FieldType], settings: QdrantVectors) -> dict[str, Any]:
    """The payload indexes of an index with these fields, by path: what deletes and filters look at."""
    own = {
        DOCUMENT_ID: _index("keyword", settings),
        REVISION: models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, lookup=False, range=True),
    }
    declared = {field_path(key): _index(kind, settings) for key, kind in fields.items()}
    if TENANT_FIELD in fields:  # the server stores the points of one tenant together
        declared[field_path(TENANT_FIELD)].is_tenant = True
    return own | declared


EXACT: Final = models.SearchParams(exact=True, quantization=models.QuantizationSearchParams(ignore=True))
"""How points are scored: one by one, with their own vectors."""


def search_params(settings: QdrantVectors, *, filtered: bool) -> models.SearchParams:
    """How an arm is searched. ACORN keeps the graph connected when a filter leaves little of it."""
    turbo = settings.quantization == "turbo"
    return models.SearchParams(
        acorn=models.AcornSearchParams(enable=True) if filtered else None,
        quantization=models.QuantizationSearchParams(rescore=True, oversampling=2.0) if turbo else None,
    )


def _index(kind: FieldType, settings: QdrantVectors) -> Any:
    params, name = _INDEX_TYPES[kind]
    return params(type=name, on_disk=settings.on_disk)


def note_of(fields: Mapping[str, FieldType], *, complete: bool) -> dict[str, JsonValue]:
    """The part of the metadata that declares fields."""
    return {f"{_FIELD}{key}": {"type": kind, "complete": complete} for key, kind in fields.items()}


def read_note(index: IndexRef, metadata: Mapping[str, Any] | None) -> StoredSchema:
    """The schema that a collection's metadata tells.

    Raises:
        IdentityMismatch: the collection was not created in this format.
    """
    if not metadata or metadata.get("winnow") != _FORMAT:
        raise IdentityMismatch(
            f"the index of {index.collection!r}, generation {index.generation}, was not created by Winnow; "
            "give this installation a WINNOW_VECTORS__PREFIX of its own"
        )
    notes = {key.removeprefix(_FIELD): note for key, note in metadata.items() if key.startswith(_FIELD)}
    fields = {key: note["type"] for key, note in notes.items()}
    incomplete = {key: fields[key] for key, note in notes.items() if not note["complete"]}
    earlier = {"tokens_as": "float16", "keywords": FIRST}  # what indexes of earlier versions do not say
    form, words = ({**earlier, **metadata}[key] for key in earlier)
    sizes = metadata["dimensions"], metadata["token_dimensions"]
    return StoredSchema(IndexSchema(*sizes, fields, form, words), incomplete)
