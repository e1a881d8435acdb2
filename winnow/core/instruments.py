"""Instruments of a process that adapters and wrappers write to. ``winnow.operations.metrics`` exports them.

They belong to the process, as the models and servers that they count do. No label holds a text, a query, a document, a
collection or a tenant: the values of ``model`` come from the settings, those of the others from this program.
"""

from __future__ import annotations

import time
from functools import lru_cache
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias

from prometheus_client import Counter, Histogram

from winnow.core.errors import DeadlineExceeded
from winnow.core.tracing import model_span, note_tokens

Role: TypeAlias = Literal["embed", "rerank", "store"]

CALL_SECONDS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)

MODEL_CALLS: Final = Histogram(
    "winnow_model_call_seconds",
    "Time of a call of a model, its retries included.",
    ("role", "model", "outcome"),
    buckets=CALL_SECONDS,
    registry=None,
)
MODEL_TOKENS: Final = Counter(
    "winnow_model_tokens", "Tokens that a model read, as it counts them.", ("role", "model"), registry=None
)
RETRIES: Final = Counter("winnow_upstream_retries", "Calls of a server that were made again.", ("role",), registry=None)
EXHAUSTED: Final = Counter(
    "winnow_provider_exhausted",
    "Refusals of a provider because a quota or a credit is used up.",
    ("role",),
    registry=None,
)
ENGINE_RESTARTS: Final = Counter(
    "winnow_engine_restarts", "Starts of the embedded vector engine after it had died.", registry=None
)
BATCHES: Final = Histogram(
    "winnow_batch_seconds",
    "Time of a worker's batch; failed: one of its documents did.",
    ("outcome",),
    buckets=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0),
    registry=None,
)
INSTRUMENTS: Final = (BATCHES, MODEL_CALLS, MODEL_TOKENS, RETRIES, EXHAUSTED, ENGINE_RESTARTS)


@lru_cache(maxsize=4096)
def series(metric: Any, *labels: str) -> Any:
    """The series of a metric with these values of its labels; to look it up costs less than the metric's own way."""
    return metric.labels(*labels)


class ModelCall:
    """Measures and traces one call of a model. Used with ``with``; a cancelled call counts as ``late``."""

    __slots__ = ("_began", "_model", "_role", "_span")

    def __init__(self, role: Role, model: str) -> None:
        self._role, self._model = role, model
        self._began = 0.0
        self._span = model_span(role, model)

    def __enter__(self) -> Self:
        self._began = time.perf_counter()
        self._span.__enter__()
        return self

    def read(self, tokens: int) -> None:
        """Count the tokens that the model read."""
        if tokens:
            note_tokens(self._span, tokens)
            series(MODEL_TOKENS, self._role, self._model).inc(tokens)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._span.__exit__(kind, error, trace)
        outcome = "ok"
        if error is not None:
            late = not isinstance(error, Exception) or isinstance(error, DeadlineExceeded | TimeoutError)
            outcome = "late" if late else "failed"
        series(MODEL_CALLS, self._role, self._model, outcome).observe(time.perf_counter() - self._began)
