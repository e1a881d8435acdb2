"""Which model scores candidates, and where it runs."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from winnow.core.settings.base import Custom, Endpoint, Group
from winnow.core.settings.embedding import QWEN3_INSTRUCT, TORCH_BATCH

_INSTRUCT: Final = "the task that the reranker judges by; empty: no instruct is sent"
_ITEM: Final = "tokens of one query and document together; longer documents are cut at their end"
_EACH: Final = "tokens of the query, and of each document; longer ones are cut at their end"
_REQUEST: Final = "tokens in one call as the provider counts them; more are split over several calls"
_SCALE: Final = (
    "scale of the scores in answers: `probability`, or `logit` of servers that leave out the sigmoid; unset: "
    "probability, of a listwise model cosine"
)
_DOCUMENTS: Final = "documents in one call; more are split over several calls"

_LISTWISE_DOCUMENTS: Final = 64  # what jina-reranker-v3 reads at once
_VL_LIMITS: Final = {"max_tokens": 8000, "max_documents": 100, "max_request_tokens": 120_000}


def is_listwise(model: str) -> bool:
    """Whether a model scores the documents of a call against each other, so that calls cannot be split."""
    return "jina-reranker-v3" in model.casefold()


def is_multimodal(model: str) -> bool:
    """Whether a model of DashScope's native API takes images and videos, and an instruct."""
    return "-vl-" in model.casefold()


class BundledRerank(Group):
    """Late interaction over the bundled model's token vectors, fused with the first stage's scores."""

    provider: Literal["bundled"] = "bundled"


class HttpRerank(Endpoint):
    """Settings of every reranker behind HTTP."""

    path: str = Field(description="path of the call, added to the URL")
    model: str
    instruct: str = Field(QWEN3_INSTRUCT, description=_INSTRUCT)
    max_tokens: int = Field(8192, ge=128, description=_ITEM)
    max_documents: int = Field(32, ge=1, description=_DOCUMENTS)
    scale: Literal["probability", "logit"] | None = Field(None, description=_SCALE)


class VllmRerank(HttpRerank):
    """A vLLM server with ``--runner pooling`` and Qwen3-Reranker."""

    provider: Literal["vllm"] = "vllm"
    url: str = "http://127.0.0.1:8002"
    path: str = "/v1/rerank"
    model: str = "Qwen/Qwen3-Reranker-0.6B"
    max_documents: int = Field(128, ge=1, description=_DOCUMENTS)
    template: Literal["server", "client"] = Field(
        "server", description="server: it was started with Winnow's chat template; client: without any"
    )


class AlibabaRerank(HttpRerank):
    """Settings of qwen3-rerank and its relatives, wherever they are served."""

    model: str = "qwen3-rerank"
    max_tokens: int = Field(4000, ge=128, description=_EACH)
    max_documents: int = Field(500, ge=1, le=500, description=_DOCUMENTS)
    max_request_tokens: int = Field(120_000, ge=1000, description=_REQUEST)


class DashScopeRerank(AlibabaRerank):
    """qwen3-rerank at Alibaba Cloud Model Studio, compatible API."""

    provider: Literal["dashscope"] = "dashscope"
    url: str = "https://dashscope.aliyuncs.com"
    path: str = "/compatible-api/v1/reranks"


class DashScopeNativeRerank(AlibabaRerank):
    """gte-rerank-v2 or qwen3-vl-rerank at Alibaba Cloud Model Studio, native API."""

    provider: Literal["dashscope-native"] = "dashscope-native"
    url: str = "https://dashscope.aliyuncs.com"
    path: str = "/api/v1/services/rerank/text-rerank/text-rerank"
    model: str = "gte-rerank-v2"
    max_request_tokens: int = Field(30_000, ge=1000, description=_REQUEST)
    image_field: str = Field("", description="metadata field with a document's image (URL or data URI), for qwen3-vl")
    video_field: str = Field("", description="metadata field with a document's video (URL), for qwen3-vl")
    fps: float | None = Field(None, ge=0, le=1, description="share of a video's frames that is used, for qwen3-vl")

    @model_validator(mode="before")
    @classmethod
    def _limits_of_the_model(cls, values: Any) -> Any:
        """qwen3-vl-rerank reads longer texts in fewer numbers; the defaults are gte-rerank-v2's."""
        if isinstance(values, dict) and is_multimodal(str(values.get("model", ""))):
            return _VL_LIMITS | values
        return values

    @model_validator(mode="after")
    def _media_need_a_model(self) -> Self:
        if (self.image_field or self.video_field or self.fps is not None) and not is_multimodal(self.model):
            raise ValueError(f"image_field, video_field and fps are for qwen3-vl-rerank, not for {self.model}")
        return self


