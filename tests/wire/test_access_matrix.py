"""The authorization matrix: operations of the OpenAPI document by scopes, for one's own and for foreign objects.

Expected is what the document declares: ``x-scope``, the scopes of which one is needed. A key has one scope and sees the
collection ``docs`` alone; ``other`` exists and is foreign to it; ``gone-`` does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from service.access import SCOPES_KEY, WHOLE_KEY
from tests.access.signing import pem_of
from winnow.core.principal import SCOPES

EVERY_SCOPE: Final = sorted(SCOPES)
OWN, FOREIGN, MISSING = "docs", "other", "gone-"
FILTER = {"type": "eq", "key": "x", "value": 1}
BODIES: Final[dict[str, Any]] = {  # for operations on a collection: valid, so that nothing but access decides
    "search": {"query": "file"},
    "search_for_open_webui": {"query": "file"},
    "search_index_for_algolia": {"query": "file"},
    "search_facet_for_algolia": {"facetQuery": "a"},
    "post_documents": {"documents": [{"id": "new", "text": "x"}]},
    "put_document": {"text": "x"},
    "delete_documents": {"ids": ["nothing"]},
    "verify_collection": {},
    "start_reembedding": {},
    "switch_index": {},
    "roll_back": {},
    "put_collection": {},
    "add_source": {"source": "site:https://docs.example.com"},
    "limit_key": {"limits": {}},
    "put_rules": {"stop_words": ["the"]},
    "put_calibration": {"weights": {"score": 1.0}, "intercept": 0.0, "calibrated_on": "a test"},
    "create_vector_store": {"name": "docs"},
    "search_vector_store": {"query": "file"},
    "update_vector_store_file": {"attributes": {}},
}
OWN_FILE: Final = ("create_vector_store_file", "create_file_batch")  # whose body names an uploaded file
NEW_NAME: Final = ("create_vector_store",)  # makes a collection of a name that the key does not have
QUERIES: Final = {"suggest_queries": {"q": "fi"}, "search_by_query_string": {"q": "file"}}
LAST: Final = (
    "remove_analytics",
    "remove_source",
    "delete_document",
    "delete_vector_store_file",
    "delete_uploaded_file",
    "rotate_key",
    "revoke_key",
    "remove_collection",
    "delete_vector_store",
)  # they take away what others need
DENIED: Final = {401, 403, 404}


@dataclass
class Operation:
    """One operation of the document."""

    name: str
    method: str
    path: str
    scopes: list[str]
    whole: bool
    responses: dict[str, Any]

    @property
    def on_collection(self) -> bool:
        return "{name}" in self.path


@dataclass
class Matrix:
    """A service with an administrator and one key for each scope, and what belongs to whom."""

    client: httpx2.AsyncClient
    operations: list[Operation]
    keys: dict[str, str]
    admin: str
    ids: dict[str, dict[str, str]] = field(default_factory=dict)

    async def send(self, operation: Operation, key: str | None, whose: str) -> httpx2.Response:
        kinds = {"/keys/": "key", "/jobs/": "job", "/v1/files/": "file", "/v1/vector_stores/": "stored"}
        kinds |= {"/sources/": "source", "/v1/models/": "model"}
        kind = next((kind for part, kind in kinds.items() if part in operation.path), "document")
        path = operation.path.replace("{name}", whose).replace("{id}", self.ids[kind][whose])
        path = path.replace("{batch}", self.ids["batch"][whose])
        path = path.replace("{issuer}", f"issuer-{whose}")
        headers = {"X-Request-Id": "same"} | ({} if key is None else {"Authorization": f"Bearer {key}"})
        body = {} if operation.method == "get" else {"json": BODIES.get(operation.name, {})}
        if operation.name in OWN_FILE:
            file = self.ids["file"][OWN]
            body["json"] = {"file_ids": [file]} if operation.name == "create_file_batch" else {"file_id": file}
        if operation.name == "create_file":
            body = {"files": {"file": ("a.txt", b"copy a file")}}
        params = QUERIES.get(operation.name)
        return await self.client.request(operation.method, path, headers=headers, params=params, **body)


@pytest.fixture
async def matrix(service) -> Matrix:
    """Made while the service is open; the first key closes it."""
    client = service.client
    for name in (OWN, FOREIGN):
        await service.fill(name, [{"id": each, "text": "copy a file"} for each in ("a", "b")])
    document = (await client.get("/openapi.json")).json()
    operations = [
        Operation(item["operationId"], method, path, item[SCOPES_KEY], item.get(WHOLE_KEY, False), item["responses"])
        for path, methods in document["paths"].items()
        for method, item in methods.items()
    ]
    operations.sort(key=lambda each: LAST.index(each.name) if each.name in LAST else -1)
    jobs = {job["collection"]: job["id"] for job in (await client.get("/v1/jobs")).json()["jobs"]}
    made = await client.post("/v1/keys", json={"scopes": EVERY_SCOPE})
    admin = {"Authorization": f"Bearer {made.json()['key']}"}

    async def make(**rights: Any) -> dict[str, str]:
        answer = await client.post("/v1/keys", json=rights, headers=admin)
        assert answer.status_code == 201, answer.text
        return answer.json()

    pem = pem_of(ed25519.Ed25519PrivateKey.generate())
    for whose in (OWN, FOREIGN):
        issuer = {"name": f"issuer-{whose}", "public_key": pem, "collections": [whose]}
        registered = await client.post("/v1/issuers", json=issuer, headers=admin)
        assert registered.status_code == 201, registered.text
    keys = {scope: (await make(scopes=[scope], collections=[OWN]))["key"] for scope in EVERY_SCOPE}
    own, foreign = await make(collections=[OWN]), await make(collections=[FOREIGN])
    other = await make(scopes=["documents:write"], collections=[FOREIGN])
    uploaders = {OWN: keys["documents:write"], FOREIGN: other["key"]}
    files, batches, sources = {}, {}, {}
    for whose, key in uploaders.items():
        files[whose], batches[whose] = await _uploaded(client, key, whose)
        sources[whose] = await _kept(client, key, whose)
    ids = {
        "document": {OWN: "a", FOREIGN: "a", MISSING: "a"},
        "stored": {OWN: "b", FOREIGN: "b", MISSING: "b"},
        "model": {OWN: "fake-words", FOREIGN: "unknown", MISSING: "unknown"},
        "file": {**files, MISSING: files[FOREIGN][:-4] + "ZZZZ"},
        "batch": {**batches, MISSING: batches[FOREIGN][:-4] + "ZZZZ"},
        "source": {**sources, MISSING: sources[FOREIGN][:-4] + "ZZZZ"},
        "job": {OWN: jobs[OWN], FOREIGN: jobs[FOREIGN], MISSING: jobs[FOREIGN][:-4] + "ZZZZ"},
        "key": {OWN: own["id"], FOREIGN: foreign["id"], MISSING: foreign["id"][:-4] + "----"},
    }
    return Matrix(client, operations, keys, made.json()["key"], ids)


async def _kept(client: httpx2.AsyncClient, key: str, collection: str) -> str:
    """The id of a source that a collection keeps from now on."""
    body = {"source": "site:https://www.example.com", "run": False}
    headers = {"Authorization": f"Bearer {key}"}
    made = await client.post(f"/v1/collections/{collection}/sources", json=body, headers=headers)
    assert made.status_code == 201, made.text
    return made.json()["id"]


async def _uploaded(client: httpx2.AsyncClient, key: str, collection: str) -> tuple[str, str]:
    """Ids of an uploaded file, and of a batch of it in a collection."""
    headers = {"Authorization": f"Bearer {key}"}
    file = await client.post("/v1/files", files={"file": ("a.txt", b"copy a file")}, headers=headers)
    body = {"file_ids": [file.json()["id"]]}
    batch = await client.post(f"/v1/vector_stores/{collection}/file_batches", json=body, headers=headers)
    assert batch.status_code == 200, batch.text
    return file.json()["id"], batch.json()["id"]


def alike(matrix: Matrix, operation: Operation, foreign: httpx2.Response, missing: httpx2.Response) -> bool:
    """Whether two answers are equal to the byte, apart from the name that the caller gave."""

    def said(answer: httpx2.Response, whose: str) -> tuple[Any, ...]:
        text = answer.text.replace(whose, "?")
        for kind in ("job", "key", "file", "batch", "source"):
            text = text.replace(matrix.ids[kind][whose], "?")
        lengths = {name: value for name, value in answer.headers.items() if name != "content-length"}
        return answer.status_code, text, sorted(lengths.items())

    return said(foreign, FOREIGN) == said(missing, MISSING)


async def test_without_a_valid_key_every_operation_is_closed_that_is_not_declared_open(matrix):
    for operation in matrix.operations:
        for key in (None, "wnw_nonsense", matrix.keys["search"][:-1]):
            answer = await matrix.send(operation, key, OWN)
            if not operation.scopes:
                assert answer.status_code == 200, operation
                continue
            assert answer.status_code == 401, operation
            assert answer.headers["www-authenticate"] == "Bearer"
            (declared,) = operation.responses["401"]["content"]
            assert answer.headers["content-type"] == declared, operation


async def test_every_operation_is_open_to_the_declared_scopes_alone_and_hides_what_is_foreign(matrix):
    cells = 0
    for operation in matrix.operations:
        allowed = [scope for scope in EVERY_SCOPE if scope in operation.scopes]
        for scope in EVERY_SCOPE:
            if not operation.scopes or scope in operation.scopes:
                continue
            for whose in (OWN, FOREIGN, MISSING):
                answer = await matrix.send(operation, matrix.keys[scope], whose)
                assert answer.status_code == 403, (operation, scope, whose, answer.text)
                cells += 1
        for scope in allowed:
            if "{" in operation.path:
                foreign = await matrix.send(operation, matrix.keys[scope], FOREIGN)
                missing = await matrix.send(operation, matrix.keys[scope], MISSING)
                assert foreign.status_code != 422, f"BODIES needs a valid body for {operation.name}"
                assert foreign.status_code == (403 if operation.name == "put_collection" else 404), (operation, scope)
                assert alike(matrix, operation, foreign, missing), (operation, scope, foreign.text, missing.text)
                cells += 2
            if operation.name == "delete_vector_store":  # the native deletion came before it
                headers = {"Authorization": f"Bearer {matrix.keys['collections:admin']}"}
                await matrix.client.put(f"/v1/collections/{OWN}", headers=headers)
            answer = await matrix.send(operation, matrix.keys[scope], OWN)
            if operation.name == "remove_source":  # the next scope removes another one
                matrix.ids["source"][OWN] = await _kept(matrix.client, matrix.keys["documents:write"], OWN)
            if operation.whole or operation.name in NEW_NAME:
                assert answer.status_code == 403, (operation, scope)
            else:
                assert answer.status_code not in DENIED, (operation, scope, answer.text)
            cells += 1
    assert cells > 600


async def test_a_token_reads_and_searches_its_collections_and_does_nothing_else(matrix):
    scopes = ["search", "documents:read"]
    headers = {"Authorization": f"Bearer {matrix.admin}"}
    body = {"sub": "anna", "collections": [OWN], "scopes": scopes}
    token = (await matrix.client.post("/v1/tokens", json=body, headers=headers)).json()["token"]
    cells = 0
    for operation in matrix.operations:
        if not operation.scopes:
            continue
        own = await matrix.send(operation, token, OWN)
        if not set(scopes) & set(operation.scopes) or operation.whole:
            assert own.status_code == 403, (operation, own.text)
        elif "/v1/files/" in operation.path or "{batch}" in operation.path:
            assert own.status_code == 404, (operation, own.text)  # an uploaded file is its uploader's
        else:
            assert own.status_code not in DENIED, (operation, own.text)
            if "{name}" in operation.path:
                foreign, missing = [await matrix.send(operation, token, whose) for whose in (FOREIGN, MISSING)]
                assert foreign.status_code == 404, operation
                assert alike(matrix, operation, foreign, missing), operation
                cells += 2
        cells += 1
    assert cells > 90


async def test_what_is_foreign_stays_as_it_was(matrix, service):
    catalog = service.resources.catalog
    for operation in matrix.operations:
        for scope in EVERY_SCOPE:
            await matrix.send(operation, matrix.keys[scope], FOREIGN)
    _, counts = await catalog.collections.get_with_counts(FOREIGN)
    assert (counts.documents, counts.indexed) == (2, 2)
    assert [job.status for job in await catalog.jobs.list(collection=FOREIGN)] == ["done"]
    assert (await catalog.keys.get(matrix.ids["key"][FOREIGN])).revoked_at is None


async def test_a_search_of_several_collections_needs_all_of_them(matrix):
    headers = {"Authorization": f"Bearer {matrix.keys['search']}", "X-Request-Id": "same"}
    answers = []
    for names in ([OWN], [OWN, FOREIGN], [OWN, MISSING]):
        body = {"collections": names, "queries": ["file"]}
        answers.append(await matrix.client.post("/v1/search", json=body, headers=headers))
    assert [answer.status_code for answer in answers] == [200, 404, 404]
    assert alike(matrix, matrix.operations[0], *answers[1:])


async def test_a_listing_has_what_is_ones_own(matrix):
    def sent(scope: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {matrix.keys[scope]}"}

    collections = (await matrix.client.get("/v1/collections", headers=sent("search"))).json()["collections"]
    assert [row["name"] for row in collections] == [OWN]
    jobs = (await matrix.client.get("/v1/jobs", headers=sent("operate"))).json()["jobs"]
    assert {job["collection"] for job in jobs} == {OWN}
    keys = (await matrix.client.get("/v1/keys", headers=sent("keys:admin"))).json()["keys"]
    assert {tuple(key["collections"]) for key in keys} == {(OWN,)}
