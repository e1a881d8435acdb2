"""How fast Winnow's embedders are, next to the same model with nothing clever around it.

    python benchmarks/embed.py --model Qwen/Qwen3-Embedding-0.6B
    python benchmarks/embed.py --url http://127.0.0.1:8001 --model Qwen/Qwen3-Embedding-0.6B

In process: ``TorchEmbedder`` against sentence-transformers' ``encode`` at its defaults. With ``--url``:
``HttpEmbedder`` against a bare aiohttp loop over the same vLLM server, as many calls at a time. Both sides read the
same texts, in turns; the fastest of the turns counts. On a GPU also: Qwen3-Embedding-0.6B's architecture with random
weights over random tokens, as Winnow runs it and in sentence-transformers' batches (32 texts of about one length,
padded under a mask, one after the other), and what share of the card's rate in a bf16 matrix product each reaches.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer
from texts import load_texts
from torch.nn import functional
from transformers import Qwen3Config, Qwen3Model

from retrieval.models.http_embedder import HttpEmbedder
from retrieval.models.torch_batches import BatchRunner
from retrieval.models.torch_embedder import TorchEmbedder
from retrieval.models.torch_setup import choose_device, choose_dtype, fuse_norms
from retrieval.ports import Embedder
from retrieval.settings.embedding import TorchEmbedding, VllmEmbedding

TURNS: Final = 3
WARM_UP: Final = 64  # texts
BARE_BATCH: Final = 32  # texts in one call of the bare loop
MATRIX: Final = 8192  # side of the matrices that the card's rate is measured with
CARD_TEXTS: Final = 4096
VOCABULARY: Final = 151_669
CARD_LENGTHS: Final = (64, 512)  # tokens of the texts for the random weights, shortest and longest

Work = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: ``ratio`` is to the speed of the next row, ``share`` of the card's rate."""

    name: str
    texts_per_second: float
    tokens_per_second: float
    ratio: float | None = None
    share: float | None = None


async def fastest(*works: Work) -> list[float]:
    """Seconds of the fastest turn of each, taken by turns so that all see the same machine."""
    best = [float("inf")] * len(works)
    for _ in range(TURNS):
        for number, work in enumerate(works):
            started = time.perf_counter()
            await work()
            best[number] = min(best[number], time.perf_counter() - started)
    return best


async def compare(
    name: str, embedder: Embedder, other: str, plain: Callable[[list[str]], Any], texts: list[str]
) -> list[Row]:
    """Time ``embedder`` and ``plain`` over ``texts``; the vectors of both are checked against each other first."""
    ours = await embedder.embed(texts[:WARM_UP], "document")
    theirs = np.asarray(await plain(texts[:WARM_UP]), dtype=np.float32)
    cosines = np.einsum("ij,ij->i", ours.vectors, theirs) / np.linalg.norm(theirs, axis=1)
    if cosines.min() < 0.99:
        raise SystemExit(f"{name} and {other} do not agree: lowest cosine {cosines.min():.3f}")
    tokens = (await embedder.embed(texts, "document")).token_count
    mine, his = await fastest(partial(embedder.embed, texts, "document"), partial(plain, texts))
    return [
        Row(name, len(texts) / mine, tokens / mine, his / mine),
        Row(other, len(texts) / his, tokens / his),
    ]


async def in_process(settings: TorchEmbedding, texts: list[str]) -> list[Row]:
    """``TorchEmbedder`` against sentence-transformers at its defaults, in the same precision."""
    embedder = TorchEmbedder(settings)
    device = choose_device(settings.device, "WINNOW_EMBEDDING")
    dtype = choose_dtype(settings.dtype, device)
    model = SentenceTransformer(settings.model, device=str(device), model_kwargs={"dtype": dtype})
    model.max_seq_length = embedder.info.max_tokens + 1

    async def plain(part: list[str]) -> Any:
        return model.encode(part, show_progress_bar=False)

    try:
        return await compare("TorchEmbedder", embedder, "sentence-transformers", plain, texts)
    finally:
        await embedder.close()


async def over_http(settings: VllmEmbedding, texts: list[str]) -> list[Row]:
    """``HttpEmbedder`` against calls of 32 texts that nothing checks, packs or retries."""
    embedder = HttpEmbedder(settings)
    connector = aiohttp.TCPConnector(limit=settings.connections)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def call(part: list[str]) -> list[list[float]]:
            body = {"model": settings.model, "input": part}
            async with session.post(settings.url.rstrip("/") + settings.path, json=body) as answer:
                answer.raise_for_status()
                return [row["embedding"] for row in (await answer.json())["data"]]

        async def plain(part: list[str]) -> list[list[float]]:
            calls = [call(part[start : start + BARE_BATCH]) for start in range(0, len(part), BARE_BATCH)]
            return [row for rows in await asyncio.gather(*calls) for row in rows]

        try:
            return await compare("HttpEmbedder", embedder, "bare aiohttp", plain, texts)
        finally:
            await embedder.close()