class WrappedRerank(AlibabaRerank):
    """qwen3-rerank behind a gateway that answers with ``output.results``."""

    provider: Literal["wrapped"] = "wrapped"
    url: str
    path: str = "/v1/rerank"


class JinaRerank(HttpRerank):
    """Jina, DMXAPI, SiliconFlow, SGLang and everything else of Jina's shape."""

    provider: Literal["jina"] = "jina"
    url: str = "https://api.jina.ai"
    path: str = "/v1/rerank"
    model: str = "jina-reranker-v2-base-multilingual"
    instruct: str = Field("", description=_INSTRUCT)
    instruct_field: Literal["instruction", "instruct"] = Field(
        "instruction", description="name of the field: instruction (SiliconFlow, vLLM), instruct (SGLang)"
    )
    spare_texts: bool = Field(
        True, description="ask for scores without texts (return_documents: false); off if the server rejects that field"
    )

    @model_validator(mode="before")
    @classmethod
    def _documents_of_the_model(cls, values: Any) -> Any:
        """A listwise model takes all documents in one call: 64, unless set otherwise."""
        if isinstance(values, dict) and is_listwise(str(values.get("model", ""))):
            return {"max_documents": _LISTWISE_DOCUMENTS} | values
        return values


class CohereRerank(HttpRerank):
    """Cohere's rerank API, version 2."""

    provider: Literal["cohere"] = "cohere"
    url: str = "https://api.cohere.com"
    path: str = "/v2/rerank"
    model: str = "rerank-v3.5"
    instruct: Literal[""] = Field("", description="Cohere has no instruct")
    max_tokens: int = Field(4096, ge=128, description=_ITEM)
    max_documents: int = Field(1000, ge=1, le=1000, description=_DOCUMENTS)


class TeiRerank(HttpRerank):
    """Hugging Face's Text Embeddings Inference, which serves one model and names none."""

    provider: Literal["tei"] = "tei"
    url: str = "http://127.0.0.1:8080"
    path: str = "/rerank"
    model: str = Field("", description="name in answers; the server has one model")
    instruct: Literal[""] = Field("", description="TEI has no instruct")
    max_tokens: int = Field(512, ge=128, description=_ITEM)


class TorchRerank(Group):
    """Qwen3-Reranker in this process, on a GPU or the CPU (extra ``torch``)."""

    provider: Literal["torch"] = "torch"
    model: str = Field("Qwen/Qwen3-Reranker-0.6B", description="model id or local folder")
    revision: str = Field("", description="commit or tag of the model; empty: the newest")
    instruct: str = QWEN3_INSTRUCT
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 …")
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field("auto", description="auto: bf16 on a GPU")
    max_tokens: int = Field(8192, ge=128, description=_ITEM)
    batch_tokens: int | None = Field(None, ge=256, description=TORCH_BATCH)


class CustomRerank(Custom):
    """A reranker of your own: any object that has the members of ``winnow.ports.Reranker``."""


class NoRerank(Group):
    """No second stage: answers carry retrieval scores."""

    provider: Literal["none"] = "none"


Rerank = Annotated[
    BundledRerank
    | VllmRerank
    | DashScopeRerank
    | DashScopeNativeRerank
    | WrappedRerank
    | JinaRerank
    | CohereRerank
    | TeiRerank
    | TorchRerank
    | CustomRerank
    | NoRerank,
    Field(discriminator="provider"),
]
