"""The bundled reranker: what it weighs, what it does without vectors, and with texts that are not stored."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.core.errors import InvalidSettings
from winnow.core.types import Chunk
from winnow.models.bundled.offered import OFFERED
from winnow.models.bundled.reranker import (
    MULTILINGUAL,
    REDUCED,
    WHOLE,
    Evidence,
    LateInteractionReranker,
    Scale,
    relevance,
    scale_of,
)
from winnow.models.bundled.standing import BY_WORDS, ENGLISH, Standing
from winnow.models.bundled.standing import MULTILINGUAL as STANDS_OUT
from winnow.ports import EmbeddedQuery, EmbedderInfo, Embeddings, IndexSchema, Passage, Point, PointScores, Reranker
from winnow.testing.contracts.reranker import INDEX, Place, RerankerContract, make_passage
from winnow.testing.models import FakeEmbedder
from winnow.testing.vectors import FakeVectorStore


class CountingEmbedder(FakeEmbedder):
    """Remembers what it was asked to embed."""

    def __init__(self, unknown: str = r"(?!)") -> None:
        super().__init__(unknown=unknown)
        self.documents: list[str] = []
        self.queries: list[str] = []

    async def embed(self, texts: Sequence[str], kind: str, *, instruct: str | None = None) -> Embeddings:
        (self.documents if kind == "document" else self.queries).extend(texts)
        return await super().embed(texts, kind, instruct=instruct)  # type: ignore[arg-type]


class ScriptedStore(FakeVectorStore):
    """Answers ``score`` from a table."""

    def __init__(self, table: Mapping[str, PointScores]) -> None:
        super().__init__()
        self.table = table
        self.asked: list[dict[str, object]] = []

    async def score(self, index: object, point_ids: Sequence[str], **asked: object) -> Mapping[str, PointScores]:
        self.asked.append(asked)
        return {each: self.table.get(each, PointScores()) for each in point_ids}


def passage(point_id: str, text: str = "some text") -> Passage:
    return Passage(Chunk(0, 0, len(text), text), point_id=point_id)


def raw(*texts: str) -> list[Passage]:
    return [passage("", text) for text in texts]


async def scores_of(table: Mapping[str, PointScores], unknown: str = r"(?!)", text: str = "some text") -> list[float]:
    reranker = LateInteractionReranker([CountingEmbedder(unknown)], ScriptedStore(table))
    query = EmbeddedQuery("four words of query", index=INDEX)
    return (await reranker.rerank(query, [passage(each, text) for each in table])).scores.tolist()


class TestStored(RerankerContract):
    """The contract, with the texts in the store."""

    @pytest.fixture
    def store(self) -> FakeVectorStore:
        return FakeVectorStore()

    @pytest.fixture
    def reranker(self, store: FakeVectorStore) -> Reranker:
        return LateInteractionReranker([FakeEmbedder()], store)

    @pytest.fixture
    def place(self, store: FakeVectorStore) -> Place:
        async def make(texts: Sequence[str]) -> list[Passage]:
            embedder = FakeEmbedder()
            embedded = await embedder.embed(texts, "document")
            passages = [make_passage(number, text) for number, text in enumerate(texts)]
            await store.create(INDEX, IndexSchema(embedder.info.dimensions, embedder.info.dimensions))
            points = [_point(item, embedded, i) for i, item in enumerate(passages) if _is_utf8(item.chunk.text)]
            await store.upsert(INDEX, points)
            return passages

        return make


class TestRaw(RerankerContract):
    """The contract, with texts that nobody stored."""

    @pytest.fixture
    def reranker(self) -> Reranker:
        return LateInteractionReranker([FakeEmbedder()], FakeVectorStore())

    @pytest.fixture
    def place(self) -> Place:
        async def make(texts: Sequence[str]) -> list[Passage]:
            return raw(*texts)

        return make


def _is_utf8(text: str) -> bool:
    """Whether a store takes the text: a lone surrogate is refused there, so its passage is one that is not stored."""
    return text == text.encode("utf-8", "replace").decode("utf-8")


def _point(item: Passage, embedded: Embeddings, row: int) -> Point:
    assert embedded.tokens is not None
    known = bool(embedded.coverage[row])
    return Point(
        item.point_id,
        item.point_id,
        1,
        item.chunk,
        dense=embedded.vectors[row] if known else None,
        tokens=embedded.tokens[row] if known else None,
    )


# --- the formula ---------------------------------------------------------------------------------

UNIT = st.floats(-1, 1)
KEYWORDS = st.floats(0, 50)
SHARE = st.floats(0, 1)


SCALES = pytest.mark.parametrize("scale", [WHOLE, REDUCED], ids=["whole", "reduced"])


def of(
    maxsim: float, cosine: float, keywords: float, trust: float, share: float = 0.0, *, scale: Scale = WHOLE
) -> float:
    evidence = Evidence(*(np.array([part]) for part in (maxsim, cosine, keywords, trust, share)))
    return float(relevance(evidence, scale)[0])


@SCALES
@given(evidence=st.tuples(UNIT, UNIT, KEYWORDS, SHARE), trust=st.floats(0, 1), more=st.floats(0, 1))
def test_relevance_is_in_the_unit_interval_and_grows_with_each_part(
    scale: Scale, evidence: tuple[float, float, float, float], trust: float, more: float
) -> None:
    def score_of(maxsim: float, cosine: float, keywords: float, share: float) -> float:
        return of(maxsim, cosine, keywords, trust, share, scale=scale)

    score = score_of(*evidence)
    assert 0 <= score <= 1
    for part in range(4):
        grown = [value + more * (i == part) for i, value in enumerate(evidence)]
        assert score_of(*grown) >= score


@SCALES
def test_a_typical_answer_is_above_one_half_and_a_stray_passage_far_below(scale: Scale) -> None:
    assert of(maxsim=0.60, cosine=0.60, keywords=1.0, trust=1.0, scale=scale) > 0.9
    assert of(maxsim=0.35, cosine=0.25, keywords=0.3, trust=1.0, scale=scale) < 0.1


@SCALES
def test_by_words_alone_the_middle_is_at_half_of_them(scale: Scale) -> None:
    assert of(0.0, 0.0, keywords=9.0, trust=0.0, share=0.5, scale=scale) == 0.5
    assert of(0.0, 0.0, keywords=9.0, trust=0.0, share=1.0, scale=scale) > 0.9
    assert of(0.0, 0.0, keywords=9.0, trust=0.0, share=0.0, scale=scale) < 1e-6


def test_fewer_dimensions_than_the_text_vectors_have_make_the_reduced_scale() -> None:
    info = FakeEmbedder().info
    assert scale_of(info) is WHOLE
    assert scale_of(replace(info, token_dimensions=info.dimensions - 1)) is REDUCED
    assert scale_of(OFFERED["multilingual"].info) is MULTILINGUAL
    assert scale_of(OFFERED["english"].info) is REDUCED


# --- what the others have anyway --------------------------------------------------------------------

STANDINGS = pytest.mark.parametrize("standing", [BY_WORDS, ENGLISH, STANDS_OUT], ids=["words", "english", "e5"])
LOGITS = st.lists(st.floats(-20, 20), min_size=1, max_size=60)


@STANDINGS
@given(logits=LOGITS)
def test_the_background_changes_no_order(standing: Standing, logits: list[float]) -> None:
    before = np.array(logits)
    after = standing.of(before)
    order = np.argsort(before, kind="stable")
    assert (np.diff(after[order]) >= 0).all()
    assert len(set(after.tolist())) <= len(set(logits))


@STANDINGS
def test_an_answer_among_strangers_stands_out_and_one_among_its_like_does_not(standing: Standing) -> None:
    first = 3.0
    strangers, like = (standing.of(np.array([first, *[rest] * 49]))[0] for rest in (first - 9, first - 0.5))
    assert strangers > 0 > like


@STANDINGS
def test_up_to_ten_answers_are_not_held_against_each_other(standing: Standing) -> None:
    scores = standing.of(np.array([3.0] * 10 + [-8.0] * 40))
    assert (scores[:10] > 0).all()


@STANDINGS
def test_where_few_are_found_a_logit_alone_decides(standing: Standing) -> None:
    few = np.array([1.0, -4.0, 2.5] * 3)
    np.testing.assert_array_equal(standing.of(few), few)


async def test_a_search_of_many_candidates_holds_them_against_each_other() -> None:
    """What all candidates have counts less than what one has of all."""
    embedder = CountingEmbedder()
    reduced = replace(embedder.info, token_dimensions=embedder.info.dimensions - 1)

    class Reduced(CountingEmbedder):
        info = reduced  # type: ignore[assignment]

    async def best(others: float) -> float:
        table = {"best": PointScores(0.55, 8.0, 2.4)} | {
            f"p{number}": PointScores(others, 4.0, 4 * others) for number in range(40)
        }
        reranker = LateInteractionReranker([Reduced()], ScriptedStore(table))
        found = await reranker.rerank(EmbeddedQuery("four words of query", index=INDEX), [*map(passage, table)])
        return float(found.scores[0])

    assert await best(0.1) > await best(0.5)


# --- stored chunks -------------------------------------------------------------------------------


async def test_each_kind_of_evidence_moves_the_score() -> None:
    base, maxsim, cosine, words = await scores_of(
        {
            "base": PointScores(0.4, 5.0, 1.6),
            "maxsim": PointScores(0.4, 5.0, 2.0),
            "cosine": PointScores(0.6, 5.0, 1.6),
            "words": PointScores(0.4, 9.0, 1.6),
        }
    )
    assert base < min(maxsim, cosine, words)


async def test_a_score_does_not_depend_on_the_other_candidates() -> None:
    table = {"a": PointScores(0.5, 8.0, 2.2), "b": PointScores(0.1, None, 0.9), "c": PointScores(0.7, 20.0, 2.9)}
    together = dict(zip(table, await scores_of(table), strict=True))
    for names in itertools.permutations(table, 2):
        assert await scores_of({name: table[name] for name in names}) == [together[name] for name in names]


async def test_equal_candidates_get_equal_scores() -> None:
    same = PointScores(0.5, 3.0, 2.0)
    assert len(set(await scores_of({"a": same, "b": same, "c": same}))) == 1


async def test_where_the_embedder_is_blind_the_keyword_order_stands() -> None:
    table = {f"p{number}": PointScores(0.9 - number, 0.3 + number, 3.9 - number) for number in range(3)}
    scores = await scores_of({**table, "none": PointScores(0.9, None, 3.9)}, unknown=r".", text="words of a query")
    assert scores[3] < scores[0] < scores[1] < scores[2]


@pytest.mark.parametrize(("unknown", "said"), [(r"(?!)", None), (r"query", "weight of 50%"), (r".", "words alone")])
async def test_the_answer_says_what_its_scores_are_made_of(unknown: str, said: str | None) -> None:
    reranker = LateInteractionReranker([CountingEmbedder(unknown)], ScriptedStore({"a": PointScores(0.9, 1.0, 3.6)}))
    found = await reranker.rerank(EmbeddedQuery("four words of query", index=INDEX), [passage("a")])
    assert found.reason is None if said is None else said in (found.reason or "")


async def test_words_alone_score_the_same_whatever_the_size_of_the_collection() -> None:
    text = "four words of another query"
    small, large = [
        await scores_of({"a": PointScores(sparse=2.0 * size), "b": PointScores(sparse=size)}, unknown=r".", text=text)
        for size in (0.3, 4.0)
    ]
    assert small == pytest.approx(large)


async def test_a_blind_embedder_asks_the_store_for_words_alone() -> None:
    store = ScriptedStore({"a": PointScores(sparse=3.0)})
    await LateInteractionReranker([CountingEmbedder(r".")], store).rerank(
        EmbeddedQuery("数据库", index=INDEX), [passage("a")]
    )
    assert store.asked == [{"dense": None, "text": "数据库", "tokens": None}]


async def test_a_chunk_without_vectors_is_judged_by_its_words() -> None:
    strong, weak, absent = await scores_of(
        {
            "strong": PointScores(None, 30.0, None),
            "weak": PointScores(None, 4.0, None),
            "stray": PointScores(0.1, None, 1.0),
        },
        text="a query of four words",
    )
    assert strong > 0.9
    assert weak < 0.1
    assert absent < 0.1


async def test_the_more_of_the_query_is_known_the_more_its_meaning_counts() -> None:
    table = {"meaning": PointScores(0.9, 1.0, 3.6)}
    shares = [(await scores_of(table, unknown=pattern))[0] for pattern in (r".", r"query", r"(?!)")]
    assert shares == sorted(shares)
    assert shares[0] < 0.1
    assert shares[2] > 0.9


async def test_one_round_trip_serves_all_stored_passages() -> None:
    store = ScriptedStore({name: PointScores(0.5, 1.0, 2.0) for name in "abc"})
    embedder = CountingEmbedder()
    await LateInteractionReranker([embedder], store).rerank(
        EmbeddedQuery("a query", index=INDEX), [passage(name) for name in "abc"]
    )
    assert len(store.asked) == 1
    assert embedder.documents == []


async def test_the_vectors_of_the_first_stage_are_used_unless_the_instruct_is_another() -> None:
    embedder = CountingEmbedder()
    embedded = await embedder.embed(["four words of query"], "query", instruct="Find")
    query = EmbeddedQuery("four words of query", embedded, "Find", embedder, INDEX)
    embedder.queries.clear()
    reranker = LateInteractionReranker([FakeEmbedder()], ScriptedStore({"a": PointScores(0.5, 1.0, 2.0)}))
    first = await reranker.rerank(query, [passage("a")], instruct="Find")
    assert (first.tokens, embedder.queries) == (0, [])
    again = await reranker.rerank(query, [passage("a")], instruct="Judge")
    assert (again.tokens, embedder.queries) == (4, ["four words of query"])


async def test_texts_that_are_gone_are_embedded_by_the_embedder_of_the_index() -> None:
    ours, searched = CountingEmbedder(), CountingEmbedder()
    query = EmbeddedQuery("copy a file", embedder=searched, index=INDEX)
    await LateInteractionReranker([ours, searched], ScriptedStore({})).rerank(query, [passage("gone", "copy it")])
    assert (ours.documents, searched.documents) == ([], ["copy it"])


# --- texts that are not stored -------------------------------------------------------------------


async def test_raw_texts_need_no_index_in_the_store() -> None:
    reranker = LateInteractionReranker([FakeEmbedder()], FakeVectorStore())
    answer = await reranker.rerank(
        EmbeddedQuery("copy a file", index=INDEX), raw("parse a date", "copy a file to a folder")
    )
    assert answer.scores[1] > answer.scores[0]
    assert answer.tokens == 3 + 3 + 6


async def test_a_point_that_is_gone_is_embedded_again() -> None:
    embedder = CountingEmbedder()
    reranker = LateInteractionReranker([embedder], ScriptedStore({"here": PointScores(0.1, 0.5, 0.5)}))
    passages = [passage("here", "parse a date"), passage("gone", "copy a file")]
    scores = (await reranker.rerank(EmbeddedQuery("copy a file", index=INDEX), passages)).scores
    assert embedder.documents == ["copy a file"]
    assert scores[1] > scores[0]


async def test_a_long_text_is_scored_by_its_best_piece() -> None:
    embedder = CountingEmbedder()
    reranker = LateInteractionReranker([embedder], FakeVectorStore())
    filler = "nothing of note happens here " * 200
    buried, lost = (
        await reranker.rerank(EmbeddedQuery("copy a file", index=INDEX), raw(f"{filler} copy a file", filler))
    ).scores
    assert buried > lost
    assert all(len(embedder.tokenizer.spans(text)) <= embedder.info.max_tokens for text in embedder.documents)
    assert "".join(embedder.documents) == f"{filler} copy a file{filler}"


async def test_raw_texts_that_the_embedder_cannot_read_are_judged_by_shared_words() -> None:
    embedder = CountingEmbedder(unknown=r"[^\x00-\x7f]")
    reranker = LateInteractionReranker([embedder], FakeVectorStore())
    texts = raw("今天天气很好", "数据库的连接方法如下", "如何连接数据库服务器")
    scores = (await reranker.rerank(EmbeddedQuery("如何连接数据库", index=INDEX), texts)).scores
    assert scores[0] < scores[1] < scores[2]
    assert embedder.documents == []


async def test_a_passage_in_a_foreign_script_is_judged_by_shared_words() -> None:
    reranker = LateInteractionReranker([CountingEmbedder(unknown=r"[^\x00-\x7f]")], FakeVectorStore())
    texts = raw("安装 Docker 的方法 如下", "安装 方法 如下")
    with_name, without = (await reranker.rerank(EmbeddedQuery("open Docker", index=INDEX), texts)).scores
    assert with_name > 0.1
    assert without < 1e-6


async def test_the_title_belongs_to_the_passage() -> None:
    titled = [item._replace(title="Copying files") for item in raw("It keeps timestamps")]
    reranker = LateInteractionReranker([FakeEmbedder()], FakeVectorStore())
    plain = (await reranker.rerank(EmbeddedQuery("copying files", index=INDEX), raw("It keeps timestamps"))).scores
    assert (await reranker.rerank(EmbeddedQuery("copying files", index=INDEX), titled)).scores > plain


def test_an_embedder_without_token_vectors_is_refused() -> None:
    class Plain(FakeEmbedder):
        @property
        def info(self) -> EmbedderInfo:
            return replace(super().info, token_dimensions=0)

    with pytest.raises(InvalidSettings, match="WINNOW_RERANK__PROVIDER"):
        LateInteractionReranker([Plain()], FakeVectorStore())


def test_it_names_itself_after_the_model() -> None:
    info = LateInteractionReranker([FakeEmbedder()], FakeVectorStore()).info
    assert (info.provider, info.model) == ("bundled", "late-interaction/fake-words")


async def test_scores_name_the_model_of_the_index() -> None:
    class Other(FakeEmbedder):
        @property
        def info(self) -> EmbedderInfo:
            return replace(super().info, model="other")

    query = EmbeddedQuery("copy a file", embedder=Other(), index=INDEX)
    found = await LateInteractionReranker([FakeEmbedder()], ScriptedStore({})).rerank(query, [passage("a", "copy it")])
    assert found.model == "late-interaction/other"
