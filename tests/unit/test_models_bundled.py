"""The bundled embedder beyond the contract."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from winnow.core.errors import UpstreamUnavailable
from winnow.core.settings.embedding import BundledEmbedding
from winnow.models.bundled.embedder import BundledEmbedder
from winnow.models.bundled.encoder import BertEncoder, Encoded, Precision, has_bfloat16
from winnow.models.bundled.query_graphs import OFTEN
from winnow.ports import EmbedKind

TEXTS = [
    "How do I copy a file and keep its timestamps?",
    "Copy the file src to the file or directory dst, preserving metadata as well as the platform allows.",
    "A thread shares the memory of its process.",
    "Return True if path is an existing directory. This follows symbolic links. " * 8,
    "json",
]


@pytest.fixture(scope="module")
def embedder() -> Iterator[BundledEmbedder]:
    embedder = BundledEmbedder(BundledEmbedding(precision="float32", threads=1))
    yield embedder
    asyncio.run(embedder.close())


@pytest.mark.parametrize("precision", ["auto", "int8", "bfloat16"])
async def test_reduced_precision_is_as_good_as_float32(precision: Precision) -> None:
    if precision == "bfloat16" and not has_bfloat16():
        pytest.skip("this CPU has no bfloat16 arithmetic (AMX or AVX512-BF16)")
    reduced, full = [BundledEmbedder(BundledEmbedding(precision=one, threads=1)) for one in (precision, "float32")]
    ours, reference = [(await one.embed(TEXTS, "document")).vectors for one in (reduced, full)]
    assert np.einsum("ij,ij->i", ours, reference).min() >= 0.996
    await reduced.close()
    await full.close()


async def test_joining_queries_does_not_change_their_vectors(embedder: BundledEmbedder) -> None:
    alone = [await embedder.embed([text], "query") for text in TEXTS]
    joined = await asyncio.gather(*(embedder.embed([text], "query") for text in TEXTS))
    for one, other in zip(alone, joined, strict=True):
        assert float(one.vectors[0] @ other.vectors[0]) == pytest.approx(1, abs=1e-4)


async def test_a_documents_token_vectors_are_merged_two_by_two(embedder: BundledEmbedder) -> None:
    text = "one two three"
    query, document = [(await embedder.earlier.embed([text], kind)).tokens for kind in ("query", "document")]
    assert query is not None
    assert document is not None
    assert [len(query[0]), len(document[0])] == [3, 2]
    single = query[0].astype(np.float32)
    pair = single[0] + single[1]
    assert float(pair / np.linalg.norm(pair) @ document[0][0].astype(np.float32)) > 0.999
    assert float(single[2] @ document[0][1].astype(np.float32)) > 0.999


@pytest.mark.parametrize("kind", ["query", "document"])
async def test_token_vectors_are_reduced_unless_they_are_of_the_earlier_kind(
    embedder: BundledEmbedder, kind: EmbedKind
) -> None:
    """Both kinds have the same text vectors, and about the same inner products."""
    ours, earlier = [await one.embed(TEXTS, kind) for one in (embedder, embedder.earlier)]
    assert (embedder.info.token_dimensions, embedder.earlier.info.token_dimensions) == (94, 384)
    np.testing.assert_allclose(ours.vectors, earlier.vectors, atol=2e-3)
    for reduced, whole in zip(ours.tokens or (), earlier.tokens or (), strict=True):
        assert (reduced.shape, whole.shape) == ((len(whole), 94), (len(reduced), 384))
        assert np.linalg.norm(reduced.astype(np.float32), axis=1) == pytest.approx(1, abs=1e-2)
        small, full = (each.astype(np.float32) @ each.astype(np.float32).T for each in (reduced, whole))
        assert np.abs(small - full).mean() < 0.1


async def test_an_instruct_has_no_token_vectors(embedder: BundledEmbedder) -> None:
    embedded = await embedder.embed(["copy files"], "query", instruct="Find the function for the task")
    assert embedded.tokens is not None
    assert embedded.tokens[0].shape == (2, 94)


async def test_a_querys_function_words_and_punctuation_have_no_token_vectors(embedder: BundledEmbedder) -> None:
    embedded = await embedder.embed(["How do I copy a file?", "is it?", "files not copied"], "query")
    assert embedded.tokens is not None
    assert [len(tokens) for tokens in embedded.tokens] == [
        2,
        3,
        3,
    ]  # copy, file; all, for want of others; "not" says much


async def test_text_that_the_model_cannot_read_has_no_vector(embedder: BundledEmbedder) -> None:
    embedded = await embedder.embed(["数据库如何连接到服务器", "copy a file"], "document")
    assert embedded.coverage.tolist() == [0, 1]
    assert not embedded.vectors[0].any()
    assert embedded.vectors[1].any()
    assert [len(tokens) for tokens in embedded.tokens or ()] == [0, 2]


async def test_a_document_that_the_model_cannot_read_costs_no_forward_pass(
    embedder: BundledEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    encode = BertEncoder.__call__

    def watch(self: BertEncoder, sequences: Sequence[Sequence[int]]) -> Encoded:
        read.append(len(sequences))
        return encode(self, sequences)

    monkeypatch.setattr(BertEncoder, "__call__", watch)
    texts = ["数据库如何连接到服务器", "copy a file", "Как подключиться к базе данных?", "", "close a file"]
    embedded = await embedder.embed(texts, "document")
    assert sum(read) == 2
    assert [bool(vector.any()) for vector in embedded.vectors] == [False, True, False, False, True]
    assert embedded.vectors[1] @ (await embedder.embed([texts[1]], "document")).vectors[0] == pytest.approx(1, abs=1e-3)


async def test_no_forward_pass_takes_more_than_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    encode = BertEncoder.__call__

    def watch(self: BertEncoder, sequences: Sequence[Sequence[int]]) -> Encoded:
        sizes.append(len(sequences) * max(map(len, sequences)))
        return encode(self, sequences)

    monkeypatch.setattr(BertEncoder, "__call__", watch)
    monkeypatch.setattr("winnow.models.bundled.embedder.BATCH_TOKENS", 256)
    embedder = BundledEmbedder(BundledEmbedding(threads=1))
    sizes.clear()
    await embedder.embed(TEXTS * 12, "document")
    await embedder.close()
    assert max(sizes) <= 256
    assert len(sizes) < len(TEXTS * 12), "short texts share a pass"


async def test_documents_come_back_in_their_order(embedder: BundledEmbedder) -> None:
    together = (await embedder.embed(TEXTS, "document")).vectors
    alone = np.concatenate([(await embedder.embed([text], "document")).vectors for text in TEXTS])
    assert np.einsum("ij,ij->i", together, alone) == pytest.approx(1, abs=5e-3)


async def test_a_shape_gets_a_graph_when_it_comes_often_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that starts and answers one search has compiled no graph beyond the two that take any shape."""
    prepared: queue.Queue[tuple[int, int]] = queue.Queue()
    monkeypatch.setattr(BertEncoder, "prepare", lambda _, texts, length: prepared.put((texts, length)))
    embedder = BundledEmbedder(BundledEmbedding(threads=1))
    await embedder.embed(TEXTS, "document")
    for number in range(OFTEN - 1):
        await embedder.embed([f"question {number}"], "query")
    assert prepared.empty()
    for number in range(OFTEN):
        await embedder.embed([f"again {number}"], "query")
        await embedder.embed(["a long question " * 17], "query")
    assert await asyncio.to_thread(prepared.get, timeout=60) == (1, 8)
    await embedder.close()
    assert prepared.empty(), "longer ones come too rarely to keep a graph for each length"


