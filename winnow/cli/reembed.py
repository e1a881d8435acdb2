"""``winnow reembed``: another embedding model for a collection, while it is in use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from winnow.cli.access import reach
from winnow.cli.console import err, note, out, print_json
from winnow.cli.remote import Client, collection_path
from winnow.core.errors import InvalidInput, InvalidSettings
from winnow.core.identity import same_model
from winnow.core.settings import Settings
from winnow.evaluation.bootstrap import estimate
from winnow.evaluation.dataset import Questions, load_questions
from winnow.evaluation.metrics import NDCG, score_rankings
from winnow.runtime import configure_logging, settings_for

POLL_SECONDS: Final = 0.5
SEARCHES: Final = 4  # queries of a comparison at once
LOOKED_AT: Final = 100  # results of a query that are judged
COMPARED: Final = ("provider", "model", "dimensions")  # options that an index's identity names too


@dataclass(frozen=True, slots=True)
class ReembedOptions:
    """What the command line asked for.

    Attributes:
        action: ``run`` does all of it: begin, wait, compare, switch.
        model: overlay on ``WINNOW_NEXT_EMBEDDING__*``: provider, model, url, dimensions.
        data: folder with queries and judgments of this collection's documents, for a comparison before the switch.
    """

    collection: str
    action: str
    model: dict[str, Any]
    data: Path | None
    force: bool
    switch: bool


def run(options: ReembedOptions, *, url: str | None, data_dir: Path | None, as_json: bool) -> int:
    """Carry out one action; returns the exit status, 1 where documents or quality would be lost by the switch."""
    settings = settings_for(data_dir, **({"next_embedding": options.model} if options.model else {}))
    configure_logging(settings, quiet=True)
    questions = None if options.data is None else load_questions(options.data)

    async def act() -> dict[str, Any]:
        async with reach(settings, url) as client:
            return await _act(client, options, questions)

    report = asyncio.run(act())
    if as_json:
        print_json(report)
    else:
        show(report, settings)
    return 0 if report.get("ok", True) else 1


async def _act(client: Client, options: ReembedOptions, questions: Questions | None) -> dict[str, Any]:
    path = f"{collection_path(options.collection)}/reembed"
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "status": lambda: client.call("GET", path),
        "dry-run": lambda: client.call("POST", path, {"dry_run": True}),
        "switch": lambda: client.call("POST", f"{path}:switch", {"force": options.force}),
        "rollback": lambda: client.call("POST", f"{path}:rollback"),
        "drop": lambda: client.call("DELETE", path),
    }
    if options.model:
        _require_same_model(await client.call("GET", path), options.model)
    if options.action in calls:
        report: dict[str, Any] = await calls[options.action]()
        return report
    status = await client.call("POST", path, {})
    status = await _build(client, path, status)
    comparison = None
    if questions is not None:
        comparison = await _compare(client, options.collection, questions)
    ok = status["state"] == "ready" or options.force
    worse = comparison is not None and comparison["difference"]["high"] < 0
    if ok and options.switch and (options.force or not worse):
        status = await client.call("POST", f"{path}:switch", {"force": options.force})
    return {**status, "comparison": comparison, "ok": ok and (options.force or not worse)}


def _require_same_model(status: dict[str, Any], given: dict[str, Any]) -> None:
    """Options of the command line reach only a process of our own: a running service has its own settings."""
    found = status["next"] or dict.fromkeys(COMPARED)
    differing = [key for key in COMPARED if key in given and not same_model(str(found[key]), str(given[key]))]
    if differing:
        wanted = " ".join(f"WINNOW_NEXT_EMBEDDING__{key.upper()}={given[key]}" for key in differing)
        raise InvalidSettings(
            f"the service that owns the data is configured with {_model(found) if status['next'] else 'no next model'}"
            f"; set {wanted} where it runs, and start it again"
        )


async def _build(client: Client, path: str, status: dict[str, Any]) -> dict[str, Any]:
    """Wait until every document is in both indexes, or cannot be."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TextColumn("documents"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err()) as progress:
        task = progress.add_task(f"re-embedding {status['collection']}", total=status["documents"])
        while status["state"] == "building" and status["lacking"] > status["failed"]:
            progress.update(task, completed=status["done"], total=status["documents"])
            await asyncio.sleep(POLL_SECONDS)
            status = await client.call("GET", path)
        progress.update(task, completed=status["done"], total=status["documents"])
    return status


