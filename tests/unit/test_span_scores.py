"""The parts of a text that make it relevant: token vectors, sentences, and what is chosen of them."""

from __future__ import annotations

import numpy as np
import pytest

from winnow.core.marks import Span
from winnow.models.bundled.reranker import LateInteractionReranker
from winnow.models.bundled.span_scores import span_maxsim, spans_by_piece, vector_starts
from winnow.operations.relevant_spans import sentences_of
from winnow.ports import EmbeddedQuery, Embedder, ScoresSpans
from winnow.ports.checks import passages_of
from winnow.testing.models import FakeEmbedder
from winnow.testing.vectors import FakeVectorStore

TEXT = "The weather was fine. Copy a file with copy2. Then we had lunch in the garden."


def test_a_vector_begins_with_the_first_of_its_tokens() -> None:
    tokens = [(0, 3), (4, 5), (6, 9), (10, 12), (13, 14)]
    assert vector_starts(tokens, 5) == [0, 4, 6, 10, 13]
    assert vector_starts(tokens, 3) == [0, 6, 13]
    assert vector_starts([], 3) == vector_starts(tokens, 0) == []


def test_a_span_has_the_best_of_its_own_vectors_alone() -> None:
    query, text = np.eye(2, dtype=np.float16), np.array([[1, 0], [0, 1], [0.5, 0]], np.float16)
    spans = [Span(0, 4), Span(4, 8), Span(8, 9), Span(20, 30)]
    assert span_maxsim(query, text, [0, 5, 8], spans) == pytest.approx([0.5, 0.5, 0.25, 0])
    assert span_maxsim(query, text[:0], [], spans).tolist() == [0] * 4


def test_spans_are_divided_among_the_pieces_that_a_text_is_read_in() -> None:
    assert spans_by_piece([Span(0, 3), Span(4, 9)], ["abcdef", "ghij"]) == [
        {0: Span(0, 3), 1: Span(4, 6)},
        {1: Span(0, 3)},
    ]


def test_sentences_have_no_space_around_them() -> None:
    found = [TEXT[start:end] for start, end in sentences_of(f"  {TEXT}\n\n# Next\n")]
    assert len(sentences_of(TEXT)) == 3
    assert len(found) == 4
    assert sentences_of("  \n ") == []
    assert [len(part) for part in map(sentences_of, ["One. two.", "Dr. Who came. He left.", "你好。再见。"])] == [
        1,
        2,
        2,
    ]


@pytest.mark.parametrize("embedder", [FakeEmbedder(), FakeEmbedder(unknown="copy|file")])
async def test_the_sentence_that_answers_scores_best(embedder: Embedder) -> None:
    reranker = LateInteractionReranker([embedder], FakeVectorStore())
    assert isinstance(reranker, ScoresSpans)
    query = EmbeddedQuery("copy a file")
    spans = sentences_of(TEXT)
    (scores,) = await reranker.score_spans(query, [TEXT], [spans])
    assert scores.argmax() == 1
    assert ((scores >= 0) & (scores <= 1)).all()
    (whole,) = await reranker.score_spans(query, [TEXT], [[Span(0, len(TEXT))]])
    assert whole[0] == pytest.approx((await reranker.rerank(query, passages_of([TEXT]))).scores[0], abs=1e-3)
    assert [len(each) for each in await reranker.score_spans(query, ["", TEXT], [[], spans])] == [0, 3]


async def test_a_sentence_beyond_what_the_embedder_reads_at_once_is_scored() -> None:
    long = "Nothing of note happened. " * 120 + "Copy a file with copy2."
    reranker = LateInteractionReranker([FakeEmbedder()], FakeVectorStore())
    spans = sentences_of(long)
    (scores,) = await reranker.score_spans(EmbeddedQuery("copy a file"), [long], [spans])
    assert long[slice(*spans[int(scores.argmax())])] == "Copy a file with copy2."
