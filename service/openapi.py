"""``/openapi.json``, and ``/docs``, which shows it without loading anything from a CDN."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import fastapi_offline
from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.access import SCOPES_KEY
from service.door import REFERENCE, Door
from service.schemas.documents import DocumentBatch, DocumentBody, DocumentForm

_ASSETS: Final = "docs/assets"  # relative to /docs, as a proxy may serve it under a prefix
TAGS: Final = [
    {"name": "search", "description": "Retrieve, rerank, and report on each stage."},
    {"name": "documents", "description": "Submit documents; they are searchable once their job is done."},
    {"name": "collections", "description": "Documents that share one embedding identity, chunking and field schema."},
    {"name": "jobs", "description": "The progress of submissions."},
    {"name": "rules", "description": "Synonyms, pinned and hidden documents, and stop-words of a collection."},
    {"name": "analytics", "description": "What visitors search for and click, where the settings keep it."},
    {"name": "sources", "description": "Kept with a collection, and read again by themselves."},
    {"name": "re-embedding", "description": "Change the embedding model of a collection while it is in use."},
    {"name": "models", "description": "The models of searches, used alone, for clients of other providers."},
    {"name": "keys", "description": "Who may do what. From the first key on, every request needs one."},
    {"name": "tokens", "description": "Short-lived credentials for users and pages, and who may sign them."},
    {"name": "operations", "description": "Health, metrics, the integrity check, the backup and the audit trail."},
]


def document_body(model: type[DocumentBody | DocumentBatch], *, batch: bool = False) -> dict[str, Any]:
    """The body in OpenAPI of a route that reads documents itself, as JSON or files; of a ``batch`` also lines."""
    content: dict[str, Any] = {"application/json": {"schema": {"$ref": REFERENCE + model.__name__}}}
    if batch:
        lines = {"type": "string", "description": "one document a line"}
        content["application/x-ndjson"] = {"schema": lines, "example": '{"id": "a", "text": "…"}\n'}
    content["multipart/form-data"] = {"schema": {"$ref": REFERENCE + DocumentForm.__name__}}
    return {"required": True, "content": content}


def install_openapi(app: FastAPI, doors: Iterable[Door]) -> None:
    """Serve ``/openapi.json`` with the models that routes only refer to, and ``/docs``."""
    describe = app.openapi
    referred: dict[type[BaseModel], None] = dict.fromkeys(door.shape.model for door in doors)
    referred |= {DocumentBody: None, DocumentBatch: None, DocumentForm: None}

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = describe()
            _, definitions = models_json_schema(
                [(model, "validation") for model in referred], ref_template=REFERENCE + "{model}"
            )
            schema["components"]["schemas"] |= definitions["$defs"]
            _describe_access(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = complete  # type: ignore[method-assign]  # FastAPI's documented way to extend the schema
    assets = Path(fastapi_offline.__file__).parent / "static"
    app.mount(f"/{_ASSETS}", StaticFiles(directory=assets), name="docs-assets")
    app.add_api_route("/docs", _docs_page, include_in_schema=False)


def _describe_access(schema: dict[str, Any]) -> None:
    """Say of each operation which credential it takes, from its scopes."""
    bearer = {"type": "http", "scheme": "bearer", "description": "an API key; not needed where none exists"}
    schema["components"]["securitySchemes"] = {"key": bearer}
    for item in schema["paths"].values():
        for operation in item.values():
            if operation[SCOPES_KEY]:
                operation["security"] = [{"key": []}]


async def _docs_page(request: Request) -> Response:
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=f"{request.app.title} API",
        swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS}/favicon.png",
    )
    page.headers["Content-Security-Policy"] = _docs_policy(bytes(page.body))
    return page


def _docs_policy(page: bytes) -> str:
    """Swagger UI starts from an inline script, which is allowed by its hash, and styles its own elements."""
    script = page.partition(b"<script>")[2].partition(b"</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    return (
        f"default-src 'self'; script-src 'self' 'sha256-{digest}'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