async def test_a_shape_that_cannot_be_prepared_is_logged_and_hinders_no_query(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = threading.Event()

    def prepare(_: BertEncoder, _texts: int, _length: int) -> None:
        tried.set()
        raise RuntimeError("no memory")

    monkeypatch.setattr(BertEncoder, "prepare", prepare)
    embedder = BundledEmbedder(BundledEmbedding(threads=1))
    for number in range(OFTEN):
        await embedder.embed([f"question {number}"], "query")
    assert await asyncio.to_thread(tried.wait, 60)
    assert len((await embedder.embed(TEXTS * 4, "query")).vectors) == len(TEXTS) * 4
    await embedder.close()
    assert "tokens will take longer" in caplog.text


async def test_a_long_query_is_read_like_a_short_one(embedder: BundledEmbedder) -> None:
    short = await embedder.embed(["copy a file"], "query")
    long = await embedder.embed(["copy a file" + " " * 5000], "query")
    np.testing.assert_allclose(short.vectors, long.vectors, atol=1e-3)


async def test_a_closed_embedder_says_so() -> None:
    embedder = BundledEmbedder(BundledEmbedding(threads=1))
    await embedder.close()
    for kind in ("query", "document"):
        with pytest.raises(UpstreamUnavailable, match="closed"):
            await embedder.embed(["copy a file"], kind)


async def test_a_query_does_not_wait_for_a_long_batch(embedder: BundledEmbedder) -> None:
    done: list[str] = []

    async def bulk() -> None:
        await embedder.embed(["thread " * 250] * 24, "document")
        done.append("bulk")

    async def query() -> None:
        await embedder.embed(["copy a file"], "query")
        done.append("query")

    working = asyncio.create_task(bulk())
    await asyncio.sleep(0)
    await query()
    await working
    assert done == ["query", "bulk"]
