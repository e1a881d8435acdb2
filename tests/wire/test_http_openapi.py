"""The API's description of itself: valid, complete, and true to its own examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.schemas import common

METHODS = {"get", "put", "post", "delete"}


@pytest.fixture
async def schema(client):
    return (await client.get("/openapi.json")).json()


def operations(schema):
    for path, item in schema["paths"].items():
        for method in METHODS & set(item):
            yield f"{method.upper()} {path}", item[method]


def contents(schema):
    """(where, media type object) of every request and answer."""
    for name, operation in operations(schema):
        bodies = [("request", operation["requestBody"])] if "requestBody" in operation else []
        for part, body in (*bodies, *operation["responses"].items()):
            for media_type, content in body.get("content", {}).items():
                yield f"{name} {part} {media_type}", content


DOORS = {
    "POST /1/indexes/*/queries",
    "POST /1/indexes/{name}/query",
    "POST /1/indexes/{name}/facets/{facet}/query",
    "POST /1/events",
    "POST /retrieval",
    "POST /v1/collections/{name}/web-search",
    "POST /v1/rerank",
    "POST /v2/rerank",
    "POST /rerank",
    "POST /compatible-api/v1/reranks",
    "POST /api/v1/services/rerank/text-rerank/text-rerank",
    "GET /v1/models",
    "GET /v1/models/{id}",
    "POST /v1/embeddings",
    "POST /embed",
    "POST /",
    "POST /v1/embed",
    "POST /v2/embed",
    "POST /api/v1/services/embeddings/text-embedding/text-embedding",
    "POST /v1/vector_stores",
    "GET /v1/vector_stores",
    "GET /v1/vector_stores/{name}",
    "POST /v1/vector_stores/{name}",
    "DELETE /v1/vector_stores/{name}",
    "POST /v1/vector_stores/{name}/search",
    "POST /v1/vector_stores/{name}/files",
    "GET /v1/vector_stores/{name}/files",
    "GET /v1/vector_stores/{name}/files/{id}",
    "POST /v1/vector_stores/{name}/files/{id}",
    "DELETE /v1/vector_stores/{name}/files/{id}",
    "GET /v1/vector_stores/{name}/files/{id}/content",
    "POST /v1/vector_stores/{name}/file_batches",
    "GET /v1/vector_stores/{name}/file_batches/{batch}",
    "POST /v1/vector_stores/{name}/file_batches/{batch}/cancel",
    "GET /v1/vector_stores/{name}/file_batches/{batch}/files",
    "POST /v1/files",
    "GET /v1/files",
    "GET /v1/files/{id}",
    "DELETE /v1/files/{id}",
    "GET /v1/files/{id}/content",
}


async def test_description_is_valid_openapi(schema):
    OpenAPIV31SpecValidator(schema).validate()


async def test_contract_is_covered(schema):
    assert {name for name, _ in operations(schema)} == {
        "PUT /v1/collections/{name}",
        "GET /v1/collections",
        "GET /v1/collections/{name}",
        "DELETE /v1/collections/{name}",
        "PUT /v1/collections/{name}/calibration",
        "DELETE /v1/collections/{name}/calibration",
        "POST /v1/collections/{name}/documents",
        "GET /v1/collections/{name}/documents",
        "GET /v1/collections/{name}/documents/{id}",
        "PUT /v1/collections/{name}/documents/{id}",
        "DELETE /v1/collections/{name}/documents/{id}",
        "POST /v1/collections/{name}/documents:delete",
        "POST /v1/collections/{name}/search",
        "GET /v1/collections/{name}/search",
        "POST /v1/search",
        "GET /v1/collections/{name}/facets/{field}",
        "GET /v1/collections/{name}/suggest",
        "POST /v1/collections/{name}:verify",
        "POST /v1/backup",
        "POST /v1/collections/{name}/reembed",
        "GET /v1/collections/{name}/reembed",
        "DELETE /v1/collections/{name}/reembed",
        "POST /v1/collections/{name}/reembed:switch",
        "POST /v1/collections/{name}/reembed:rollback",
        "GET /v1/jobs",
        "POST /v1/jobs/{id}:retry",
        "POST /v1/jobs/{id}:cancel",
        "GET /v1/jobs/{id}",
        "GET /v1/jobs/{id}/events",
        "GET /v1/collections/{name}/rules",
        "PUT /v1/collections/{name}/rules",
        "DELETE /v1/collections/{name}/rules",
        "GET /v1/collections/{name}/sources",
        "POST /v1/collections/{name}/sources",
        "GET /v1/collections/{name}/sources/{id}",
        "DELETE /v1/collections/{name}/sources/{id}",
        "POST /v1/collections/{name}/sources/{id}:run",
        "GET /v1/keys",
        "POST /v1/keys",
        "GET /v1/keys/{id}",
        "DELETE /v1/keys/{id}",
        "POST /v1/keys/{id}:rotate",
        "PUT /v1/keys/{id}/limits",
        "GET /v1/audit",
        "POST /v1/events",
        "GET /v1/collections/{name}/analytics",
        "DELETE /v1/collections/{name}/analytics",
        "GET /v1/collections/{name}/analytics/export",
        "POST /v1/tokens",
        "GET /.well-known/jwks.json",
        "GET /v1/issuers",
        "POST /v1/issuers",
        "DELETE /v1/issuers/{issuer}",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
        *DOORS,
    }


async def test_every_operation_documents_its_errors_as_problems(schema):
    for name, operation in operations(schema):
        errors = {status: body for status, body in operation["responses"].items() if status >= "400"}
        assert "500" in errors, name
        for status, body in errors.items():
            if name in ("GET /readyz", "GET /healthz") and status == "503":
                continue  # a report
            ours = name not in DOORS  # which answer in the shapes of their protocols
            assert set(body["content"]) == {"application/problem+json" if ours else "application/json"}, (name, status)
        assert operation["summary"]
        assert operation["description"]


async def test_operation_ids_are_unique_and_plain(schema):
    ids = [operation["operationId"] for _, operation in operations(schema)]
    assert len(set(ids)) == len(ids)
    assert all(name.replace("_", "").isalpha() for name in ids)


async def test_examples_fit_their_schemas(schema):
    checked = 0
    for name, model in schema["components"]["schemas"].items():
        for example in model.get("examples", []):
            resolved = {"$ref": f"#/components/schemas/{name}", "components": schema["components"]}
            Draft202012Validator(resolved).validate(example)
            checked += 1
    for where, content in contents(schema):
        if "example" in content and "schema" in content:
            resolved = {**content["schema"], "components": schema["components"]}
            errors = list(Draft202012Validator(resolved).iter_errors(content["example"]))
            assert not errors, (where, errors)
            checked += 1
    assert checked > 50


async def test_main_bodies_have_examples(schema):
    models = schema["components"]["schemas"]
    for name in ("SearchBody", "SearchView", "CollectionBody", "CollectionView", "DocumentBody", "DocumentView"):
        assert models[name].get("examples"), name


async def test_every_written_example_is_shown(schema):
    written = json.loads(Path(common.__file__).with_name("examples.json").read_text())
    shown = {name for name, model in schema["components"]["schemas"].items() if "examples" in model}
    assert set(written) == shown
