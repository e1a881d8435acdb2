"""Which model turns text into vectors, and where it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from winnow.core.settings.base import Custom, Endpoint, Group

QWEN3_INSTRUCT: Final = "Given a web search query, retrieve relevant passages that answer the query"
TORCH_BATCH: Final = "tokens in one forward pass, padding included; unset: 32,768 on a GPU, 1,024 on the CPU"
EncoderName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*(_[a-z0-9-]+)*$", max_length=64)]
"""The name of a further embedding model: lower case, since the names of environment variables have no case."""

_DIMENSIONS: Final = "size of the vectors; unset: the model's own"
_PATH: Final = "path of the call under the URL"
_INSTRUCT: Final = "a query's task; unset: Qwen's own for Qwen3-Embedding, none for other models; empty: none"


def _number(value: Any) -> Any:
    """The environment gives numbers as text, which a ``Literal`` of numbers does not take."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class BundledEmbedding(Group):
    """all-MiniLM-L6-v2 or multilingual-e5-small on the CPU, from an installed package, no download."""

    provider: Literal["bundled"] = "bundled"
    model: Literal["auto", "english", "multilingual"] = Field(
        "auto", description="of collections that name none; auto: their first documents decide"
    )
    weights: Path | None = Field(
        None,
        description="folder with model.safetensors or model.onnx (English), e5-small-q4.bin (multilingual); unset: "
        "installed packages",
    )
    precision: Literal["auto", "float32", "bfloat16", "int8"] = Field(
        "auto", description="auto: bfloat16 with AMX, int8 with VNNI, float32 on other CPUs"
    )
    threads: int = Field(0, ge=0, description="CPU threads for indexing; 0 takes all cores")


class VllmEmbedding(Endpoint):
    """A vLLM server with ``--runner pooling`` and an embedding model."""

    provider: Literal["vllm"] = "vllm"
    url: str = "http://127.0.0.1:8001"
    path: str = Field("/v1/embeddings", description=_PATH)
    model: str = "Qwen/Qwen3-Embedding-0.6B"
    dimensions: int | None = Field(None, ge=1, description=_DIMENSIONS)
    instruct: str | None = Field(None, description=_INSTRUCT)
    max_tokens: int = Field(
        8192, ge=16, description="longest text in tokens that the server accepts (its --max-model-len)"
    )
    batch_size: int = Field(64, ge=1, description="most texts in one call")
    tokenizer: str = Field("qwen", description="qwen, or the path of a tokenizer.json: counts tokens for chunks")


class OpenAIEmbedding(Endpoint):
    """OpenAI's embeddings, or any server of the same shape."""

    provider: Literal["openai"] = "openai"
    url: str = "https://api.openai.com"
    path: str = Field("/v1/embeddings", description=_PATH)
    model: str = "text-embedding-3-small"
    dimensions: int | None = Field(None, ge=1, description=_DIMENSIONS)
    instruct: str = Field(
        "", description="added in front of a query as Qwen3 expects it; empty: the query is sent as it is"
    )
    max_tokens: int = Field(8191, ge=16, description="longest text in tokens that the model accepts")
    batch_size: int = Field(64, ge=1, le=2048, description="most texts in one call")
    tokenizer: str = Field("qwen", description="qwen, or the path of a tokenizer.json: counts tokens for chunks")


class DashScopeEmbedding(Endpoint):
    """Alibaba Cloud Model Studio (DashScope)."""

    provider: Literal["dashscope"] = "dashscope"
    url: str = "https://dashscope.aliyuncs.com"
    api: Literal["compatible", "native"] = Field("compatible", description="native also tells queries from documents")
    model: str = "text-embedding-v4"
    dimensions: Annotated[Literal[2048, 1536, 1024, 768, 512, 256, 128, 64], BeforeValidator(_number)] = 1024
    instruct: str = Field(
        "", description="the query's task, in English; the compatible API has no field for it and gets it in the text"
    )
    max_tokens: int = Field(8192, ge=16, description="longest text in tokens that the model accepts")
    batch_size: int = Field(10, ge=1, description="most texts in one call")


class TorchEmbedding(Group):
    """An embedding model in this process, on a GPU or the CPU, through sentence-transformers (extra ``torch``)."""

    provider: Literal["torch"] = "torch"
    model: str = Field("Qwen/Qwen3-Embedding-0.6B", description="model id or local folder")
    revision: str = Field("", description="commit or tag of the model; empty: the newest")
    dimensions: int | None = Field(None, ge=1, description=_DIMENSIONS)
    instruct: str | None = Field(None, description=_INSTRUCT)
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 …")
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field("auto", description="auto: bf16 on a GPU")
    max_tokens: int = Field(8192, ge=16, description="longest text in tokens; the rest is cut")
    batch_tokens: int | None = Field(None, ge=256, description=TORCH_BATCH)


class VllmOfflineEmbedding(Group):
    """vLLM inside this process, for bulk indexing on a GPU (extra ``vllm``)."""

    provider: Literal["vllm-offline"] = "vllm-offline"
    model: str = Field("Qwen/Qwen3-Embedding-0.6B", description="model id or local folder")
    revision: str = Field("", description="commit or tag of the model; empty: the newest")
    dimensions: int | None = Field(None, ge=1, description=_DIMENSIONS)
    instruct: str | None = Field(None, description=_INSTRUCT)
    max_tokens: int = Field(8192, ge=16, description="longest text in tokens; the rest is cut")
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1, description="share of the GPU's memory that vLLM takes")


class CustomEmbedding(Custom):
    """An embedder of your own: any object that has the members of ``winnow.ports.Embedder``."""

    dimensions: int | None = Field(None, ge=1, description="passed to the factory where it is set")


Embedding = Annotated[
    BundledEmbedding
    | VllmEmbedding
    | OpenAIEmbedding
    | DashScopeEmbedding
    | TorchEmbedding
    | VllmOfflineEmbedding
    | CustomEmbedding,
    Field(discriminator="provider"),
]
