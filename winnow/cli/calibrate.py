"""``winnow calibrate``: how probable it is that an answer of a collection is right."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from winnow.cli.command import ask, configure
from winnow.cli.console import note, out, print_json, progress_bar
from winnow.cli.measured_search import search_measured
from winnow.cli.options import CollectionOption, DataDir, Json, Url, collection_path
from winnow.core.errors import InvalidSource

if TYPE_CHECKING:
    from winnow.cli.remote import Client
    from winnow.evaluation.calibration import FittedCalibration, JudgedAnswer

AT_ONCE: Final = 2
BUDGET_MS: Final = 60_000


def calibrate(
    collection: CollectionOption,
    data: Annotated[Path | None, typer.Option(help="Folder with queries.jsonl and qrels.tsv.")] = None,
    threshold: Annotated[
        float, typer.Option(help="Probability from which an answer is taken to be there.", min=0.01, max=0.99)
    ] = 0.5,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the collection's calibration.")] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Fit the probability that a first result is right to judged queries, and keep it with the collection.

    Queries without an answer belong into unanswerable.jsonl beside queries.jsonl.
    """
    settings = configure(data_dir)
    path = f"{collection_path(collection)}/calibration"
    if remove:
        ask(lambda client: client.call("DELETE", path), url, settings)
        note(f"{collection}: the calibration is removed")
        return
    if data is None:
        raise InvalidSource("--data names no folder: give one with queries.jsonl and qrels.tsv")
    from winnow.evaluation.dataset import load_questions, load_unanswerable

    questions, without = load_questions(data), load_unanswerable(data)
    asked = {**questions.queries, **{f"unanswerable:{key}": text for key, text in without.items()}}
    fitted = ask(lambda client: _fit(client, collection, asked, questions.judgments), url, settings)
    body = {
        "weights": dict(fitted.weights),
        "intercept": fitted.intercept,
        "threshold": threshold,
        "calibrated_on": f"{data.resolve().name}, {len(asked)} queries, {datetime.now(UTC):%Y-%m-%d}",
        "quality": {"ece": fitted.ece.value, "auroc": fitted.auroc.value, "right": fitted.right},
    }
    kept = ask(lambda client: client.call("PUT", path, body), url, settings)
    if json:
        print_json(
            {"collection": collection, "calibration": kept, "ece": asdict(fitted.ece), "auroc": asdict(fitted.auroc)}
        )
    else:
        _show(collection, fitted, kept)


async def _fit(
    client: Client, collection: str, queries: Mapping[str, str], judgments: Mapping[str, Mapping[str, int]]
) -> FittedCalibration:
    from winnow.evaluation.calibration import fit_calibration

    places = asyncio.Semaphore(AT_ONCE)
    answers: list[JudgedAnswer] = []
    with progress_bar(f"calibrating {collection}") as show:

        async def one(key: str, text: str) -> None:
            async with places:
                found = await _judged(client, collection, text, judgments.get(key, {}))
            answers.extend(found)
            show(len(answers), len(queries), "searching")

        async with asyncio.TaskGroup() as group:
            for key, text in queries.items():
                group.create_task(one(key, text))
    if len(answers) < len(queries):
        note(f"{len(queries) - len(answers)} answers had no result or no relevance score and are left out")
    return await asyncio.to_thread(fit_calibration, answers)


async def _judged(client: Client, collection: str, query: str, judgments: Mapping[str, int]) -> list[JudgedAnswer]:
    """One answer with whether its first result is right; nothing where it cannot be used."""
    from winnow.core.calibration import BEHIND, Sight
    from winnow.evaluation.calibration import JudgedAnswer

    answer = await search_measured(client, collection, {"query": query, "top_n": 1 + BEHIND, "budget_ms": BUDGET_MS})
    results: list[dict[str, Any]] = answer["results"]
    if not results or results[0]["relevance_score"] is None:
        return []
    first, *others = results
    ranks = {arm: found and found["rank"] for arm, found in first["stages"].items()}
    sight = Sight(
        first["relevance_score"],
        [each["relevance_score"] for each in others if each["relevance_score"] is not None],
        answer["stages"]["embed"].get("coverage", 1.0),
        ranks["dense"],
        ranks["sparse"],
    )
    return [JudgedAnswer(sight, judgments.get(first["document_id"], 0) > 0)]


def _show(collection: str, fitted: FittedCalibration, kept: Mapping[str, Any]) -> None:
    console = out()
    weights = ", ".join(f"{name} {weight:.3f}" for name, weight in fitted.weights.items()) or "none"
    lines = (
        f"{collection} is calibrated on {kept['calibrated_on']}: {fitted.right:.0%} of the first results are right",
        f"ECE   {fitted.ece.value:.3f} [{fitted.ece.low:.3f}, {fitted.ece.high:.3f}]",
        f"AUROC {fitted.auroc.value:.3f} [{fitted.auroc.low:.3f}, {fitted.auroc.high:.3f}]   (held out, 95 %)",
        f"weights: {weights}; answers carry `answerable` with the threshold {kept['threshold']:g}",
    )
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
