"""``winnow verify``: compare catalog and points, say what is wrong, and mend it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from winnow.cli.access import reach
from winnow.cli.console import err, note, out, print_json
from winnow.cli.remote import Client, HttpTarget, collection_path
from winnow.runtime import configure_logging, settings_for

SHOWN: Final = 20
KEPT: Final = 10_000  # findings of one collection that are printed with --json
POLL_SECONDS: Final = 0.5

MEANINGS: Final = {
    "missing": "points of its are missing",
    "stale": "has points of another revision",
    "doubled": "has points twice",
    "orphaned": "is not in the catalog, but has points",
    "miscounted": "its number of chunks is wrong",
}


def run(collection: str | None, *, repair: bool, url: str | None, data_dir: Path | None, as_json: bool) -> int:
    """Verify one collection or all; returns 0 if everything is sound (again), else 1."""
    settings = settings_for(data_dir)
    configure_logging(settings, quiet=True)

    async def ask() -> list[dict[str, Any]]:
        async with reach(settings, url) as client:
            return await verify(client, collection, repair=repair)

    reports = asyncio.run(ask())
    if as_json:
        print_json({"sound": all(map(_is_sound, reports)), "collections": reports})
    else:
        for report in reports:
            show(report)
    return 0 if all(map(_is_sound, reports)) else 1


async def verify(client: Client, collection: str | None, *, repair: bool) -> list[dict[str, Any]]:
    """Verify a collection, or all of them; returns the service's reports with their findings.

    What was mended is waited for and looked at again; the report then has ``after``, the second look's report.
    """
    names = [collection] if collection is not None else await _names(client)
    reports: list[dict[str, Any]] = []
    for name in names:
        report = await _look(client, name, repair=repair)
        if report["jobs"]:
            await _wait(client, report["jobs"])
            report["after"] = await _look(client, name, repair=False)
        reports.append(report)
    if not names:
        note("no collection yet: nothing to verify")
    return reports


async def _names(client: Client) -> list[str]:
    answer = await client.call("GET", "/v1/collections")
    return [row["name"] for row in answer["collections"]]


async def _look(client: Client, name: str, *, repair: bool) -> dict[str, Any]:
    findings: list[dict[str, Any]] = []
    with _bar(f"verifying {name}") as show_progress:
        async for kind, data in client.events("POST", f"{collection_path(name)}:verify", {"repair": repair}):
            if kind == "progress":
                show_progress(data)
            elif kind == "damage" and len(findings) < KEPT:
                findings.append(data)
            elif kind == "done":
                return {**data, "findings": findings}
    raise AssertionError("unreachable: the client raises where a stream ends early")


async def _wait(client: Client, jobs: Sequence[str]) -> None:
    """Until the worker has mended what it was told to."""
    target = HttpTarget(client)
    with _bar("mending") as show_progress:
        for done, job_id in enumerate(jobs):
            while (job := await target.job(job_id)).status != "done":
                show_progress({"doing": f"job {done + 1}", "done": job.total - job.pending, "total": job.total})
                await asyncio.sleep(POLL_SECONDS)


def show(report: dict[str, Any]) -> None:
    """Print what was found in one collection."""
    console = out()
    name = report["collection"]
    for finding in report["findings"][:SHOWN]:
        number = f"{finding['points']:,} point{'s' if finding['points'] != 1 else ''}"
        console.print(
            f"  {finding['kind']:<10} {finding['document_id']}: {MEANINGS[finding['kind']]} ({number})",
            markup=False,
            soft_wrap=True,
        )
    if len(report["findings"]) > SHOWN:
        console.print(f"  … more; the first {KEPT:,} of them with --json", markup=False)
    size = f"{report['documents']:,} documents, {report['points']:,} points"
    waiting = f", {report['waiting']:,} with work before them" if report["waiting"] else ""
    console.print(f"{name}: {size}{waiting}: {_verdict(report)}", markup=False, soft_wrap=True)


def _verdict(report: dict[str, Any]) -> str:
    if report["sound"]:
        return "sound"
    found = f"{report['damaged']:,} documents damaged"
    if "after" not in report:
        return f"{found}; winnow verify -c {report['collection']} --repair mends them"
    if _is_sound(report):
        return f"{found}, all mended"
    return f"{found}, {report['after']['damaged']:,} still are; winnow jobs and the log say why"


def _is_sound(report: dict[str, Any]) -> bool:
    return bool(report.get("after", report)["sound"])


@contextmanager
def _bar(title: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TextColumn("{task.fields[doing]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err(), transient=True) as progress:
        task: TaskID = progress.add_task(title, total=None, doing="")

        def update(state: dict[str, Any]) -> None:
            progress.update(task, completed=state["done"], total=state["total"], doing=state["doing"])

        yield update
