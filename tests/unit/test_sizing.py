"""What an installation needs, by formulas that the manual repeats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from winnow.cli.main import app
from winnow.cli.size import amount
from winnow.core.sizing import Load, figures_of, gpu_tokens, nodes, rerank_tokens, vector_bytes

PAGE = Path(__file__).parents[2] / "docs" / "operations" / "sizing.md"
MILLION = Load(documents=1e6, tokens=250, dimensions=1024, copies=1)


def value(load: Load, name: str) -> float:
    (found,) = [each.value for each in figures_of(load) if each.name == name]
    return found


def test_memory_follows_qdrants_formula() -> None:
    assert vector_bytes(MILLION) == 1e6 * 1024 * 4 * 1.5  # 6.1 GB, as Qdrant's manual computes it
    assert value(MILLION, "qdrant memory") == pytest.approx(6.144)


def test_quantised_copies_take_an_eighth() -> None:
    turbo = Load(documents=1e6, tokens=250, dimensions=1024, copies=1, quantization="turbo")
    assert vector_bytes(turbo) * 8 == vector_bytes(MILLION)


def test_copies_multiply_memory_and_disk_and_need_three_nodes() -> None:
    two = Load(documents=1e6, tokens=250, dimensions=1024, copies=2)
    assert value(two, "qdrant memory") == 2 * value(MILLION, "qdrant memory")
    assert (nodes(MILLION), nodes(two)) == (1, 3)


def test_nodes_hold_the_memory() -> None:
    load = Load(documents=10e6, dimensions=1024, copies=2, node_gb=64)
    assert nodes(load) * 64 * 0.7 >= value(load, "qdrant memory") > (nodes(load) - 1) * 64 * 0.7


def test_a_partial_chunk_is_a_chunk() -> None:
    assert value(Load(documents=10, tokens=251), "chunks") == 20


def test_a_card_reads_what_its_operations_allow() -> None:
    assert gpu_tokens(Load(documents=1, gpu="h100")) == pytest.approx(450_000, rel=0.01)  # 989e12 × 0.4 / (2 × 0.44e9)


def test_gpus_follow_the_searches() -> None:
    slow, fast = Load(documents=1e5, qps=5), Load(documents=1e5, qps=50)
    assert rerank_tokens(slow) == 50 * (73 + 40 + 250)
    assert value(fast, "gpus for reranking") >= 9 * value(slow, "gpus for reranking") - 9
    assert value(fast, "gpus for reranking") > value(slow, "gpus for reranking")


@pytest.mark.parametrize("provider", ["dashscope", "bundled"])
def test_models_elsewhere_need_no_gpu(provider: str) -> None:
    assert value(Load(documents=1e5, dimensions=384, provider=provider), "gpus") == 0  # type: ignore[arg-type]


def test_token_vectors_of_the_bundled_models_take_disk() -> None:
    bundled = Load(documents=1e5, dimensions=384, provider="bundled")
    remote = Load(documents=1e5, dimensions=384, provider="vllm")
    assert value(bundled, "qdrant disk") - value(remote, "qdrant disk") == pytest.approx(3e5 * 12_020 * 1.5 * 2 / 1e9)


def test_a_month_of_tokens_has_changes_and_searches() -> None:
    load = Load(documents=1e6, tokens=600, qps=10, average=0.5, changes=0.2, query_tokens=40)
    assert value(load, "embedding tokens a month") == pytest.approx((1e6 * 600 * 0.2 + 10 * 0.5 * 2_592_000 * 40) / 1e6)


@pytest.mark.parametrize(
    ("load", "name"), [(Load(documents=0), "documents"), (Load(documents=1, average=2), "average")]
)
def test_impossible_loads_are_refused(load: Load, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        figures_of(load)


def test_every_figure_has_a_formula_and_a_source_and_a_row_in_the_manual() -> None:
    rows = {row.split("|")[1].strip(): row for row in PAGE.read_text().splitlines() if row.startswith("| ")}
    for each in figures_of(MILLION):
        formula = each.formula.replace("l4 FLOP", "GPU FLOP")
        assert f"`{formula}`" in rows[each.name], each.name
        assert each.source


@pytest.mark.parametrize(
    ("text", "number"), [("10M", 1e7), ("250k", 250_000), ("1.5B", 1.5e9), ("1,000", 1000), ("7", 7)]
)
def test_numbers_are_read_as_people_write_them(text: str, number: float) -> None:
    assert amount(text) == number


def test_the_command_prints_a_table_and_json() -> None:
    arguments = ["size", "--documents", "10M", "--dim", "1024", "--qps", "50"]
    table = CliRunner().invoke(app, arguments)
    assert table.exit_code == 0
    assert "369 GB" in table.stdout
    answer = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert answer["load"]["documents"] == 1e7
    assert {each["name"]: each["value"] for each in answer["figures"]}["qdrant memory"] == pytest.approx(368.64)


def test_a_number_that_is_none_is_refused_by_name() -> None:
    refused = CliRunner().invoke(app, ["size", "--documents", "ten"])
    assert refused.exit_code == 2
    assert "'ten' is not a number" in refused.stderr
