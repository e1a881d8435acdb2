"""How much memory, disk, processors, GPUs and tokens an installation needs, each by a formula that names its source.

The measured constants are those of benchmarks/README.md; docs/operations/sizing.md explains them. Bytes are decimal:
a GB is 10^9 bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Provider: TypeAlias = Literal["vllm", "dashscope", "bundled"]
Quantization: TypeAlias = Literal["none", "turbo"]
Gpu: TypeAlias = Literal["l4", "a10g", "l40s", "a100", "h100", "h200"]

GB: Final = 1e9
MONTH_SECONDS: Final = 30 * 86_400
BUNDLED_DIMENSIONS: Final = 384
CHUNK_TOKENS: Final = 250
PROMPT_TOKENS: Final = 73  # of Qwen3-Reranker's prompt around query and document
USE: Final = 0.7  # of a processor or a GPU, so that queues stay short
WAL_BYTES: Final = 64e6  # of one shard, at most
FREE_DISK: Final = 1.5  # an optimiser writes a new segment before it drops the old ones
ROW_BYTES: Final = 2_700  # of a document in the catalog beside its text, indexes included
CHAR_BYTES: Final = 4.5  # of text a token
KEYWORD_BYTES, PAYLOAD_BYTES, OTHER_BYTES, TOKEN_VECTOR_BYTES = 700, 1_080, 70, 12_020  # a chunk
SEARCH_CPU: Final[dict[Provider, float]] = {"vllm": 3.45e-3, "dashscope": 3.45e-3, "bundled": 7.97e-3}  # seconds
STORE_CPU: Final = 2e-3  # seconds of the Qdrant server a search of two arms
CHUNK_CPU: Final[dict[Provider, float]] = {"vllm": 0.469e-3, "dashscope": 0.469e-3, "bundled": 13.6e-3}  # seconds
GPU_FLOPS: Final[dict[Gpu, float]] = {  # bf16 without sparsity, from the makers' data sheets
    "l4": 121e12,
    "a10g": 70e12,
    "l40s": 362e12,
    "a100": 312e12,
    "h100": 989e12,
    "h200": 989e12,
}
GPU_SHARE: Final = 0.4  # of that rate which a model of this size reaches
FLOP_PER_PARAMETER: Final = 2.0  # a token in a forward pass (Kaplan et al. 2020, arXiv 2001.08361, section 2.1)


@dataclass(frozen=True)
class Load:
    """What is to be held and answered.

    Attributes:
        documents: in all collections.
        tokens: of a document, on average.
        dimensions: of a vector.
        qps: searches a second at the peak.
        average: searches a second on average, as a share of the peak.
        top_k: candidates that the second stage scores.
        passage_tokens: of a candidate, as the reranker reads it.
        query_tokens: of a query with its instruct.
        changes: share of the documents that is new or changed in a month.
        load_hours: hours in which all documents are to be indexed once.
        copies: of each part of an index.
        node_gb: memory of one Qdrant node.
        parameters: of each model outside of its word embeddings, which cost no computation.
    """

    documents: float
    dimensions: int = 1024
    qps: float = 10.0
    tokens: float = 600.0
    average: float = 0.25
    top_k: int = 50
    passage_tokens: float = CHUNK_TOKENS
    query_tokens: float = 40.0
    changes: float = 0.1
    load_hours: float = 24.0
    copies: int = 2
    node_gb: float = 64.0
    provider: Provider = "vllm"
    quantization: Quantization = "none"
    gpu: Gpu = "l4"
    parameters: float = 0.44e9

    @property
    def chunks(self) -> float:
        """Chunks of all documents."""
        return self.documents * math.ceil(self.tokens / CHUNK_TOKENS)

    @property
    def load_seconds(self) -> float:
        return self.load_hours * 3600

    @property
    def searches(self) -> float:
        """Searches of a month."""
        return self.qps * self.average * MONTH_SECONDS


@dataclass(frozen=True)
class Estimate:
    """One answer, with the formula that it follows from and where its constants come from."""

    name: str
    value: float
    unit: str
    formula: str
    source: str


_CAPACITY: Final = "Qdrant, capacity planning: points × dimensions × 4 bytes × 1.5"
_DISK: Final = "benchmarks/README.md, disk and memory"
_STACK: Final = "benchmarks/README.md, the stack at scale"
_FEED: Final = "benchmarks/README.md, feeding a model"
_FLOPS: Final = "Kaplan et al. 2020 (2 FLOP a parameter and token); data sheet of the GPU; share 0.4 assumed"
_COUNT: Final = "counted"


def figures_of(load: Load) -> list[Estimate]:
    """All figures, in the order of the manual.

    Raises:
        ValueError: a number is not above 0, or the dimensions are not those of the bundled model.
    """
    _check(load)
    return [*_store(load), *_catalog(load), *_processes(load), *_gpus(load), *_tokens(load)]


def _check(load: Load) -> None:
    for name in ("documents", "dimensions", "qps", "tokens", "top_k", "load_hours", "copies", "node_gb", "parameters"):
        if getattr(load, name) <= 0:
            raise ValueError(f"{name} must be above 0, not {getattr(load, name):g}")
    for name in ("average", "changes"):
        if not 0 <= getattr(load, name) <= 1:
            raise ValueError(f"{name} is a share: it must be from 0 to 1, not {getattr(load, name):g}")
    if load.provider == "bundled" and load.dimensions != BUNDLED_DIMENSIONS:
        raise ValueError(f"the bundled models have {BUNDLED_DIMENSIONS} dimensions, not {load.dimensions}")


def vector_bytes(load: Load) -> float:
    """Memory for the vectors of one copy."""
    width = 4.0 if load.quantization == "none" else 0.5
    return load.chunks * load.dimensions * width * 1.5


def disk_bytes(load: Load) -> float:
    """Disk for one copy, without its log."""
    tokens = TOKEN_VECTOR_BYTES if load.provider == "bundled" else 0
    quantized = 0.5 if load.quantization == "turbo" else 0.0
    vector = load.dimensions * (4 + quantized)
    return load.chunks * (vector + KEYWORD_BYTES + PAYLOAD_BYTES + OTHER_BYTES + tokens) * FREE_DISK


def nodes(load: Load) -> int:
    """Qdrant nodes: enough memory for all copies, and for more than one copy three, which agree by majority."""
    needed = math.ceil(vector_bytes(load) * load.copies / GB / (load.node_gb * USE))
    return max(needed, 3 if load.copies > 1 else 1)


def _store(load: Load) -> list[Estimate]:
    memory, disk, count = vector_bytes(load) * load.copies, disk_bytes(load) * load.copies, nodes(load)
    logs = WAL_BYTES * 2 * count * load.copies
    width = "4" if load.quantization == "none" else "0.5"
    return [
        Estimate("chunks", load.chunks, "", f"documents × ⌈tokens / {CHUNK_TOKENS}⌉", _COUNT),
        Estimate("qdrant memory", memory / GB, "GB", f"chunks × dim × {width} B × 1.5 × copies", _CAPACITY),
        Estimate("qdrant nodes", count, "", "⌈memory / (node memory × 0.7)⌉, at least 3 where copies > 1", _CAPACITY),
        Estimate("qdrant disk", (disk + logs) / GB, "GB", "chunks × kB a chunk × 1.5 × copies + logs", _DISK),
        Estimate(
            "qdrant cpu",
            load.qps * STORE_CPU / USE,
            "cores",
            "qps × 2 ms / 0.7",
            f"{_STACK}; more where memory is short",
        ),
        Estimate("snapshots", 3 * disk / FREE_DISK / GB, "GB", "3 sets × disk without free room and logs", _DISK),
    ]


def _catalog(load: Load) -> list[Estimate]:
    held = load.documents * (load.tokens * CHAR_BYTES + ROW_BYTES)
    return [
        Estimate("catalog disk", held / GB, "GB", "documents × (tokens × 4.5 B + 2.7 kB)", "measured; see sizing.md")
    ]


def _processes(load: Load) -> list[Estimate]:
    cores = load.qps * SEARCH_CPU[load.provider] / USE
    indexing = load.chunks / load.load_seconds * CHUNK_CPU[load.provider] / USE
    return [
        Estimate(
            "service replicas",
            max(2, math.ceil(cores)),
            "",
            "⌈qps × ms a search / 0.7⌉, one core each, at least 2",
            _STACK,
        ),
        Estimate(
            "workers", max(1, math.ceil(indexing)), "", "⌈chunks / load time × ms a chunk / 0.7⌉, one core each", _FEED
        ),
    ]


def gpu_tokens(load: Load) -> float:
    """Tokens a second that one GPU reads."""
    return GPU_FLOPS[load.gpu] * GPU_SHARE / (FLOP_PER_PARAMETER * load.parameters)


def rerank_tokens(load: Load) -> float:
    """Tokens that the reranker reads for one search."""
    return load.top_k * (PROMPT_TOKENS + load.query_tokens + load.passage_tokens)


def _gpus(load: Load) -> list[Estimate]:
    if load.provider != "vllm":
        return [Estimate("gpus", 0, "", "none: models run elsewhere or on the CPU", _COUNT)]
    rate = gpu_tokens(load) * USE
    embedding = (load.documents * load.tokens / load.load_seconds + load.qps * load.query_tokens) / rate
    reranking = load.qps * rerank_tokens(load) / rate
    per_gpu = f"{load.gpu} FLOP/s × 0.4 / (2 × parameters)"
    return [
        Estimate("tokens/s of a gpu", gpu_tokens(load), "tokens/s", per_gpu, _FLOPS),
        Estimate(
            "gpus for embedding",
            math.ceil(embedding),
            "",
            "⌈(corpus / load time + qps × query) / (rate × 0.7)⌉",
            _FLOPS,
        ),
        Estimate(
            "gpus for reranking",
            math.ceil(reranking),
            "",
            "⌈qps × top_k × (73 + query + passage) / (rate × 0.7)⌉",
            _FLOPS,
        ),
    ]


def _tokens(load: Load) -> list[Estimate]:
    corpus = load.documents * load.tokens
    monthly = corpus * load.changes + load.searches * load.query_tokens
    reranked = load.searches * load.top_k * (load.query_tokens + load.passage_tokens)
    return [
        Estimate("tokens of the first load", corpus / 1e6, "million", "documents × tokens", _COUNT),
        Estimate("embedding tokens a month", monthly / 1e6, "million", "corpus × changes + searches × query", _COUNT),
        Estimate("reranking tokens a month", reranked / 1e6, "million", "searches × top_k × (query + passage)", _COUNT),
    ]
