"""``winnow reembed``: change the embedding model of a collection while it is in use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from winnow.cli.command import ask, configure, read_catalog
from winnow.cli.console import note, print_json, print_line, progress_bar
from winnow.cli.options import CollectionOption, DataDir, Json, Url
from winnow.cli.paths import collection_path
from winnow.core.errors import InvalidInput, InvalidSettings

if TYPE_CHECKING:
    from winnow.cli.remote import Client
    from winnow.core.settings import Settings
    from winnow.evaluation.dataset import Questions

POLL_SECONDS: Final = 0.5
SEARCHES: Final = 4  # concurrent queries of a comparison
JUDGED: Final = 100  # results of a query that are judged
COMPARED: Final = ("provider", "model", "dimensions")  # options that an index's identity names too

Provider = Annotated[
    str,
    typer.Option(
        help="Provider of the next model: bundled, vllm, torch, dashscope … (WINNOW_NEXT_EMBEDDING__PROVIDER)."
    ),
]
Model = Annotated[str, typer.Option(help="The next model (WINNOW_NEXT_EMBEDDING__MODEL).")]
ModelUrl = Annotated[str, typer.Option("--model-url", help="Address of its server (WINNOW_NEXT_EMBEDDING__URL).")]
Dimensions = Annotated[int | None, typer.Option(help="Its vector size (WINNOW_NEXT_EMBEDDING__DIMENSIONS).")]
Judged = Annotated[
    Path | None,
    typer.Option("--data", help="Folder with queries.jsonl and qrels.tsv: switch only if quality does not drop."),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Estimate tokens and time and change nothing.")]
SwitchAfter = Annotated[bool, typer.Option("--switch-after/--no-switch", help="Switch when the new index is complete.")]
Status = Annotated[bool, typer.Option("--status", help="Show the progress.")]
Switch = Annotated[bool, typer.Option("--switch", help="Make searches use the new index.")]
Rollback = Annotated[bool, typer.Option("--rollback", help="Make searches use the old index again.")]
Drop = Annotated[bool, typer.Option("--drop", help="Delete the index that searches do not use.")]
Force = Annotated[bool, typer.Option("--force", help="Switch even if documents or quality would be lost.")]


@dataclass(frozen=True, slots=True)
class ReembedOptions:
    """Options of the command line.

    Attributes:
        action: ``run`` does everything: begin, wait, compare, switch.
        model: overlay on ``WINNOW_NEXT_EMBEDDING__*``: provider, model, url, dimensions.
        questions: queries and judgments of this collection's documents, for a comparison before the switch.
    """

    collection: str
    action: str
    model: dict[str, Any]
    questions: Questions | None
    force: bool
    switch: bool


def reembed(
    collection: CollectionOption,
    provider: Provider = "",
    model: Model = "",
    model_url: ModelUrl = "",
    dimensions: Dimensions = None,
    data: Judged = None,
    dry_run: DryRunOption = False,
    switch_after: SwitchAfter = True,
    status: Status = False,
    switch: Switch = False,
    rollback: Rollback = False,
    drop: Drop = False,
    force: Force = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Change a collection's embedding model without downtime: build a second index, compare, switch, roll back.

    The exit status is 1 if the switch was refused because documents or quality would be lost.
    """
    from service.reading import read_reembedding
    from winnow.evaluation.dataset import load_questions

    given = {"provider": provider, "model": model, "url": model_url, "dimensions": dimensions}
    chosen = {key: value for key, value in given.items() if value}
    action = _choose({"dry-run": dry_run, "status": status, "switch": switch, "rollback": rollback, "drop": drop})
    overrides: dict[str, Any] = {"next_embedding": chosen} if chosen else {}
    settings = configure(data_dir, **overrides)
    questions = None if data is None else load_questions(data)
    options = ReembedOptions(collection, action, chosen, questions, force, switch_after)
    if action == "status" and settings.next_embedding is None:
        path = f"{collection_path(collection)}/reembed"
        report = read_catalog(path, lambda catalog: read_reembedding(catalog, collection), url, settings)
    else:
        report = ask(lambda client: _act(client, options), url, settings)
    if json:
        print_json(report)
    else:
        _show(report, settings)
    raise typer.Exit(0 if report.get("ok", True) else 1)


async def _act(client: Client, options: ReembedOptions) -> dict[str, Any]:
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
    if options.questions is not None:
        comparison = await _compare(client, options.collection, options.questions)
    ok = status["state"] == "ready" or options.force
    worse = comparison is not None and comparison["difference"]["high"] < 0
    if ok and options.switch and (options.force or not worse):
        status = await client.call("POST", f"{path}:switch", {"force": options.force})
    return {**status, "comparison": comparison, "ok": ok and (options.force or not worse)}


def _require_same_model(status: dict[str, Any], given: dict[str, Any]) -> None:
    """Refuse options that a running service, which has its own settings, would ignore."""
    from winnow.core.identity import same_model

    found = status["next"] or dict.fromkeys(COMPARED)
    differing = [key for key in COMPARED if key in given and not same_model(str(found[key]), str(given[key]))]
    if differing:
        wanted = " ".join(f"WINNOW_NEXT_EMBEDDING__{key.upper()}={given[key]}" for key in differing)
        raise InvalidSettings(
            f"the service that owns the data is configured with {_model(found) if status['next'] else 'no next model'}"
            f"; set {wanted} in its environment and restart it"
        )


