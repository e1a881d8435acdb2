"""The calls of the service: what is sent, and how the answer is read. Both clients send these; nothing here is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar
from urllib.parse import quote

from winnow_client import answers
from winnow_client.answers import JsonObject, read

_Answer = TypeVar("_Answer")


class SearchOptions(TypedDict, total=False):
    """The options of a search; those that are left out, or ``None``, have the service's defaults.

    ``search_many`` takes no ``sort``, ``max_per``, ``mmr`` and ``boosts``.
    """

    top_k: int | None
    top_n: int | None
    mode: Literal["hybrid", "dense", "sparse", "instant"] | None
    filter: JsonObject | None
    rerank: bool | JsonObject | None
    instruct: str | None
    min_relevance: float | None
    group_by: Literal["document", "chunk"] | None
    return_documents: bool | None
    highlight: bool | None
    budget_ms: float | None
    explain: bool | None
    tenant: str | None
    expand: int | None
    max_tokens: int | None
    tokenizer: str | None
    fold_duplicates: bool | None
    facets: Sequence[str] | None
    facet_ranges: Mapping[str, Sequence[Any]] | None
    facet_limit: int | None
    disjunctive: bool | None
    cursor: str | None
    sort: Sequence[JsonObject] | None
    max_per: JsonObject | None
    mmr: float | None
    boosts: Sequence[JsonObject] | None


class DocumentInput(TypedDict):
    """A document as it is submitted."""

    id: str
    text: str
    format: NotRequired[str]
    title: NotRequired[str]
    url: NotRequired[str]
    metadata: NotRequired[JsonObject]
    version: NotRequired[int]
    tenant: NotRequired[str]
    acl: NotRequired[JsonObject]


@dataclass(frozen=True, slots=True)
class Call(Generic[_Answer]):
    """A request and the reader of its answer.

    Attributes:
        repeatable: whether it may be sent once more where no answer came: it would make nothing twice.
    """

    method: str
    path: str
    parse: Callable[[Any], _Answer]
    json: Any = None
    params: Mapping[str, Any] | None = None
    repeatable: bool = True


def search(collection: str, query: str, options: Mapping[str, Any]) -> Call[answers.SearchAnswer]:
    """One search."""
    body = {"query": query, **_given(options)}
    return Call("POST", f"{_collection(collection)}/search", lambda row: read(answers.SearchAnswer, row), body)


def search_many(
    collections: Sequence[str], queries: str | Sequence[str], options: Mapping[str, Any]
) -> Call[answers.ManyAnswer]:
    """Several collections and queries as one search."""
    asked = {"query": queries} if isinstance(queries, str) else {"queries": list(queries)}
    body = {"collections": list(collections), **asked, **_given(options)}
    return Call("POST", "/v1/search", lambda row: read(answers.ManyAnswer, row), body)


def rerank(query: str, documents: Sequence[str], *, top_n: int | None, instruct: str | None) -> Call[answers.Reranking]:
    """Texts scored against a query by the second stage's model."""
    body = {"query": query, "documents": list(documents), **_given({"top_n": top_n, "instruct": instruct})}
    return Call("POST", "/v2/rerank", lambda row: read(answers.Reranking, row), body)


def submit(collection: str, documents: Sequence[DocumentInput], *, wait: bool) -> Call[answers.Submission]:
    """Documents stored, and indexed in the background."""
    path, body = f"{_collection(collection)}/documents", {"documents": list(documents)}
    return Call("POST", path, lambda row: read(answers.Submission, row), body, _waiting(wait))


def get_document(collection: str, document_id: str, *, tenant: str | None) -> Call[answers.Document]:
    """One document."""
    path = f"{_collection(collection)}/documents/{_part(document_id)}"
    return Call("GET", path, lambda row: read(answers.Document, row), params=_given({"tenant": tenant}))


def list_documents(collection: str, **query: Any) -> Call[answers.DocumentPage]:
    """A page of documents."""
    path = f"{_collection(collection)}/documents"
    return Call("GET", path, lambda row: read(answers.DocumentPage, row), params=_given(query))


def delete_document(collection: str, document_id: str, *, tenant: str | None, wait: bool) -> Call[answers.Deletion]:
    """One document deleted."""
    path = f"{_collection(collection)}/documents/{_part(document_id)}"
    params = {**_waiting(wait), **_given({"tenant": tenant})}
    return Call("DELETE", path, lambda row: read(answers.Deletion, row), params=params)


def delete_documents(
    collection: str, *, ids: Sequence[str] | None, filter: JsonObject | None, wait: bool
) -> Call[answers.Deletion]:
    """Documents deleted, by id or by filter."""
    body = _given({"ids": None if ids is None else list(ids), "filter": filter})
    path = f"{_collection(collection)}/documents:delete"
    return Call("POST", path, lambda row: read(answers.Deletion, row), body, _waiting(wait))


def put_collection(collection: str, settings: JsonObject) -> Call[answers.Collection]:
    """A collection made, or checked."""
    return Call("PUT", _collection(collection), lambda row: read(answers.Collection, row), dict(settings))


def get_collection(collection: str) -> Call[answers.Collection]:
    """One collection."""
    return Call("GET", _collection(collection), lambda row: read(answers.Collection, row))


def list_collections() -> Call[Sequence[answers.Collection]]:
    """All collections that the key sees."""
    return Call(
        "GET", "/v1/collections", lambda row: tuple(read(answers.Collection, each) for each in row["collections"])
    )


def delete_collection(collection: str) -> Call[None]:
    """A collection deleted with its documents."""
    return Call("DELETE", _collection(collection), lambda _: None)


def get_job(job_id: str) -> Call[answers.Job]:
    """One job."""
    return Call("GET", f"/v1/jobs/{_part(job_id)}", lambda row: read(answers.Job, row))


def list_jobs(**query: Any) -> Call[answers.JobPage]:
    """A page of jobs."""
    return Call("GET", "/v1/jobs", lambda row: read(answers.JobPage, row), params=_given(query))


def cancel_job(job_id: str) -> Call[answers.Job]:
    """The waiting documents of a job cancelled."""
    return Call("POST", f"/v1/jobs/{_part(job_id)}:cancel", lambda row: read(answers.Job, row))


def list_keys() -> Call[Sequence[answers.Key]]:
    """The keys for the caller's collections and tenant."""
    return Call("GET", "/v1/keys", lambda row: tuple(read(answers.Key, each) for each in row["keys"]))


def create_key(spec: Mapping[str, Any]) -> Call[answers.Key]:
    """A key made. Not repeated where no answer came: there might be two."""
    return Call("POST", "/v1/keys", lambda row: read(answers.Key, row), _given(spec), repeatable=False)


def revoke_key(key_id: str) -> Call[answers.Key]:
    """A key revoked."""
    return Call("DELETE", f"/v1/keys/{_part(key_id)}", lambda row: read(answers.Key, row))


def _collection(name: str) -> str:
    return f"/v1/collections/{_part(name)}"


def _part(value: str) -> str:
    return quote(value, safe="")


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _waiting(wait: bool) -> dict[str, str]:
    return {"wait": "true"} if wait else {}
