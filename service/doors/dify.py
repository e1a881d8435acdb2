"""Dify's external knowledge base: ``POST {endpoint}/retrieval``.

Sources: Dify's documentation, "External Knowledge API"; the operators are those of its code. When a knowledge base is
registered Dify calls without a body, and takes any answer but 403, 404 and 502 for a server that is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from fastapi import Request, Response
from pydantic import BaseModel, Field

from service.access import principal_of
from service.answer import address_of
from service.deps import state_of
from service.disconnect import while_connected
from service.door import SEARCH_PROBLEMS, Door
from service.doors.bodies import ForeignBody, foreign_json
from service.doors.packing_options import named_options
from service.doors.routes import post
from service.errors import ErrorShape, Problem
from service.schemas.packing import PackingOptions
from service.schemas.search import SearchBody
from service.wire import JSON_TYPE, json_response
from winnow.core import errors
from winnow.core.filters import matches, parse_filter, values_of
from winnow.core.search import Result, SearchAnswer
from winnow.core.tenancy import plain_id
from winnow.core.types import FieldType, Metadata

_WIDEST: Final = 100  # results of a search, which conditions on parts of a text choose among
_DEFAULT_TOP_K: Final = 4

Operator = Literal[
    "contains",
    "not contains",
    "start with",
    "end with",
    "is",
    "is not",
    "in",
    "not in",
    "empty",
    "not empty",
    "=",
    "≠",
    ">",
    "<",
    "≥",
    "≤",
    "before",
    "after",
]
_NATIVE: Final[Mapping[str, str]] = {
    "is": "eq",
    "=": "eq",
    "is not": "ne",
    "≠": "ne",
    ">": "gt",
    "≥": "gte",
    "<": "lt",
    "≤": "lte",
    "before": "lt",
    "after": "gt",
    "in": "in",
    "not in": "nin",
}
_WITHIN_TEXT: Final = ("contains", "not contains", "start with", "end with")
_TEXT_TESTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "contains": str.__contains__,
    "start with": str.startswith,
    "end with": str.endswith,
}


class DifyErrorBody(BaseModel):
    """An error as Dify reads it."""

    error_code: int
    error_msg: str


def _dify_error(problem: Problem, _: str | None) -> dict[str, Any]:
    known = {401: 1002, 403: 1002, 404: 2001, 422: 400}
    return {"error_code": known.get(problem.kind.status, problem.kind.status), "error_msg": problem.detail}


SHAPE: Final = ErrorShape(JSON_TYPE, DifyErrorBody, _dify_error, {422: 400})


class DifyCondition(ForeignBody):
    """One condition on the metadata."""

    name: str | list[str]
    comparison_operator: Operator
    value: Any = None

    @property
    def key(self) -> str:
        """The field; newer versions send a list of one."""
        return self.name if isinstance(self.name, str) else next(iter(self.name), "")


class DifyConditions(ForeignBody):
    """Conditions that all, or one of which, must hold."""

    logical_operator: Literal["and", "or"] = "and"
    conditions: tuple[DifyCondition, ...] = ()


class DifyRetrievalSetting(ForeignBody):
    """How many records, and how good they must be."""

    top_k: int = Field(_DEFAULT_TOP_K, ge=1)
    score_threshold: float = Field(0.0, ge=0, le=1)


class DifyBody(ForeignBody):
    """A retrieval."""

    knowledge_id: str
    query: str
    retrieval_setting: DifyRetrievalSetting = DifyRetrievalSetting()
    metadata_condition: DifyConditions = DifyConditions()


door = Door(
    tag="search",
    invalid=errors.InvalidQuery,
    problems=SEARCH_PROBLEMS,
    shape=SHAPE,
    read_body=foreign_json,
)


@post(door, "/retrieval")
async def retrieve_for_dify(body: DifyBody, request: Request) -> Response:
    """Search for Dify; ``knowledge_id`` is the name of a collection, perhaps with options: ``python?expand=1``."""
    state, principal = state_of(request), principal_of(request)
    name, options = named_options(body.knowledge_id)
    principal.require("search", collection=name)
    collection = await state.resources.collections.get(name)
    most = principal.max_top_n or _WIDEST
    plan = _plan(body, collection.fields, most, options)
    asked = plan.to_request(collection.name, collection.fields, most=most)
    answer = await while_connected(request.receive, state.work.run_search(principal, asked))
    return json_response({"records": _records(answer, body, collection.fields)})


def _plan(body: DifyBody, fields: Mapping[str, FieldType], most: int, options: PackingOptions) -> SearchBody:
    """The search; conditions on parts of a text, which filters do not have, are left to ``_records``.

    ``most`` is the number of results that the credential allows: what Dify did not ask for keeps to it.
    """
    setting = body.retrieval_setting
    asked = "top_k" in setting.model_fields_set
    wanted = min(setting.top_k, _WIDEST) if asked else min(setting.top_k, most)
    rough = _narrows_by_text(body.metadata_condition)
    threshold = setting.score_threshold
    return SearchBody(
        query=body.query,
        top_n=max(wanted, min(_WIDEST, most)) if rough else wanted,
        min_relevance=threshold or None,
        filter=_filter(body.metadata_condition, fields),
        highlight=False,
        **options.model_dump(),
    )


def _narrows_by_text(conditions: DifyConditions) -> bool:
    return any(each.comparison_operator in _WITHIN_TEXT for each in conditions.conditions)


def _filter(conditions: DifyConditions, fields: Mapping[str, FieldType]) -> dict[str, Any] | None:
    """The part of the conditions that a filter can say. With ``or`` it is all of them or none."""
    said = [_leaf(each, fields) for each in conditions.conditions if each.comparison_operator not in _WITHIN_TEXT]
    if not said or (conditions.logical_operator == "or" and _narrows_by_text(conditions)):
        return None
    return {"type": conditions.logical_operator, "filters": said}


def _leaf(condition: DifyCondition, fields: Mapping[str, FieldType]) -> dict[str, Any]:
    key = condition.key
    match condition.comparison_operator:
        case "empty":
            return {"type": "not", "filter": {"type": "exists", "key": key}}
        case "not empty":
            return {"type": "exists", "key": key}
        case operator:
            value, kind = condition.value, fields.get(key)
            if operator in ("in", "not in"):
                items = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
                value = [_typed(item, kind) for item in items or []]
            else:
                value = _typed(value, kind)
            return {"type": _NATIVE[operator], "key": key, "value": value}


def _typed(value: Any, kind: FieldType | None) -> Any:
    """A value as its field has it: Dify's forms send numbers as text."""
    if not isinstance(value, str):
        return value
    try:
        match kind:
            case "integer":
                return int(value)
            case "float":
                return float(value)
            case "boolean":
                return {"true": True, "false": False}.get(value.casefold(), value)
            case _:
                return value
    except ValueError:
        return value  # the filter's own check says what is wrong with it