async def _compare(client: Client, collection: str, questions: Questions) -> dict[str, Any]:
    """nDCG@10 of both indexes over the same queries, and the difference, each with a 95 % interval."""
    old = score_rankings(await _rankings(client, collection, questions, "serving"), questions.judgments)[NDCG]
    new = score_rankings(await _rankings(client, collection, questions, "other"), questions.judgments)[NDCG]
    parts = {"serving": estimate(old), "other": estimate(new), "difference": estimate(new - old)}
    figures = {name: {"mean": each.mean, "low": each.low, "high": each.high} for name, each in parts.items()}
    return {"metric": NDCG, "queries": len(questions.queries), **figures}


async def _rankings(client: Client, collection: str, questions: Questions, index: str) -> dict[str, list[str]]:
    places = asyncio.Semaphore(SEARCHES)

    async def ask(text: str) -> list[str]:
        body = {"query": text, "top_n": LOOKED_AT, "index": index, "return_documents": False, "highlight": False}
        async with places:
            answer = await client.call("POST", f"{collection_path(collection)}/search", body)
        return [result["document_id"] for result in answer["results"]]

    found = await asyncio.gather(*(ask(text) for text in questions.queries.values()))
    return dict(zip(questions.queries, found, strict=True))


def show(report: dict[str, Any], settings: Settings) -> None:
    """Print where the collection stands, and what to do next."""
    console = out()
    name, state = report["collection"], report["state"]
    other = report["other"]
    console.print(f"{name}: searches use {_model(report['serving'])}", markup=False, soft_wrap=True)
    if report.get("estimate"):
        found = report["estimate"]
        console.print(
            f"to embed with {_model(report['next'])}: {found['chunks']:,} chunks, about {found['tokens']:,} tokens, "
            f"{_duration(found['seconds'])} in this process",
            markup=False,
            soft_wrap=True,
        )
        return
    if other is not None:
        role = "kept from before the switch" if state == "kept" else "being built"
        counts = f"{report['done']:,} of {report['documents']:,} documents in both"
        console.print(f"beside it: {_model(other)}, {role}; {counts}", markup=False, soft_wrap=True)
    for failure in report["failures"][:20]:
        console.print(f"  failed {failure['document_id']}: {failure['message']}", markup=False, soft_wrap=True)
    _show_comparison(report.get("comparison"))
    for line in _next_steps(report, settings):
        note(line)


def _show_comparison(comparison: dict[str, Any] | None) -> None:
    if comparison is None:
        return
    sides = "  ".join(
        f"{label} {comparison[key]['mean']:.3f} [{comparison[key]['low']:.3f}, {comparison[key]['high']:.3f}]"
        for label, key in (("now", "serving"), ("beside it", "other"), ("difference", "difference"))
    )
    out().print(f"{comparison['metric']} over {comparison['queries']} queries: {sides}", markup=False, soft_wrap=True)


def _next_steps(report: dict[str, Any], settings: Settings) -> list[str]:
    command = f"winnow reembed -c {report['collection']}"
    match report["state"]:
        case "none":
            return []
        case "building":
            lost = "; documents that failed are found no more after a switch with --force" if report["failures"] else ""
            return [f"not switched: {report['lacking']:,} documents are not in the new index{lost}. {command} goes on"]
        case "ready" if report.get("ok") is False:
            return [f"not switched: the new index finds less. {command} --switch --force switches all the same"]
        case "ready":
            return [f"ready: {command} --switch"]
        case _:
            return _after_switch(report, settings, command)


def _after_switch(report: dict[str, Any], settings: Settings, command: str) -> list[str]:
    if report["next"] == report["other"]:  # rolled back
        return [f"{command} --switch goes forward again, {command} --drop lets go of the other index"]
    lines = [f"{command} --rollback goes back, {command} --drop lets go of the other index"]
    if settings.next_embedding is not None and report["next"] == report["serving"]:
        variables = settings.next_embedding.model_dump(mode="json", exclude_defaults=True)
        variables["provider"] = settings.next_embedding.provider
        named = " ".join(
            f"WINNOW_EMBEDDING__{key.upper()}={value}" for key, value in variables.items() if key != "api_key"
        )
        lines.append(f"once every collection is switched and its old index dropped, set for good: {named}")
    return lines


def _model(identity: dict[str, Any]) -> str:
    return f"{identity['model']} ({identity['dimensions']} dimensions)"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def choose_action(chosen: dict[str, bool]) -> str:
    """The one action that was asked for; ``run`` where none was.

    Raises:
        InvalidInput: more than one.
    """
    named = [name for name, asked in chosen.items() if asked]
    if len(named) > 1:
        raise InvalidInput(f"--{' and --'.join(named)} do not go together; give one of them")
    return named[0] if named else "run"
