"""The API's description of itself, and the page that shows it without reaching out to a CDN."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import fastapi_offline
from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from pydantic.json_schema import models_json_schema

from service.errors import (
    BODY_TOO_LARGE,
    INTERNAL,
    INVALID_JSON,
    PROBLEM_TYPE,
    UNSUPPORTED_MEDIA_TYPE,
    ProblemKind,
    kind_of,
)
from service.schemas.common import ProblemBody
from service.schemas.documents import DocumentBatch, DocumentBody
from winnow.core.errors import WinnowError

BODY_PROBLEMS: Final = (INVALID_JSON, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE)
_REFERENCE: Final = "#/components/schemas/"
_ASSETS: Final = "/docs/assets"
_RETRY_AFTER: Final[Mapping[str, Any]] = {
    "Retry-After": {"description": "seconds to wait before trying again", "schema": {"type": "integer"}}
}
TAGS: Final = [
    {"name": "search", "description": "Retrieve, rerank, and say what each stage did."},
    {"name": "documents", "description": "Hand documents in; they are searchable once their job is done."},
    {"name": "collections", "description": "Documents that share one embedding identity, chunking and field schema."},
    {"name": "jobs", "description": "Progress of what was handed in."},
    {"name": "re-embedding", "description": "Another embedding model for a collection, while it is in use."},
    {"name": "operations", "description": "Health and metrics."},
]


def problems(*kinds: ProblemKind | type[WinnowError]) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that may answer with these errors (and with 500, as any may)."""
    by_status: dict[int, list[ProblemKind]] = {}
    for item in (*kinds, INTERNAL):
        kind = item if isinstance(item, ProblemKind) else kind_of(item)
        by_status.setdefault(kind.status, []).append(kind)
    return {status: _problem_response(found) for status, found in sorted(by_status.items())}


def document_body(model: type[DocumentBody | DocumentBatch], *, ndjson: bool = False) -> dict[str, Any]:
    """``openapi_extra`` of a route that reads documents itself, one by one."""
    content: dict[str, Any] = {"application/json": {"schema": {"$ref": _REFERENCE + model.__name__}}}
    if ndjson:
        lines = {"type": "string", "description": "one document a line"}
        content["application/x-ndjson"] = {"schema": lines, "example": '{"id": "a", "text": "…"}\n'}
    return {"requestBody": {"required": True, "content": content}}


def install_openapi(app: FastAPI) -> None:
    """Serve ``/openapi.json`` with the models that routes only refer to, and ``/docs``."""
    describe = app.openapi

    def complete() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = describe()
            models = [(model, "validation") for model in (ProblemBody, DocumentBody, DocumentBatch)]
            _, definitions = models_json_schema(models, ref_template=_REFERENCE + "{model}")  # type: ignore[arg-type]
            schema["components"]["schemas"] |= definitions["$defs"]
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = complete  # type: ignore[method-assign]  # FastAPI's documented way to extend the schema
    assets = Path(fastapi_offline.__file__).parent / "static"
    app.mount(_ASSETS, StaticFiles(directory=assets), name="docs-assets")
    app.add_api_route("/docs", _docs_page, include_in_schema=False)


async def _docs_page(request: Request) -> Response:
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
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


def _problem_response(kinds: list[ProblemKind]) -> dict[str, Any]:
    first = kinds[0]
    example = {"type": "about:blank", "status": first.status, "code": first.code, "request_id": "req_01JY4W6V0T8Q"}
    lines = [f"`{kind.code}`: {kind.summary}" for kind in kinds]
    response: dict[str, Any] = {
        "description": "  \n".join(lines),
        "content": {
            PROBLEM_TYPE: {
                "schema": {"$ref": _REFERENCE + ProblemBody.__name__},
                "example": {**example, "title": HTTPStatus(first.status).phrase, "detail": first.summary},
            }
        },
    }
    if first.status in (429, 503):
        response["headers"] = _RETRY_AFTER
    return response
