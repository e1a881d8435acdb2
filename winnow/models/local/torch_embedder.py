"""Embedding models in this process, on a GPU or the CPU: Qwen3-Embedding, or any other of sentence-transformers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from torch import Tensor
from torch.nn import functional

from winnow.core.errors import InvalidSettings
from winnow.core.settings.embedding import TorchEmbedding
from winnow.core.types import FloatArray
from winnow.models.dense import DenseEmbedder
from winnow.models.local.loading import (
    cannot_load,
    choose_device,
    choose_dtype,
    fuse_norms,
    is_causal,
    source_of,
    tokenizer_of,
)
from winnow.models.local.torch_batches import BatchRunner, Ids
from winnow.models.prompts import chosen_instruct, embedding_query, harmless
from winnow.ports import EmbedderInfo, EmbedKind

VARIABLE: Final = "WINNOW_EMBEDDING"
_READ_AT_ONCE: Final = 1024  # texts that are cut into tokens together, while the model works on those before


class TorchEmbedder(DenseEmbedder):
    """Vectors by the modules of sentence-transformers (transformer, pooling, what else the model has), shortened last.

    Its ``encode`` is left out: it pads each batch of 32 texts with a mask, which rules out torch's flash kernels, it
    tokenises while the GPU waits, and it waits for each batch before it starts the next. Here a batch holds as many
    texts as fit into ``batch_tokens``, all of about one length; it is padded behind the texts, where a causal model
    does not look; and a text is cut before its closing token, whose state is its vector.

    Raises:
        InvalidSettings: the model cannot be loaded with these settings.
    """

    def __init__(self, settings: TorchEmbedding) -> None:
        device = choose_device(settings.device, VARIABLE)
        self._modules = _load(settings, device)
        transformer = self._modules[0]
        self._causal = is_causal(transformer.model)
        fuse_norms(transformer.model)
        self._tokenizer, revision = tokenizer_of(settings.model, settings.revision, VARIABLE)
        self._encoder = transformer.tokenizer.backend_tokenizer
        limit = min(settings.max_tokens, transformer.max_seq_length or settings.max_tokens)
        self._encoder.no_padding()
        self._encoder.enable_truncation(limit)  # of the text: the closing tokens stay
        self._closing: int = self._encoder.num_special_tokens_to_add(is_pair=False)
        self._info = EmbedderInfo(
            provider=settings.provider,
            model=settings.model,
            revision=revision,
            dimensions=_dimensions(self._modules, settings),
            max_tokens=limit - self._closing,
            instruct=chosen_instruct(settings.instruct, settings.model),
        )
        width, batch_tokens = self._info.dimensions, settings.batch_tokens
        self._runner = BatchRunner(self._vectors, device, width=width, batch_tokens=batch_tokens, variable=VARIABLE)

    async def close(self) -> None:
        await self._runner.close()

    async def _embed(self, texts: Sequence[str], kind: EmbedKind, task: str) -> tuple[FloatArray, int]:
        if kind == "query":
            rows = await self._runner.read(partial(self._read, texts, task))
            return await self._runner.ask(rows), self._count(rows)
        vectors = np.zeros((len(texts), self._info.dimensions), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda number: -len(texts[number]))
        parts = [order[start : start + _READ_AT_ONCE] for start in range(0, len(order), _READ_AT_ONCE)]
        counts = await asyncio.gather(*(self._embed_documents(texts, part, vectors) for part in parts))
        return vectors, sum(counts)

    async def _embed_documents(self, texts: Sequence[str], part: Sequence[int], vectors: FloatArray) -> int:
        """Fill the rows ``part`` of ``vectors``; returns the tokens that were read."""
        rows = await self._runner.read(partial(self._read, [texts[i] for i in part]))
        vectors[part] = await self._runner.run(rows)
        return self._count(rows)

    def _read(self, texts: Sequence[str], task: str = "") -> list[Ids]:
        """Token ids, closing tokens included."""
        task = harmless(task)
        asked = [embedding_query(task, harmless(text)) for text in texts]
        return [encoding.ids for encoding in self._encoder.encode_batch_fast(asked)]

    def _count(self, rows: Sequence[Ids]) -> int:
        return sum(len(row) - self._closing for row in rows)

    def _vectors(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Vectors of length 1, shape (n, dimensions), float32, for ids (n, longest) that are padded behind."""
        mask = (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]).long()
        transformer, *others = self._modules
        features: dict[str, Any] = {"input_ids": ids}
        features = transformer(features if self._causal else features | {"attention_mask": mask})
        features["attention_mask"] = mask
        for module in others:
            features = module(features)
        return functional.normalize(features["sentence_embedding"][:, : self._info.dimensions].float(), dim=1)


def _load(settings: TorchEmbedding, device: torch.device) -> Any:
    """The modules of a sentence-transformers model, ready for use."""
    try:
        modules = SentenceTransformer(
            source_of(settings.model),
            revision=settings.revision or None,
            device=str(device),
            model_kwargs={"dtype": choose_dtype(settings.dtype, device)},
        ).eval()
    except (OSError, ValueError) as error:
        raise cannot_load(settings.model, error, VARIABLE) from error
    if not isinstance(modules[0], Transformer) or not getattr(modules[0].tokenizer, "is_fast", False):
        raise InvalidSettings(
            f"{settings.model} is not a transformer with a fast tokenizer: set {VARIABLE}__MODEL to another"
        )
    return modules


def _dimensions(modules: Any, settings: TorchEmbedding) -> int:
    native: int = modules.get_embedding_dimension()
    if settings.dimensions is not None and settings.dimensions > native:
        raise InvalidSettings(
            f"{settings.model} has {native} dimensions, not {settings.dimensions}: set {VARIABLE}__DIMENSIONS to at "
            f"most {native}"
        )
    return settings.dimensions or native