def _records(answer: SearchAnswer, body: DifyBody, fields: Mapping[str, FieldType]) -> list[dict[str, Any]]:
    conditions, found = body.metadata_condition, answer.results
    if _narrows_by_text(conditions):
        tests = [_test_of(each, fields) for each in conditions.conditions]
        joined = all if conditions.logical_operator == "and" else any
        found = tuple(each for each in found if joined(test(each.candidate.metadata) for test in tests))
    return [_record(each) for each in found[: body.retrieval_setting.top_k]]


def _test_of(condition: DifyCondition, fields: Mapping[str, FieldType]) -> Callable[[Metadata], bool]:
    """A condition as a test of metadata."""
    operator, part = condition.comparison_operator, str(condition.value)
    if operator not in _WITHIN_TEXT:
        tree = parse_filter(_leaf(condition, fields), fields)
        return lambda metadata: matches(tree, metadata)
    test = _TEXT_TESTS[operator.removeprefix("not ")]

    def holds(metadata: Metadata) -> bool:
        found = any(test(str(value), part) for value in values_of(metadata.get(condition.key)))
        return found != operator.startswith("not ")

    return holds


def _record(result: Result) -> dict[str, Any]:
    candidate, (start, end) = result.candidate, result.span
    score = result.relevance_score if result.relevance_score is not None else candidate.fused.score
    document_id = plain_id(candidate.document_id)
    place = {"document_id": document_id, "url": address_of(candidate), "start": start, "end": end}
    return {
        "content": result.text,
        "score": min(max(score, 0.0), 1.0),
        "title": candidate.title or document_id,
        "metadata": {**candidate.metadata, **place},
    }
