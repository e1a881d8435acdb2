"""Requests for embeddings, as the clients of each protocol write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, field_validator

from service.doors import templates
from service.doors.bodies import ForeignBody
from service.schemas.common import variant
from winnow.core.errors import InvalidInput
from winnow.operations.model_calls import TextToEmbed

MAX_INPUTS: Final = 2048  # OpenAI's limit
_QUERIES: Final = ("query", "search_query", "retrieval.query")  # how Qwen and vLLM, Cohere, and Jina name a query
Inputs = Annotated[list[Any], Field(max_length=MAX_INPUTS)]


class OpenAIEmbeddingBody(ForeignBody):
    """``POST /v1/embeddings``."""

    model: str | None = None
    input: str | Inputs
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    input_type: str | None = Field(None, description="`query`; texts are documents without it")
    task: str | None = Field(None, description="Jina's name for it: `retrieval.query`")
    instruct: str | None = Field(None, description="task of a query")

    def texts(self) -> list[TextToEmbed]:
        """The inputs in our terms. Raises ``InvalidInput`` for token ids."""
        inputs = [self.input] if isinstance(self.input, str) else self.input
        return use(_strings(inputs, "input"), self.input_type or self.task, self.instruct)


class TeiEmbeddingBody(ForeignBody):
    """``POST /embed`` of Text Embeddings Inference; Hugging Face's client posts the same to ``/``."""

    inputs: str | Inputs
    dimensions: int | None = None
    prompt_name: str | None = Field(None, description="`query`; texts are documents without it")

    def texts(self) -> list[TextToEmbed]:
        """The inputs in our terms."""
        inputs = [self.inputs] if isinstance(self.inputs, str) else self.inputs
        return use(_strings(inputs, "inputs"), self.prompt_name, None)


class SentencePair(ForeignBody):
    """A sentence, and those that it is compared with."""

    source_sentence: str
    sentences: Annotated[list[str], Field(max_length=MAX_INPUTS)]


class SimilarityBody(ForeignBody):
    """``POST /similarity`` of Text Embeddings Inference, which Hugging Face's client posts to ``/``."""

    inputs: SentencePair

    def texts(self) -> list[TextToEmbed]:
        """The source sentence first, then those that it is compared with."""
        return use([self.inputs.source_sentence, *self.inputs.sentences], None, None)


def _kind_of(body: Any) -> str:
    inputs = body.get("inputs") if isinstance(body, dict) else None
    return "(similarity)" if isinstance(inputs, dict) else "(embed)"


HuggingFaceBody = Annotated[
    Annotated[SimilarityBody, variant("similarity")] | Annotated[TeiEmbeddingBody, variant("embed")],
    Discriminator(_kind_of),
]


class CohereEmbeddingBody(ForeignBody):
    """``POST /v1/embed`` and ``/v2/embed``."""

    model: str | None = None
    texts: Annotated[list[str], Field(max_length=MAX_INPUTS)]
    input_type: str | None = None
    output_dimension: int | None = None
    embedding_types: tuple[str, ...] = ("float",)

    @field_validator("embedding_types")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [each for each in value if each not in ("float", "base64")]:
            raise ValueError(f"{unknown[0]!r} is not supported; float and base64 are")
        return value

    def to_embed(self) -> list[TextToEmbed]:
        """The texts in our terms."""
        return use(self.texts, self.input_type, None)


class DashScopeTexts(ForeignBody):
    """``input`` of DashScope's native API."""

    texts: str | Annotated[list[str], Field(max_length=MAX_INPUTS)]


class DashScopeEmbeddingParameters(ForeignBody):
    """``parameters`` of DashScope's native API."""

    text_type: str | None = None
    dimension: int | None = None
    instruct: str | None = None
    output_type: Literal["dense"] = "dense"


class DashScopeEmbeddingBody(ForeignBody):
    """``POST /api/v1/services/embeddings/text-embedding/text-embedding``."""

    model: str | None = None
    input: DashScopeTexts
    parameters: DashScopeEmbeddingParameters = DashScopeEmbeddingParameters()

    def texts(self) -> list[TextToEmbed]:
        """The texts in our terms."""
        texts = [self.input.texts] if isinstance(self.input.texts, str) else self.input.texts
        return use(texts, self.parameters.text_type, self.parameters.instruct)


def use(texts: Sequence[str], kind: str | None, instruct: str | None) -> list[TextToEmbed]:
    """How each text is read: as a query if the caller says so, gives an instruct, or wrote Qwen3's template around."""
    is_query = kind in _QUERIES or instruct is not None
    found = []
    for text in texts:
        bare, own = templates.bare_embedding_query(text)
        task = instruct if own is None else own
        found.append(TextToEmbed(bare, "query", task) if is_query or own is not None else TextToEmbed(bare))
    return found


def _strings(inputs: Sequence[Any], name: str) -> list[str]:
    """The inputs, all of them strings.

    Raises:
        InvalidInput: one is not. Token ids belong to a vocabulary that the request does not name, so they are refused.
    """
    if _are_ids(inputs):
        inputs = [list(inputs)]
    for place, each in enumerate(inputs):
        if isinstance(each, str):
            continue
        message = f"{name}[{place}] is not a text"
        if isinstance(each, list) and _are_ids(each):
            message = (
                f"{name}[{place}] holds token ids of another model's vocabulary; send text "
                "(langchain-openai: check_embedding_ctx_length=False)"
            )
        raise InvalidInput(message, location=(name, place))
    return list(inputs)


def _are_ids(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(each, int) and not isinstance(each, bool) for each in values)
