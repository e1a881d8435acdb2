"""OpenAI's list of models, which clients ask for before anything else, and the calls of its API that are not offered.

Source: OpenAI's API reference, "Models".
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request, Response

from service.access import needs, principal_of
from service.deps import state_of
from service.door import Door
from service.doors.routes import route
from service.doors.shapes import OPENAI
from service.errors import NOT_OFFERED, Problem
from service.wire import json_response
from winnow.core.errors import ModelNotFound
from winnow.operations.model_calls import ServedModel, served_models

_NOT_OFFERED: Final = ("/v1/chat/completions", "/v1/completions", "/v1/responses")
_INSTEAD: Final = (
    "Winnow serves no language model: ask a server that does, and give it what Winnow finds. Here are /v1/embeddings, "
    "/v1/rerank, /v1/vector_stores/{id}/search, /v1/collections/{name}/search and /mcp"
)

door = Door(tag="models", problems=(ModelNotFound,), shape=OPENAI)


@route(door, "GET", "/v1/models", "/compatible-mode/v1/models", scopes=("search",))
async def list_models(request: Request) -> Response:
    """The embedders and the reranker that this service runs."""
    found = served_models(state_of(request).resources, principal_of(request))
    return json_response({"object": "list", "data": [_view(each) for each in found]})


@route(door, "GET", "/v1/models/{id:path}", scopes=("search",))
async def retrieve_model(id: str, request: Request) -> Response:
    """One of them, by its name."""
    for each in served_models(state_of(request).resources, principal_of(request)):
        if each.is_meant(id):
            return json_response(_view(each))
    raise ModelNotFound(f"the model {id[:100]!r} is not served here; GET /v1/models lists those that are")


async def refuse_completions(request: Request) -> Response:
    """Refuse to write text, in the words of OpenAI's API; say what there is."""
    raise Problem(NOT_OFFERED, f"{request.url.path[:100]} is not offered. {_INSTEAD}")


for path in _NOT_OFFERED:
    door.add_api_route(
        path, refuse_completions, methods=["POST"], openapi_extra=needs("search"), include_in_schema=False
    )


def _view(model: ServedModel) -> dict[str, Any]:
    """``task`` is a member of our own: clients choose by it where they look."""
    return {"id": model.name, "object": "model", "created": 0, "owned_by": model.provider, "task": model.task}