async def _build(client: Client, path: str, status: dict[str, Any]) -> dict[str, Any]:
    """Wait until every document is in both indexes or has failed."""
    with progress_bar(f"re-embedding {status['collection']}", total=status["documents"], keep=True) as show:
        while status["state"] == "building" and status["lacking"] > status["failed"]:
            show(status["done"], status["documents"], "documents")
            await asyncio.sleep(POLL_SECONDS)
            status = await client.call("GET", path)
        show(status["done"], status["documents"], "documents")
    return status


async def _compare(client: Client, collection: str, questions: Questions) -> dict[str, Any]:
    """nDCG@10 of both indexes over the same queries, and the difference, each with a 95 % interval."""
    from winnow.evaluation.bootstrap import estimate_mean
    from winnow.evaluation.metrics import NDCG, score_rankings

    old = score_rankings(await _rankings(client, collection, questions, "serving"), questions.judgments)[NDCG]
    new = score_rankings(await _rankings(client, collection, questions, "other"), questions.judgments)[NDCG]
    parts = {"serving": estimate_mean(old), "other": estimate_mean(new), "difference": estimate_mean(new - old)}
    figures = {name: {"mean": each.mean, "low": each.low, "high": each.high} for name, each in parts.items()}
    return {"metric": NDCG, "queries": len(questions.queries), **figures}


async def _rankings(client: Client, collection: str, questions: Questions, index: str) -> dict[str, list[str]]:
    places = asyncio.Semaphore(SEARCHES)

    async def ask(text: str) -> list[str]:
        body = {"query": text, "top_n": JUDGED, "index": index, "return_documents": False, "highlight": False}
        async with places:
            answer = await client.call("POST", f"{collection_path(collection)}/search", body)
        return [result["document_id"] for result in answer["results"]]

    found = await asyncio.gather(*(ask(text) for text in questions.queries.values()))
    return dict(zip(questions.queries, found, strict=True))


def _show(report: dict[str, Any], settings: Settings) -> None:
    """Print the state of the change and the next steps."""
    other = report["other"]
    print_line(f"{report['collection']}: searches use {_model(report['serving'])}")
    if report.get("estimate"):
        found = report["estimate"]
        print_line(
            f"to embed with {_model(report['next'])}: {found['chunks']:,} chunks, about {found['tokens']:,} tokens, "
            f"{_duration(found['seconds'])} in this process"
        )
        return
    if other is not None:
        role = "kept from before the switch" if report["state"] == "kept" else "being built"
        counts = f"{report['done']:,} of {report['documents']:,} documents in both"
        print_line(f"beside it: {_model(other)}, {role}; {counts}")
    for failure in report["failures"][:20]:
        print_line(f"  failed {failure['document_id']}: {failure['message']}")
    if (comparison := report.get("comparison")) is not None:
        parts = "  ".join(
            f"{label} {comparison[key]['mean']:.3f} [{comparison[key]['low']:.3f}, {comparison[key]['high']:.3f}]"
            for label, key in (("now", "serving"), ("beside it", "other"), ("difference", "difference"))
        )
        print_line(f"{comparison['metric']} over {comparison['queries']} queries: {parts}")
    for line in _next_steps(report, settings):
        note(line)


def _next_steps(report: dict[str, Any], settings: Settings) -> list[str]:
    command = f"winnow reembed -c {report['collection']}"
    match report["state"]:
        case "none":
            return []
        case "building":
            lost = "; searches lose the failed documents after a switch with --force" if report["failures"] else ""
            return [
                f"not switched: {report['lacking']:,} documents are not in the new index{lost}. {command} continues"
            ]
        case "ready" if report.get("ok") is False:
            return [f"not switched: the new index finds less. {command} --switch --force switches anyway"]
        case "ready":
            return [f"ready: {command} --switch"]
        case _:
            return _after_switch(report, settings, command)


def _after_switch(report: dict[str, Any], settings: Settings, command: str) -> list[str]:
    if report["next"] == report["other"]:  # rolled back
        return [f"{command} --switch goes forward again, {command} --drop deletes the other index"]
    lines = [f"{command} --rollback goes back, {command} --drop deletes the other index"]
    if settings.next_embedding is not None and report["next"] == report["serving"]:
        variables = settings.next_embedding.model_dump(mode="json", exclude_defaults=True)
        variables["provider"] = settings.next_embedding.provider
        named = " ".join(
            f"WINNOW_EMBEDDING__{key.upper()}={value}" for key, value in variables.items() if key != "api_key"
        )
        lines.append(f"when every collection is switched and its old index dropped, set permanently: {named}")
    return lines


def _model(identity: dict[str, Any]) -> str:
    return f"{identity['model']} ({identity['dimensions']} dimensions)"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _choose(chosen: dict[str, bool]) -> str:
    """The one action that was asked for; ``run`` where none was. More than one is an ``InvalidInput``."""
    named = [name for name, asked in chosen.items() if asked]
    if len(named) > 1:
        raise InvalidInput(f"--{' and --'.join(named)} cannot be combined: give one of them")
    return named[0] if named else "run"
