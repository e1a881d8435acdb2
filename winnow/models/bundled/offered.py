"""The models that are bundled: what each is, and how its parts are loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

from winnow.core.errors import InvalidSettings, UpstreamUnavailable
from winnow.core.settings.embedding import BundledEmbedding
from winnow.models.bundled import e5, minilm
from winnow.models.bundled.encoder import DIMENSIONS, Checkpoint
from winnow.models.bundled.reading import Reading, TextReader
from winnow.models.bundled.sentencepieces import MAX_TOKENS as E5_TOKENS
from winnow.models.bundled.sentencepieces import SentencePieces
from winnow.models.bundled.token_basis import TOKEN_DIMENSIONS
from winnow.models.bundled.weights import WeightSource
from winnow.models.bundled.wordpieces import MAX_TOKENS as MINILM_TOKENS
from winnow.models.bundled.wordpieces import WordPieces
from winnow.ports import EmbedderInfo, EmbedKind


@dataclass(frozen=True, slots=True, eq=False)
class BundledModel:
    """One bundled model.

    Attributes:
        info: known without loading anything.
        tokenizer: name of its tokenizer, which ``reader`` makes.
        source: where its weights are.
        load: reads the weights, in a folder or an installed package.
        reader: makes its tokenizer; the folder is that of ``load``.
        basis: file of the axes of its token vectors.
        measured: file of the ranges of its activations, and of a known text's vector.
        prefix_pairs: pairs of tokens in front of a document's own, behind the first special token.
        has_earlier: whether version 0.1.0 made indexes with it, with whole token vectors.
    """

    info: EmbedderInfo
    tokenizer: str
    source: WeightSource
    load: Callable[[Path | None], Checkpoint]
    reader: Callable[[Path | None], TextReader]
    basis: Path
    measured: Path
    prefix_pairs: int = 0
    has_earlier: bool = False


def _info(model: str, revision: str, max_tokens: int) -> EmbedderInfo:
    return EmbedderInfo("bundled", model, revision, DIMENSIONS, max_tokens, token_dimensions=TOKEN_DIMENSIONS)


ENGLISH: Final = BundledModel(
    info=_info(minilm.MODEL, minilm.REVISION, MINILM_TOKENS),
    tokenizer=WordPieces.name,
    source=minilm.SOURCE,
    load=minilm.load_minilm,
    reader=lambda _: WordPieces(),
    basis=Path(__file__).with_name("token_basis_minilm.npz"),
    measured=minilm.MEASURED,
    has_earlier=True,
)
MULTILINGUAL: Final = BundledModel(
    info=_info(e5.MODEL, e5.REVISION, E5_TOKENS),
    tokenizer=SentencePieces.name,
    source=e5.SOURCE,
    load=e5.load_e5,
    reader=SentencePieces,
    basis=Path(__file__).with_name("token_basis_e5.npz"),
    measured=e5.MEASURED,
    prefix_pairs=1,
)
OFFERED: Final[dict[Literal["auto", "english", "multilingual"], BundledModel]] = {
    "auto": ENGLISH,
    "english": ENGLISH,
    "multilingual": MULTILINGUAL,
}


def offered(settings: BundledEmbedding) -> BundledModel:
    """The model that the settings name."""
    return OFFERED[settings.model]


class DeferredReader(TextReader):
    """The tokenizer of a bundled model, loaded when it is first used. Another process loads its own."""

    def __init__(self, settings: BundledEmbedding) -> None:
        self.name = offered(settings).tokenizer
        self._settings = settings
        self._lock = threading.Lock()
        self._reader: TextReader | None = None

    def __reduce__(self) -> tuple[type[Self], tuple[BundledEmbedding]]:
        return type(self), (self._settings,)

    def spans(self, text: str) -> list[tuple[int, int]]:
        return self._loaded().spans(text)

    def read(self, texts: Sequence[str], instruct: str = "", *, kind: EmbedKind = "document") -> list[Reading]:
        return self._loaded().read(texts, instruct, kind=kind)

    def telling(self, reading: Reading) -> list[int]:
        return self._loaded().telling(reading)

    def _loaded(self) -> TextReader:
        with self._lock:
            if self._reader is None:
                try:
                    self._reader = offered(self._settings).reader(self._settings.weights)
                except InvalidSettings as error:
                    raise UpstreamUnavailable(error.message) from error
            return self._reader
