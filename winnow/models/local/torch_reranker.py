"""Qwen3-Reranker in this process, on a GPU or the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from winnow.core.errors import InvalidSettings
from winnow.core.settings.rerank import TorchRerank
from winnow.models.local.loading import cannot_load, choose_device, choose_dtype, fuse_norms, is_causal, source_of
from winnow.models.local.torch_batches import BatchRunner, Ids
from winnow.models.prompts import RERANK_PREFIX, RERANK_SUFFIX, harmless, rerank_document, rerank_head
from winnow.ports import EmbeddedQuery, Passage, Reranker, RerankerInfo, Reranking

VARIABLE: Final = "WINNOW_RERANK"


class TorchReranker(Reranker):
    """The probability that the model says "yes" and not "no" to a query and a document.

    As the model card computes it: softmax over the two words' logits behind the prompt, which is the sigmoid of their
    difference. Only that difference is computed, from the last state and two rows of the model's head; converted
    checkpoints for classification hold it as their only row. The prompt's frame is never cut, only what it frames, at
    its end. Batches are padded behind the prompts, where a causal model does not look. Passages without anything to
    read score 0.

    Raises:
        InvalidSettings: the model cannot be loaded with these settings.
    """

    def __init__(self, settings: TorchRerank) -> None:
        device = choose_device(settings.device, VARIABLE)
        tokenizer, model = _load(settings, device)
        self._settings = settings
        self._direction = _direction(model, tokenizer, settings.model)
        self._decoder = model.base_model
        fuse_norms(self._decoder)
        self._encoder = tokenizer.backend_tokenizer
        self._encoder.no_padding()
        self._encoder.no_truncation()
        self._prefix, self._suffix = self._read([RERANK_PREFIX, RERANK_SUFFIX])
        self._runner = BatchRunner(self._scores, device, width=1, batch_tokens=settings.batch_tokens, variable=VARIABLE)

    @property
    def info(self) -> RerankerInfo:
        return RerankerInfo(self._settings.provider, self._settings.model)

    async def rerank(
        self, query: EmbeddedQuery, passages: Sequence[Passage], *, instruct: str | None = None
    ) -> Reranking:
        scores = np.zeros(len(passages), dtype=np.float32)
        texts = [passage.text for passage in passages]
        legible = [number for number, text in enumerate(texts) if text.strip() and query.text.strip()]
        task = self._settings.instruct if instruct is None else instruct
        head = rerank_head(harmless(task), harmless(query.text))
        prompts = await self._runner.read(partial(self._prompts, head, [texts[i] for i in legible]))
        scores[legible] = (await self._runner.run(prompts))[:, 0]
        return Reranking(scores, sum(map(len, prompts)))

    async def close(self) -> None:
        await self._runner.close()

    def _prompts(self, head: str, passages: Sequence[str]) -> list[Ids]:
        room = self._settings.max_tokens - len(self._prefix) - len(self._suffix)
        bodies = self._read([head + rerank_document(harmless(passage)) for passage in passages])
        return [[*self._prefix, *body[:room], *self._suffix] for body in bodies]

    def _read(self, texts: Sequence[str]) -> list[Ids]:
        return [encoding.ids for encoding in self._encoder.encode_batch_fast(texts, add_special_tokens=False)]

    def _scores(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Scores in [0, 1], shape (n, 1), float32, for prompts (n, longest) that are padded behind."""
        states = self._decoder(input_ids=ids, use_cache=False).last_hidden_state
        last = states[torch.arange(len(ids), device=ids.device), lengths - 1]
        return torch.sigmoid(last.float() @ self._direction)[:, None]


def _load(settings: TorchRerank, device: torch.device) -> tuple[Any, Any]:
    """Tokenizer and model: a language model as published, or one converted for classification."""
    model, revision = source_of(settings.model), settings.revision or None
    try:
        config = AutoConfig.from_pretrained(model, revision=revision)
        classifies = any(name.endswith("ForSequenceClassification") for name in config.architectures or ())
        kind = AutoModelForSequenceClassification if classifies else AutoModelForCausalLM
        loaded: Any = kind.from_pretrained(model, revision=revision, dtype=choose_dtype(settings.dtype, device))
        tokenizer = AutoTokenizer.from_pretrained(model, revision=revision)
    except (OSError, ValueError) as error:
        raise cannot_load(settings.model, error, VARIABLE) from error
    if not is_causal(loaded):
        raise InvalidSettings(f"{settings.model} is not a Qwen3-Reranker: set {VARIABLE}__MODEL to one")
    return tokenizer, loaded.to(device).eval()


def _direction(model: Any, tokenizer: Any, name: str) -> Tensor:
    """What a last state is multiplied with to get the logit of its score, shape (hidden,), float32."""
    head = getattr(model, "score", None)
    if head is not None:
        rows: Tensor = head.weight.detach().float()
        if len(rows) > 2:
            raise InvalidSettings(f"{name} tells {len(rows)} classes apart, not two: set {VARIABLE}__MODEL to another")
        return rows[-1] - rows[0] if len(rows) == 2 else rows[0]
    no, yes = tokenizer.convert_tokens_to_ids(["no", "yes"])
    words: Tensor = model.get_output_embeddings().weight.detach()
    return words[yes].float() - words[no].float()
