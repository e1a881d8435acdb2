"""How fast Winnow's embedders are, next to the same model with nothing clever around it.

    python benchmarks/embed.py --model Qwen/Qwen3-Embedding-0.6B
    python benchmarks/embed.py --url http://127.0.0.1:8001 --model Qwen/Qwen3-Embedding-0.6B

In process: ``TorchEmbedder`` against sentence-transformers' ``encode`` at its defaults. With ``--url``:
``HttpEmbedder`` against a bare aiohttp loop over the same vLLM server, which sends the same requests, as many at a
time, and decodes the vectors. Both sides read the same texts, in turns; the fastest of the turns counts, and of this
process's CPU time the least, which tells the client's share where other work disturbs the clock. On a GPU also:
Qwen3-Embedding-0.6B's architecture with random weights over random tokens, as Winnow runs it and in
sentence-transformers' batches (32 texts of about one length, padded under a mask, one after the other), and what share
of the card's rate in a bf16 matrix product each reaches.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import numpy as np
import orjson
import torch
from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer
from texts import load_texts
from torch.nn import functional
from transformers import Qwen3Config, Qwen3Model

from winnow.core.settings.embedding import TorchEmbedding, VllmEmbedding
from winnow.core.types import FloatArray
from winnow.models.http.embed import HttpEmbedder
from winnow.models.http.embed_dialects import EmbedBatch, embed_dialect
from winnow.models.local.loading import choose_device, choose_dtype, fuse_norms
from winnow.models.local.torch_batches import BatchRunner
from winnow.models.local.torch_embedder import TorchEmbedder
from winnow.ports import Embedder

TURNS: Final = 3
WARM_UP: Final = 64  # texts
BARE_BATCH: Final = 32  # texts in one batch of sentence-transformers
MATRIX: Final = 8192  # side of the matrices that the card's rate is measured with
CARD_TEXTS: Final = 4096
VOCABULARY: Final = 151_669
CARD_LENGTHS: Final = (64, 512)  # tokens of the texts for the random weights, shortest and longest

Work = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        cpu_ms: CPU time of this process for a thousand texts, milliseconds.
        ratio: to the speed of the next row.
        share: of the card's rate.
    """

    name: str
    texts_per_second: float
    tokens_per_second: float
    cpu_ms: float
    ratio: float | None = None
    share: float | None = None


class Spent(NamedTuple):
    """The fewest seconds of any turn, on the wall's clock and of this process's CPU time."""

    seconds: float
    cpu: float


async def fastest(*works: Work) -> list[Spent]:
    """What each took, by turns so that all see the same machine."""
    best = [Spent(float("inf"), float("inf"))] * len(works)
    for _ in range(TURNS):
        for number, work in enumerate(works):
            started, cpu = time.perf_counter(), time.process_time()
            await work()
            taken = Spent(time.perf_counter() - started, time.process_time() - cpu)
            best[number] = Spent(*map(min, best[number], taken))
    return best


def row(name: str, texts: int, tokens: int, spent: Spent, **figures: float | None) -> Row:
    """The line for ``texts`` texts of ``tokens`` tokens in all."""
    return Row(name, texts / spent.seconds, tokens / spent.seconds, spent.cpu / texts * 1e6, **figures)


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
        row(name, len(texts), tokens, mine, ratio=his.seconds / mine.seconds),
        row(other, len(texts), tokens, his),
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
    """``HttpEmbedder`` against the same calls, whose answers nothing checks, normalises or asks for again."""
    embedder = HttpEmbedder(settings)
    dialect = embed_dialect(settings)
    connector = aiohttp.TCPConnector(limit=settings.connections - 1)  # Winnow keeps one free for a query
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def call(part: list[str]) -> list[FloatArray]:
            body = orjson.dumps(dialect.body(EmbedBatch(part, "document", ""), settings.dimensions))
            async with session.post(settings.url + dialect.path, data=body) as answer:
                answer.raise_for_status()
                found = orjson.loads(await answer.read())["data"]
            return [np.frombuffer(base64.b64decode(row["embedding"]), dtype="<f4") for row in found]

        async def plain(part: list[str]) -> list[FloatArray]:
            size = settings.batch_size
            calls = [call(part[start : start + size]) for start in range(0, len(part), size)]
            return [vector for vectors in await asyncio.gather(*calls) for vector in vectors]

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
    size, work = (len(rows), int(lengths.sum())), _operations(plain, lengths) / rate
    ratio = his.seconds / mine.seconds
    return [
        row("0.6B at random, Winnow's batches", *size, mine, ratio=ratio, share=work / mine.seconds),
        row("0.6B at random, batches of 32", *size, his, share=work / his.seconds),
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
    found = (await load_texts(None, arguments.documents)).documents
    texts = [document.text for document in found]
    settings = TorchEmbedding(
        model=arguments.model, max_tokens=arguments.max_tokens, batch_tokens=arguments.batch_tokens
    )
    if arguments.url:
        served = VllmEmbedding(
            url=arguments.url,
            model=arguments.model,
            dimensions=arguments.dimensions,
            max_tokens=arguments.max_tokens,
        )
        return await over_http(served, texts)
    return [*await in_process(settings, texts), *await on_the_card(arguments.batch_tokens)]


def show(rows: list[Row]) -> None:
    """Print the table."""
    table = Table("", "texts/s", "tokens/s", "CPU ms/1000", "ratio", "card", title="Embedding")
    for each in rows:
        ratio = "" if each.ratio is None else f"{each.ratio:.2f}"
        share = "" if each.share is None else f"{each.share:.0%}"
        speeds = [f"{speed:,.0f}" for speed in (each.texts_per_second, each.tokens_per_second, each.cpu_ms)]
        table.add_row(each.name, *speeds, ratio, share)
    Console().print(table)


def main() -> None:
    """Measure and print; with ``--json`` also write the figures to a file."""
    parser = argparse.ArgumentParser(description="Winnow's embedders against the same model with nothing around it.")
    parser.add_argument("--model", default="Qwen/Qwen3-Embedding-0.6B", help="model id or local folder")
    parser.add_argument("--url", default="", help="a vLLM server with the model: measures HTTP instead")
    parser.add_argument("--dimensions", type=int, help="size of the server's vectors, unless the name tells")
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