async def on_the_card(batch_tokens: int | None) -> list[Row]:
    """Qwen3-Embedding-0.6B with random weights, and its share of the card's rate; nothing without a GPU."""
    if not torch.cuda.is_available():
        return []
    device = torch.device("cuda")
    rate = _matmul_rate(device)
    numbers = np.random.default_rng(7)
    lengths = numbers.integers(*CARD_LENGTHS, size=CARD_TEXTS, endpoint=True)
    rows = [numbers.integers(0, VOCABULARY, size=length).tolist() for length in lengths]
    plain, fused = _random_model(device), _random_model(device)
    fuse_norms(fused)

    def forward(ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = fused(input_ids=ids, use_cache=False).last_hidden_state
        return states[torch.arange(len(ids), device=device), lengths - 1].float()

    async def masked(rows: list[list[int]]) -> None:
        _in_masked_batches(plain, rows, device)

    runner = BatchRunner(forward, device, width=1024, batch_tokens=batch_tokens, variable="WINNOW_EMBEDDING")
    await runner.run(rows)
    await masked(rows)
    mine, his = await fastest(partial(runner.run, rows), partial(masked, rows))
    await runner.close()
    tokens, work = int(lengths.sum()), _operations(plain, lengths) / rate
    return [
        Row("0.6B at random, Winnow's batches", len(rows) / mine, tokens / mine, his / mine, work / mine),
        Row("0.6B at random, batches of 32", len(rows) / his, tokens / his, None, work / his),
    ]


@torch.inference_mode()
def _in_masked_batches(model: Any, rows: list[list[int]], device: torch.device) -> None:
    """Embed as sentence-transformers does at its defaults, without its tokeniser."""
    ordered = sorted(rows, key=len, reverse=True)
    for start in range(0, len(ordered), BARE_BATCH):
        batch = ordered[start : start + BARE_BATCH]
        longest = len(batch[0])
        ids = torch.tensor([[0] * (longest - len(row)) + row for row in batch], device=device)
        lengths = torch.tensor([len(row) for row in batch], device=device)
        mask = torch.arange(longest, device=device) >= longest - lengths[:, None]
        states = model(input_ids=ids, attention_mask=mask.long(), use_cache=False).last_hidden_state
        functional.normalize(states[:, -1], dim=1).float().cpu()


def _random_model(device: torch.device) -> Any:
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=28,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
    )
    with device:
        model: Any = Qwen3Model(config)
    return model.to(torch.bfloat16).eval()


def _operations(model: Any, lengths: np.ndarray[Any, Any]) -> float:
    """Floating-point operations for texts of ``lengths``: 2 a weight and token, and the causal half of attention."""
    weights = sum(weight.numel() for name, weight in model.named_parameters() if "embed_tokens" not in name)
    heads = model.config.num_attention_heads * model.config.head_dim * model.config.num_hidden_layers
    return float(2 * weights * lengths.sum() + 2 * heads * (lengths.astype(float) ** 2).sum())


def _matmul_rate(device: torch.device) -> float:
    """Operations a second of the card in a bf16 product of square matrices."""
    left, right = (torch.randn(MATRIX, MATRIX, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(10):
            torch.matmul(left, right)
        torch.cuda.synchronize()
        best = min(best, (time.perf_counter() - started) / 10)
    return 2 * MATRIX**3 / best


async def measure(arguments: argparse.Namespace) -> list[Row]:
    """All rows that this machine and these arguments allow."""
    found = load_texts(None, arguments.documents).documents
    texts = [document.text for document in found]
    settings = TorchEmbedding(
        model=arguments.model, max_tokens=arguments.max_tokens, batch_tokens=arguments.batch_tokens
    )
    if arguments.url:
        served = VllmEmbedding(url=arguments.url, model=arguments.model, max_tokens=arguments.max_tokens)
        return await over_http(served, texts)
    return [*await in_process(settings, texts), *await on_the_card(arguments.batch_tokens)]


def show(rows: list[Row]) -> None:
    """Print the table."""
    table = Table("", "texts/s", "tokens/s", "ratio", "of the card", title="Embedding")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        share = "" if row.share is None else f"{row.share:.0%}"
        table.add_row(row.name, f"{row.texts_per_second:,.0f}", f"{row.tokens_per_second:,.0f}", ratio, share)
    Console().print(table)


def main() -> None:
    """Measure and print; with ``--json`` also write the figures to a file."""
    parser = argparse.ArgumentParser(description="Winnow's embedders against the same model with nothing around it.")
    parser.add_argument("--model", default="Qwen/Qwen3-Embedding-0.6B", help="model id or local folder")
    parser.add_argument("--url", default="", help="a vLLM server with the model: measures HTTP instead")
    parser.add_argument("--documents", type=int, default=1000, help="texts to embed")
    parser.add_argument("--max-tokens", type=int, default=512, help="longest text that is read")
    parser.add_argument("--batch-tokens", type=int, help="tokens in one forward pass")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    rows = asyncio.run(measure(arguments))
    show(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
