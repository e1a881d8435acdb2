"""The fakes: deterministic, and good enough to test ranking with."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from winnow.testing.models import FakeEmbedder


async def test_vectors_are_the_same_in_every_process() -> None:
    program = (
        "import asyncio; from winnow.testing.models import FakeEmbedder\n"
        "print(asyncio.run(FakeEmbedder(8).embed(['copy a file'], 'query')).vectors[0].tolist())"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert str((await FakeEmbedder(8).embed(["copy a file"], "query")).vectors[0].tolist()) == other.strip()


async def test_the_more_words_are_shared_the_nearer() -> None:
    texts = ["copy a file", "Copy one file", "copy nothing", "open the door"]
    vectors = (await FakeEmbedder().embed(texts, "document")).vectors
    similarities = vectors @ vectors[0]
    assert list(np.argsort(-similarities)) == [0, 1, 2, 3]
    assert similarities[0] == pytest.approx(1)


async def test_words_can_be_unknown() -> None:
    embedded = await FakeEmbedder(unknown=r"[^a-z]").embed(["copy 文件", "文件 数据", "", "copy"], "document")
    assert embedded.coverage.tolist() == [0.5, 0, 0, 1]
    assert [bool(vector.any()) for vector in embedded.vectors] == [True, False, False, True]
