"""``winnow reembed``: change the embedding model of a collection while it is in use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from winnow.cli.command import ask, configure, read_catalog
from winnow.cli.console import note, print_json, print_line, progress_bar
from winnow.cli.measured_search import search_measured
from winnow.cli.options import CollectionOption, DataDir, Json, Url, collection_path
from winnow.core.errors import InvalidInput, InvalidSettings
from winnow.core.text import counted

if TYPE_CHECKING:
    from winnow.cli.remote import Client
    from winnow.core.settings import Settings
    from winnow.core.types import FloatArray
    from winnow.evaluation.dataset import Questions

POLL_SECONDS: Final = 0.5
SEARCHES: Final = 4  # concurrent queries of a comparison
JUDGED: Final = 100  # results of a query that are judged
COMPARED: Final = ("provider", "model", "dimensions")  # options that an index's identity names too

Provider = Annotated[
    str, typer.Option(help="Provider of the next model: bundled, vllm, torch … (WINNOW_NEXT_EMBEDDING__PROVIDER).")
]
Model = Annotated[
    str,
    typer.Option(
        help="The next model (WINNOW_NEXT_EMBEDDING__MODEL); without --provider and --model-url one of those that "
        "collections may choose, by name."
    ),
]
ModelUrl = Annotated[str, typer.Option(help="Address of its server (WINNOW_NEXT_EMBEDDING__URL).")]
Dimensions = Annotated[int | None, typer.Option(help="Its vector size (WINNOW_NEXT_EMBEDDING__DIMENSIONS).")]
Judged = Annotated[
    Path | None, typer.Option(help="Folder with queries.jsonl and qrels.tsv: switch only if quality does not drop.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Estimate tokens and time and change nothing.")]
SwitchAfter = Annotated[bool, typer.Option("--switch-after/--no-switch", help="Switch when the new index is complete.")]
Status = Annotated[bool, typer.Option("--status", help="Show the progress.")]
Switch = Annotated[bool, typer.Option("--switch", help="Make searches use the new index.")]
Rollback = Annotated[bool, typer.Option("--rollback", help="Make searches use the old index again.")]
Drop = Annotated[bool, typer.Option("--drop", help="Delete the index that searches do not use.")]
Force = Annotated[bool, typer.Option("--force", help="Switch even if documents or quality would be lost.")]


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
    from winnow.evaluation.metrics import require_metrics

    given = {"provider": provider, "model": model, "url": model_url, "dimensions": dimensions}
    chosen = {key: value for key, value in given.items() if value}
    action = _choose({"dry-run": dry_run, "status": status, "switch": switch, "rollback": rollback, "drop": drop})
    settings = configure(data_dir)
    named = {"model": model} if chosen.keys() == {"model"} and settings.next_embedding is None else {}
    if chosen and not named:
        settings = configure(data_dir, next_embedding=chosen)
    if data is not None:
        require_metrics()
    questions = None if data is None else load_questions(data)
    path = f"{collection_path(collection)}/reembed"

    async def act(client: Client) -> Any:
        if chosen and not named:
            _require_same_model(await client.call("GET", path), chosen)
        if action == "run":
            return await _run(client, path, named, questions, switch=switch_after, force=force)
        return await _call(client, path, action, named, force=force)

    if action == "status" and settings.next_embedding is None:
        report = read_catalog(path, lambda catalog, asker: read_reembedding(catalog, asker, collection), url, settings)
    else:
        report = ask(act, url, settings)
    if json:
        print_json(report)
    else:
        _show(report, settings)
    raise typer.Exit(0 if report.get("ok", True) else 1)


async def _call(client: Client, path: str, action: str, named: dict[str, str], *, force: bool) -> Any:
    method, step, body = {
        "status": ("GET", "", None),
        "dry-run": ("POST", "", {"dry_run": True, **named}),
        "switch": ("POST", ":switch", {"force": force}),
        "rollback": ("POST", ":rollback", None),
        "drop": ("DELETE", "", None),
    }[action]
    return await client.call(method, path + step, body)


async def _run(
    client: Client, path: str, named: dict[str, str], questions: Questions | None, *, switch: bool, force: bool
) -> dict[str, Any]:
    """Begin, wait, compare and switch; ``named`` is the model where the command line chose one of the configured."""
    status = await _build(client, path, await client.call("POST", path, named))
    comparison = None if questions is None else await _compare(client, status["collection"], questions)
    worse = comparison is not None and comparison["difference"]["high"] < 0
    ok = force or (status["state"] == "ready" and not worse)
    if ok and switch:
        status = await _call(client, path, "switch", {}, force=force)
    return {**status, "comparison": comparison, "ok": ok}


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
    from asyncio import sleep

    with progress_bar(f"re-embedding {status['collection']}", total=status["documents"], keep=True) as show:
        while status["state"] == "building" and status["lacking"] > status["failed"]:
            show(status["done"], status["documents"], "documents")
            await sleep(POLL_SECONDS)
            status = await client.call("GET", path)
        show(status["done"], status["documents"], "documents")
    return status


async def _compare(client: Client, collection: str, questions: Questions) -> dict[str, Any]:
    """nDCG@10 of both indexes over the same queries, and the difference, each with a 95 % interval."""
    from asyncio import Semaphore, gather

    from winnow.evaluation.metrics import NDCG, estimate_mean, score_rankings

    places = Semaphore(SEARCHES)

    async def ranking(index: str, text: str) -> list[str]:
        async with places:
            answer = await search_measured(client, collection, {"query": text, "top_n": JUDGED, "index": index})
        return [result["document_id"] for result in answer["results"]]

    async def scores(index: str) -> FloatArray:
        found = await gather(*(ranking(index, text) for text in questions.queries.values()))
        return score_rankings(dict(zip(questions.queries, found, strict=True)), questions.judgments)[NDCG]

    old, new = await scores("serving"), await scores("other")
    parts = {"serving": estimate_mean(old), "other": estimate_mean(new), "difference": estimate_mean(new - old)}
    figures = {name: {"mean": each.mean, "low": each.low, "high": each.high} for name, each in parts.items()}
    return {"metric": NDCG, "queries": len(questions.queries), **figures}


def _show(report: dict[str, Any], settings: Settings) -> None:
    """Print the state of the change and the next steps."""
    print_line(f"{report['collection']}: searches use {_model(report['serving'])}")
    if found := report.get("estimate"):
        print_line(
            f"to embed with {_model(report['next'])}: {counted(found['chunks'], 'chunk')}, "
            f"about {counted(found['tokens'], 'token')}, {_duration(found['seconds'])} in this process"
        )
        return
    if (other := report["other"]) is not None:
        role = "kept from before the switch" if report["state"] == "kept" else "being built"
        counts = f"{report['done']:,} of {counted(report['documents'], 'document')} in both"
        print_line(f"beside it: {_model(other)}, {role}; {counts}")
    for failure in report["failures"][:20]:
        print_line(f"  failed {failure['document_id']}: {failure['message']}")
    if comparison := report.get("comparison"):
        parts = "  ".join(
            f"{label} {comparison[key]['mean']:.3f} [{comparison[key]['low']:.3f}, {comparison[key]['high']:.3f}]"
            for label, key in (("now", "serving"), ("beside it", "other"), ("difference", "difference"))
        )
        print_line(f"{comparison['metric']} over {counted(comparison['queries'], 'query')}: {parts}")
    for line in _next_steps(report, settings):
        note(line)


def _next_steps(report: dict[str, Any], settings: Settings) -> list[str]:
    command = f"winnow reembed -c {report['collection']}"
    match report["state"]:
        case "none":
            return []
        case "building":
            lacking = f"not switched: {counted(report['lacking'], 'document')} missing in the new index"
            lost = "; searches lose the failed documents after a switch with --force" if report["failures"] else ""
            return [f"{lacking}{lost}. {command} continues"]
        case "ready" if report.get("ok") is False:
            return [f"not switched: the new index finds less. {command} --switch --force switches anyway"]
        case "ready":
            return [f"ready: {command} --switch"]
        case _ if report["next"] == report["other"]:  # rolled back
            return [f"{command} --switch goes forward again, {command} --drop deletes the other index"]
    lines = [f"{command} --rollback goes back, {command} --drop deletes the other index"]
    if (following := settings.next_embedding) is not None and report["next"] == report["serving"]:
        variables = {"provider": following.provider, **following.model_dump(mode="json", exclude_defaults=True)}
        variables.pop("api_key", None)
        named = " ".join(f"WINNOW_EMBEDDING__{key.upper()}={value}" for key, value in variables.items())
        lines.append(f"when every collection is switched and its old index dropped, set permanently: {named}")
    return lines


def _model(identity: dict[str, Any]) -> str:
    size, tokens = identity["dimensions"], identity["token_dimensions"]
    return f"{identity['model']} ({size} dimensions{f', {tokens} a token' if tokens not in (0, size) else ''})"


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
