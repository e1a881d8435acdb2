"""vLLM inside this process, for bulk indexing on a GPU: no server, no HTTP, vLLM's own batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from vllm import LLM, PoolingParams
from vllm.v1.engine.exceptions import EngineDeadError

from winnow.core.errors import InvalidSettings, UpstreamUnavailable
from winnow.core.settings.embedding import VllmOfflineEmbedding
from winnow.core.types import FloatArray
from winnow.models.dense import DenseEmbedder
from winnow.models.local.loading import brief, source_of, tokenizer_of
from winnow.models.local.priority_thread import PriorityThread
from winnow.models.prompts import chosen_instruct, embedding_query, harmless
from winnow.ports import EmbedderInfo, EmbedKind

VARIABLE: Final = "WINNOW_EMBEDDING"
_TEXTS_AT_ONCE: Final = 2048  # vLLM packs its batches from these; a query waits for them
_CLOSING_TOKENS: Final = 1


class _Row(NamedTuple):
    vector: FloatArray
    tokens: int


class VllmOfflineEmbedder(DenseEmbedder):
    """Embeds with vLLM's ``LLM`` on a thread of its own: queries in front of documents, many texts a call.

    Source: vLLM's page on offline inference with pooling models. ``encode`` for the task ``embed`` is its ``embed``
    without the detour over lists of Python's floats; ``is_matryoshka`` lets it shorten vectors.

    Raises:
        InvalidSettings: vLLM cannot load the model with these settings.
    """

    def __init__(self, settings: VllmOfflineEmbedding) -> None:
        self._tokenizer, revision = tokenizer_of(settings.model, settings.revision, VARIABLE)
        self._llm = _load(settings)
        self._options = {
            "pooling_params": PoolingParams(dimensions=settings.dimensions),
            "pooling_task": "embed",
            "tokenization_kwargs": {"truncate_prompt_tokens": -1},  # cuts in front of the closing token
            "use_tqdm": False,
        }
        self._info = EmbedderInfo(
            provider=settings.provider,
            model=settings.model,
            revision=revision,
            dimensions=self._size(settings),
            max_tokens=settings.max_tokens - _CLOSING_TOKENS,
            instruct=chosen_instruct(settings.instruct, settings.model),
        )
        self._thread = PriorityThread(self._encode)

    async def close(self) -> None:
        await self._thread.close()
        await asyncio.to_thread(self._llm.llm_engine.engine_core.shutdown)  # does nothing the second time

    async def _embed(self, texts: Sequence[str], kind: EmbedKind, task: str) -> tuple[FloatArray, int]:
        sent = [embedding_query(harmless(task), harmless(text)) for text in texts]
        if kind == "query":
            rows = await asyncio.gather(*map(self._thread.ask, sent))
        else:
            rows = []
            for start in range(0, len(sent), _TEXTS_AT_ONCE):
                rows += await self._thread.run(partial(self._encode, sent[start : start + _TEXTS_AT_ONCE]))
        return np.stack([row.vector for row in rows]), sum(row.tokens for row in rows)

    def _encode(self, texts: Sequence[str]) -> list[_Row]:
        """One row a text; vectors of length 1, float32."""
        try:
            outputs = self._llm.encode(list(texts), **self._options)
        except EngineDeadError as error:
            raise UpstreamUnavailable("vLLM's engine has ended: its log says why; start Winnow again") from error
        return [_row(output) for output in outputs]

    def _size(self, settings: VllmOfflineEmbedding) -> int:
        """Of the vectors: the model is asked, which is also its first warm-up."""
        try:
            return len(self._encode(["ready"])[0].vector)
        except ValueError as error:
            raise InvalidSettings(
                f"{settings.model} gives no vectors of {settings.dimensions or 'its own'} dimensions ({brief(error)}): "
                f"set {VARIABLE}__DIMENSIONS and {VARIABLE}__MODEL so that they fit"
            ) from error


def _load(settings: VllmOfflineEmbedding) -> Any:
    """The engine; its processes live until it is shut down."""
    try:
        return LLM(
            model=source_of(settings.model),
            revision=settings.revision or None,
            runner="pooling",
            hf_overrides={"is_matryoshka": True},
            max_model_len=settings.max_tokens,
            gpu_memory_utilization=settings.gpu_memory_utilization,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise InvalidSettings(
            f"vLLM cannot load {settings.model} ({brief(error)}); its log says more. Check {VARIABLE}__MODEL, "
            f"{VARIABLE}__MAX_TOKENS and {VARIABLE}__GPU_MEMORY_UTILIZATION"
        ) from error


def _row(output: Any) -> _Row:
    """What vLLM answers for one text: ``outputs.data`` is a tensor in the model's precision, (dimensions,)."""
    vector: FloatArray = output.outputs.data.float().numpy()
    return _Row(vector / max(float(np.linalg.norm(vector)), 1e-12), len(output.prompt_token_ids) - _CLOSING_TOKENS)
