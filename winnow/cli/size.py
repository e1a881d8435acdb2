"""``winnow size``: what an installation needs, by formulas."""

from __future__ import annotations

import dataclasses
import re
from typing import Annotated, Final

import typer
from rich.table import Table

from winnow.cli.console import note, out, print_json
from winnow.cli.options import Json
from winnow.core.errors import InvalidInput
from winnow.core.sizing import BUNDLED_DIMENSIONS, Estimate, Gpu, Load, Provider, Quantization, figures_of

_SCALES: Final = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}
_NUMBER: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgb]?)", re.IGNORECASE)


def amount(text: str | float) -> float:
    """A number as people write it: ``10M``, ``250k``, ``1.5B``; defaults come as numbers."""
    found = _NUMBER.fullmatch(str(text).strip().replace(",", ""))
    if found is None:
        raise typer.BadParameter(f"{text!r} is not a number: use 250000, 250k or 10M")
    return float(found[1]) * _SCALES[found[2].lower()]


def size(
    documents: Annotated[float, typer.Option(parser=amount, metavar="NUMBER", help="Documents, as 10M.")],
    dim: Annotated[int | None, typer.Option(min=1, help="Dimensions; default: 1024, of bundled models 384.")] = None,
    qps: Annotated[float, typer.Option(parser=amount, metavar="NUMBER", help="Searches a second at the peak.")] = 10.0,
    tokens: Annotated[float, typer.Option(parser=amount, metavar="NUMBER", help="Tokens of a document.")] = 600.0,
    top_k: Annotated[int, typer.Option("--top-k", min=1, help="Candidates that are reranked.")] = 50,
    average: Annotated[float, typer.Option(min=0, max=1, help="Average load as a share of the peak.")] = 0.25,
    changes: Annotated[float, typer.Option(min=0, max=1, help="Share of documents that changes in a month.")] = 0.1,
    load_hours: Annotated[float, typer.Option(min=0.01, help="Hours in which everything is indexed once.")] = 24.0,
    copies: Annotated[int, typer.Option(min=1, max=16, help="Copies of each part of an index.")] = 2,
    node_memory: Annotated[float, typer.Option(min=1, help="Memory of one Qdrant node in GB.")] = 64.0,
    provider: Annotated[Provider, typer.Option(help="Where models run.")] = "vllm",
    quantization: Annotated[Quantization, typer.Option(help="turbo: 4-bit copies in memory.")] = "none",
    gpu: Annotated[Gpu, typer.Option(help="The kind of GPU.")] = "l4",
    json: Json = False,
) -> None:
    """Say what an installation needs: memory, disk, GPUs, replicas, tokens. docs/operations/sizing.md explains."""
    load = Load(
        documents=documents,
        dimensions=dim or (BUNDLED_DIMENSIONS if provider == "bundled" else 1024),
        qps=qps,
        tokens=tokens,
        top_k=top_k,
        average=average,
        changes=changes,
        load_hours=load_hours,
        copies=copies,
        node_gb=node_memory,
        provider=provider,
        quantization=quantization,
        gpu=gpu,
    )
    try:
        figures = figures_of(load)
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    if json:
        print_json({"load": dataclasses.asdict(load), "figures": [dataclasses.asdict(each) for each in figures]})
        return
    _print(figures)


def _print(figures: list[Estimate]) -> None:
    table = Table("figure", "value", "by", box=None, header_style="dim")
    for each in figures:
        table.add_row(each.name, f"{_rounded(each.value)} {each.unit}".rstrip(), each.formula)
    out().print(table)
    note("estimates to begin with: measure yours. Sources: --json, docs/operations/sizing.md")


def _rounded(value: float) -> str:
    """Three digits, with thousands told apart."""
    if value >= 1000 or value == int(value):
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"
