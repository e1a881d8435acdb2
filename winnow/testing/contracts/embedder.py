"""What every ``Embedder`` must do. A backend subclasses the suite and supplies the fixture ``embedder``."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from winnow.core.types import FloatArray
from winnow.ports import Embedder, EmbedKind

TEXTS = (
    "Copy the file src to dst and keep its timestamps",
    "Open a URL and return its answer as bytes",
    "Return the sum of all numbers, or the start value when there are none",
    "thread",
    "A process has its own memory; a thread shares that of its process. " * 5,
    "json.dumps(obj, *, indent=None) -> str",
    "A set is an unordered collection of distinct hashable objects",
)
ODDITIES = {
    "empty": "",
    "white space": " \n\t\u3000",
    "lone surrogate": "half of \ud83d an emoji",
    "only a lone surrogate": "\udc00",
    "NUL": "a\x00b",
    "right-to-left override": "abc\u202edef",
    "combining marks": "e\u0301" * 50,
    "100k characters": "word " * 20_000,
    "100k characters in one word": "x" * 100_000,
    "emoji": "🙂👩‍👩‍👧",
    "markup": "[CLS] [SEP] <script>alert(1)</script> {{ x }}",
}
# what rounding of bfloat16 may do between two batches of other shapes
ALIKE = 0.999


def cosines(left: FloatArray, right: FloatArray) -> FloatArray:
    """Cosines of rows of length 1, pair by pair."""
    products: FloatArray = np.einsum("ij,ij->i", left, right)
    return products


class EmbedderContract:
    """The suite."""

    @pytest.fixture
    def embedder(self) -> Embedder:
        """The embedder under test; it may be shared between tests."""
        raise NotImplementedError

    @pytest.fixture
    def closable(self, embedder: Embedder) -> Embedder:
        """One that a test may close: another one where ``embedder`` is shared between tests."""
        return embedder

    @pytest.mark.parametrize("kind", ["query", "document"])
    async def test_vectors_are_finite_and_of_length_one(self, embedder: Embedder, kind: EmbedKind) -> None:
        embeddings = await embedder.embed(TEXTS, kind)
        assert embeddings.vectors.shape == (len(TEXTS), embedder.info.dimensions)
        assert embeddings.vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(embeddings.vectors, axis=1), 1, atol=1e-5)

    @pytest.mark.parametrize("kind", ["query", "document"])
    async def test_coverage_is_a_share_and_full_for_english(self, embedder: Embedder, kind: EmbedKind) -> None:
        coverage = (await embedder.embed(TEXTS, kind)).coverage
        assert coverage.shape == (len(TEXTS),)
        assert coverage.dtype == np.float32
        assert np.all((coverage > 0.95) & (coverage <= 1))

    @pytest.mark.parametrize("kind", ["query", "document"])
    async def test_token_vectors_are_halves_of_length_one(self, embedder: Embedder, kind: EmbedKind) -> None:
        tokens = (await embedder.embed(TEXTS, kind)).tokens
        if not embedder.info.token_dimensions:
            assert tokens is None
            return
        assert tokens is not None
        assert len(tokens) == len(TEXTS)
        for part in tokens:
            assert part.dtype == np.float16
            assert part.ndim == 2
            assert part.shape[1] == embedder.info.token_dimensions
            assert 0 < len(part) <= embedder.info.max_tokens
            np.testing.assert_allclose(np.linalg.norm(part.astype(np.float32), axis=1), 1, atol=2e-3)

    @pytest.mark.parametrize("kind", ["query", "document"])
    async def test_a_text_is_the_same_alone_and_in_any_batch(self, embedder: Embedder, kind: EmbedKind) -> None:
        together = await embedder.embed(TEXTS, kind)
        backwards = await embedder.embed(TEXTS[::-1], kind)
        alone = [await embedder.embed([text], kind) for text in TEXTS]
        assert cosines(together.vectors, backwards.vectors[::-1]).min() > ALIKE
        assert cosines(together.vectors, np.concatenate([one.vectors for one in alone])).min() > ALIKE
        np.testing.assert_allclose(together.coverage, backwards.coverage[::-1])
        if together.tokens is not None:
            for i, one in enumerate(alone):
                assert one.tokens is not None
                assert cosines(one.tokens[0].astype(np.float32), together.tokens[i].astype(np.float32)).min() > 0.99

    async def test_bulk_is_in_order(self, embedder: Embedder) -> None:
        texts = [f"{TEXTS[i % len(TEXTS)]} {'and more ' * (i % 9)} number {i}" for i in range(150)]
        together = (await embedder.embed(texts, "document")).vectors
        for i in (0, 1, 63, 64, 65, 127, 128, 149):
            alone = (await embedder.embed([texts[i]], "document")).vectors[0]
            assert together[i] @ alone > ALIKE
            assert np.argmax(together @ alone) == i

    async def test_the_same_call_gives_the_same_vectors(self, embedder: Embedder) -> None:
        first, second = [await embedder.embed(TEXTS, "query") for _ in range(2)]
        np.testing.assert_allclose(first.vectors, second.vectors, atol=1e-3)

    async def test_like_texts_are_nearer_than_unlike_ones(self, embedder: Embedder) -> None:
        query = (await embedder.embed(["copy a file and keep its timestamps"], "query")).vectors[0]
        documents = (await embedder.embed(TEXTS, "document")).vectors
        assert np.argmax(documents @ query) == 0

    async def test_an_instruct_changes_queries_only(self, embedder: Embedder) -> None:
        plain = await embedder.embed(TEXTS[:1], "query")
        asked = await embedder.embed(TEXTS[:1], "query", instruct="Find the function for the task")
        assert cosines(plain.vectors, asked.vectors)[0] < ALIKE
        np.testing.assert_allclose(np.linalg.norm(asked.vectors, axis=1), 1, atol=1e-5)
        document = await embedder.embed(TEXTS[:1], "document")
        instructed = await embedder.embed(TEXTS[:1], "document", instruct="Find the function for the task")
        np.testing.assert_allclose(document.vectors, instructed.vectors, atol=1e-3)

    @pytest.mark.parametrize("kind", ["query", "document"])
    async def test_no_texts_give_no_rows(self, embedder: Embedder, kind: EmbedKind) -> None:
        embeddings = await embedder.embed([], kind)
        assert embeddings.vectors.shape == (0, embedder.info.dimensions)
        assert embeddings.coverage.shape == (0,)
        assert embeddings.token_count == 0

    @pytest.mark.parametrize("kind", ["query", "document"])
    @pytest.mark.parametrize("text", ODDITIES.values(), ids=ODDITIES)
    async def test_any_text_can_be_embedded(self, embedder: Embedder, kind: EmbedKind, text: str) -> None:
        embeddings = await embedder.embed([TEXTS[0], text], kind)
        length = np.linalg.norm(embeddings.vectors[1])
        assert length == pytest.approx(1, abs=1e-5) if embeddings.coverage[1] else length == 0
        assert 0 <= embeddings.coverage[1] <= 1
        if embeddings.tokens is not None:
            assert np.isfinite(embeddings.tokens[1]).all()
            assert kind == "query" or len(embeddings.tokens[1]) <= embedder.info.max_tokens  # a query in windows

    async def test_tokens_read_are_counted_up_to_the_limit(self, embedder: Embedder) -> None:
        short = await embedder.embed(["one two three"], "document")
        assert short.token_count == 3
        assert (await embedder.embed(["one two three"] * 5, "document")).token_count == 15
        long = await embedder.embed(["word " * 5000], "document")
        assert long.token_count == embedder.info.max_tokens

    async def test_queries_at_the_same_time_get_their_own_answers(self, embedder: Embedder) -> None:
        texts = [f"{TEXTS[i % len(TEXTS)]} number {i}" for i in range(50)]
        bulk = asyncio.create_task(embedder.embed(TEXTS * 4, "document"))
        answers = await asyncio.gather(*(embedder.embed([text], "query") for text in texts))
        expected = (await embedder.embed(texts, "query")).vectors
        assert cosines(np.concatenate([answer.vectors for answer in answers]), expected).min() > ALIKE
        assert len((await bulk).vectors) == len(TEXTS) * 4

    async def test_a_caller_that_leaves_does_not_disturb_the_others(self, embedder: Embedder) -> None:
        calls = [asyncio.create_task(embedder.embed([text], "query")) for text in TEXTS]
        await asyncio.sleep(0)
        left = calls[0].cancel()  # False where it was answered at once
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError) == left
        assert not any(isinstance(answer, BaseException) for answer in answers[1:])

    @pytest.mark.parametrize("text", [*TEXTS, *ODDITIES.values()], ids=[*map(str, range(len(TEXTS))), *ODDITIES])
    def test_spans_are_ordered_and_inside_the_text(self, embedder: Embedder, text: str) -> None:
        end_of_last = 0
        for start, end in embedder.tokenizer.spans(text):
            assert end_of_last <= start < end <= len(text)
            end_of_last = end

    def test_spans_name_the_tokens(self, embedder: Embedder) -> None:
        text = "copy  the\nfile, twice"
        words = [text[start:end] for start, end in embedder.tokenizer.spans(text)]
        assert words == ["copy", "the", "file", ",", "twice"]
        assert embedder.tokenizer.name

    async def test_closing_twice_is_fine(self, closable: Embedder) -> None:
        await closable.embed(["x"], "query")
        await closable.close()
        await closable.close()
