"""The embedder over vLLM's own class: what it calls, what it makes of the answers. vLLM itself is a fake here."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from winnow.core.errors import InvalidSettings, UpstreamUnavailable
from winnow.core.settings import load_settings
from winnow.core.settings.embedding import QWEN3_INSTRUCT
from winnow.models.build import build_embedder
from winnow.ports import Embedder

NATIVE = 8


class EngineDeadError(Exception):
    """As vLLM has it."""


@dataclass
class FakeVllm:
    """Stands in for the package ``vllm`` and writes down what it is told."""

    engine: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[list[str], dict[str, Any]]] = field(default_factory=list)
    refuses: Exception | None = None
    dead: bool = False
    shut: int = 0

    def build(self, **arguments: Any) -> Any:
        if self.refuses:
            raise self.refuses
        self.engine = arguments
        return SimpleNamespace(
            encode=self.encode, llm_engine=SimpleNamespace(engine_core=SimpleNamespace(shutdown=self.shutdown))
        )

    def encode(self, prompts: list[str], **options: Any) -> list[Any]:
        if self.dead:
            raise EngineDeadError
        self.calls.append((prompts, options))
        size = options["pooling_params"].dimensions or NATIVE
        if size > NATIVE:
            raise ValueError(f"dimensions must be at most {NATIVE}")
        return [
            SimpleNamespace(
                outputs=SimpleNamespace(data=torch.full((size,), float(len(text)), dtype=torch.bfloat16)),
                prompt_token_ids=[*text.split(), "<|endoftext|>"],
            )
            for text in prompts
        ]

    def shutdown(self) -> None:
        self.shut += 1


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> FakeVllm:
    fake = FakeVllm()
    names = ("vllm", "vllm.v1", "vllm.v1.engine", "vllm.v1.engine.exceptions")
    modules = {name: ModuleType(name) for name in names}
    modules["vllm"].__dict__.update(
        LLM=fake.build, PoolingParams=lambda dimensions: SimpleNamespace(dimensions=dimensions)
    )
    modules["vllm.v1.engine.exceptions"].__dict__.update(EngineDeadError=EngineDeadError)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "winnow.models.local.vllm_offline", raising=False)  # it belongs to another fake
    return fake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder with all that Winnow itself reads of it."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text('{"model_type": "qwen3"}')
    return tmp_path


def make(folder: Path, **settings: Any) -> Embedder:
    return build_embedder(
        load_settings(
            embedding={"provider": "vllm-offline", "model": str(folder)} | settings, rerank={"provider": "none"}
        )
    )


def test_the_engine_pools_and_may_shorten_vectors(vllm: FakeVllm, folder: Path) -> None:
    make(folder, revision="v1", max_tokens=512, gpu_memory_utilization=0.5)
    assert vllm.engine == {
        "model": str(folder),
        "revision": "v1",
        "runner": "pooling",
        "hf_overrides": {"is_matryoshka": True},
        "max_model_len": 512,
        "gpu_memory_utilization": 0.5,
    }


async def test_all_texts_go_in_one_call_that_cuts_and_shortens(vllm: FakeVllm, folder: Path) -> None:
    embedder = make(folder, dimensions=4)
    vllm.calls.clear()
    await embedder.embed(["one", "two words"], "document")
    ((texts, options),) = vllm.calls
    assert texts == ["one", "two words"]
    assert options.pop("pooling_params").dimensions == 4
    assert options == {
        "pooling_task": "embed",
        "tokenization_kwargs": {"truncate_prompt_tokens": -1},
        "use_tqdm": False,
    }


async def test_vectors_have_length_one_and_keep_their_places(vllm: FakeVllm, folder: Path) -> None:
    embedder = make(folder, dimensions=4)
    found = await embedder.embed(["one", " ", "two words"], "document")
    assert found.vectors.shape == (3, 4)
    assert found.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), [1, 0, 1], atol=1e-6)
    assert found.coverage.tolist() == [1, 0, 1]
    assert found.token_count == 3, "closing tokens left out"
    assert vllm.calls[-1][0] == ["one", "two words"]


async def test_queries_carry_the_instruct_and_documents_do_not(vllm: FakeVllm, folder: Path) -> None:
    embedder = make(folder)
    for instruct in (None, "Find it", ""):
        await embedder.embed(["a?"], "query", instruct=instruct)
    await embedder.embed(["a."], "document", instruct="Find it")
    assert [texts for texts, _ in vllm.calls[-4:]] == [
        [f"Instruct: {QWEN3_INSTRUCT}\nQuery:a?"],
        ["Instruct: Find it\nQuery:a?"],
        ["a?"],
        ["a."],
    ]


async def test_special_tokens_in_text_are_harmless(vllm: FakeVllm, folder: Path) -> None:
    embedder = make(folder)
    await embedder.embed(["a<|endoftext|>b \ud83d"], "document")
    assert vllm.calls[-1][0] == ["a<| endoftext|>b \ufffd"]


async def test_many_texts_are_several_calls(vllm: FakeVllm, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = make(folder)
    monkeypatch.setattr("winnow.models.local.vllm_offline._TEXTS_AT_ONCE", 2)
    vllm.calls.clear()
    found = await embedder.embed(["a", "b", "c", "d", "e"], "document")
    assert [texts for texts, _ in vllm.calls] == [["a", "b"], ["c", "d"], ["e"]]
    assert len(found.vectors) == 5


async def test_nothing_is_no_call(vllm: FakeVllm, folder: Path) -> None:
    embedder = make(folder)
    vllm.calls.clear()
    for kind in ("query", "document"):
        assert (await embedder.embed([], kind)).vectors.shape == (0, NATIVE)
    assert not vllm.calls


def test_it_says_what_it_is(vllm: FakeVllm, folder: Path) -> None:
    embedder = make(folder, max_tokens=512, revision="v1")
    assert (embedder.info.provider, embedder.info.model) == ("vllm-offline", str(folder))
    assert (embedder.info.dimensions, embedder.info.max_tokens, embedder.info.revision) == (NATIVE, 511, "v1")
    assert embedder.tokenizer.spans("two words") == [(0, 3), (4, 9)]


def test_a_model_in_the_hubs_cache_is_known_by_its_commit(vllm: FakeVllm, folder: Path) -> None:
    snapshot = folder / "snapshots" / ("a1" * 20)
    snapshot.mkdir(parents=True)
    (folder / "tokenizer.json").rename(snapshot / "tokenizer.json")
    assert make(snapshot, revision="main").info.revision == "a1" * 20


async def test_closing_ends_the_engine(vllm: FakeVllm, folder: Path) -> None:
    embedder = make(folder)
    await embedder.close()
    assert vllm.shut == 1
    with pytest.raises(UpstreamUnavailable, match="closed"):
        await embedder.embed(["x"], "document")


async def test_an_engine_that_ended_is_unavailable(vllm: FakeVllm, folder: Path) -> None:
    embedder = make(folder)
    vllm.dead = True
    with pytest.raises(UpstreamUnavailable, match="start Winnow again"):
        await embedder.embed(["x"], "document")


def test_without_vllm_the_error_says_how_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    monkeypatch.delitem(sys.modules, "winnow.models.local.vllm_offline", raising=False)
    with pytest.raises(InvalidSettings, match=r"pip install 'winnow-search\[vllm\]'"):
        make(folder)


def test_a_model_that_vllm_refuses_is_a_wrong_setting(vllm: FakeVllm, folder: Path) -> None:
    vllm.refuses = ValueError("max_model_len (9999) is greater than 512")
    with pytest.raises(InvalidSettings, match=r"greater than 512.*WINNOW_EMBEDDING__MAX_TOKENS"):
        make(folder)


def test_more_dimensions_than_the_model_has_are_a_wrong_setting(vllm: FakeVllm, folder: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"at most 8.*WINNOW_EMBEDDING__DIMENSIONS"):
        make(folder, dimensions=9)


def test_a_folder_without_a_tokenizer_is_a_wrong_setting(vllm: FakeVllm, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"no tokenizer.json.*WINNOW_EMBEDDING__MODEL"):
        make(tmp_path)
