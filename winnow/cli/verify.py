"""``winnow verify``: compare the catalog with the points, report differences and repair them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from winnow.cli.command import ask, configure
from winnow.cli.console import note, print_json, print_line, progress_bar
from winnow.cli.options import AnyCollection, DataDir, Json, Url, collection_path, job_path
from winnow.core.text import counted

if TYPE_CHECKING:
    from winnow.cli.remote import Client

SHOWN: Final = 20
KEPT: Final = 10_000  # findings of one collection that are printed with --json
POLL_SECONDS: Final = 0.5

MEANINGS: Final = {
    "missing": "points are missing",
    "stale": "has points of another revision",
    "doubled": "has duplicate points",
    "orphaned": "has points but is not in the catalog",
    "miscounted": "its recorded number of chunks is wrong",
}


def verify(
    collection: AnyCollection = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Index damaged documents again and remove points without a document.")
    ] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Compare the catalog with the points and name missing, stale, duplicate and orphaned ones.

    Searches and indexing go on meanwhile. The exit status is 1 if damage remains.
    """
    settings = configure(data_dir)
    reports = ask(lambda client: verify_collections(client, collection, repair=repair), url, settings, heals=repair)
    sound = all(map(_is_sound, reports))
    if json:
        print_json({"sound": sound, "collections": reports})
    else:
        for report in reports:
            show_report(report)
    raise typer.Exit(0 if sound else 1)


async def verify_collections(client: Client, collection: str | None, *, repair: bool) -> list[dict[str, Any]]:
    """Verify a collection, or all of them; returns the service's reports with their findings.

    After a repair the collection is verified again; the report then has ``after``, the second report.
    """
    if collection is None:
        names = [row["name"] for row in (await client.call("GET", "/v1/collections"))["collections"]]
    else:
        names = [collection]
    reports: list[dict[str, Any]] = []
    for name in names:
        report = await _look(client, name, repair=repair)
        if report["jobs"]:
            await _wait(client, report["jobs"])
            report["after"] = await _look(client, name, repair=False)
        reports.append(report)
    if not names:
        note("no collections yet: nothing to verify")
    return reports


async def _look(client: Client, name: str, *, repair: bool) -> dict[str, Any]:
    findings: list[dict[str, Any]] = []
    with progress_bar(f"verifying {name}") as show:
        async for kind, data in client.events("POST", f"{collection_path(name)}:verify", {"repair": repair}):
            if kind == "progress":
                show(data["done"], data["total"], data["doing"])
            elif kind == "damage" and len(findings) < KEPT:
                findings.append(data)
            elif kind == "done":
                return {**data, "findings": findings}
    raise AssertionError("unreachable: the client raises where a stream ends early")


async def _wait(client: Client, jobs: Sequence[str]) -> None:
    """Wait until the worker has finished the jobs of a repair."""
    from asyncio import sleep

    with progress_bar("repairing") as show:
        for number, job_id in enumerate(jobs, start=1):
            while (job := await client.call("GET", job_path(job_id)))["status"] != "done":
                show(job["total"] - job["pending"], job["total"], f"job {number}")
                await sleep(POLL_SECONDS)


def show_report(report: dict[str, Any]) -> None:
    """Print the findings of one collection."""
    for finding in report["findings"][:SHOWN]:
        points, meaning = counted(finding["points"], "point"), MEANINGS[finding["kind"]]
        print_line(f"  {finding['kind']:<10} {finding['document_id']}: {meaning} ({points})")
    if len(report["findings"]) > SHOWN:
        print_line(f"  … more; --json prints the first {KEPT:,}")
    size = f"{counted(report['documents'], 'document')}, {counted(report['points'], 'point')}"
    waiting = f", {report['waiting']:,} with pending work" if report["waiting"] else ""
    for lost in report["lost"]:
        print_line(f"  lost       the index of generation {lost['generation']}: {lost['reason']}")
    print_line(f"{report['collection']}: {size}{waiting}: {_verdict(report)}")
    if report["unconverted"]:
        count = counted(report["unconverted"], "document")
        print_line(f"  {count} stored by an earlier version as submitted; winnow index reads the sources again")
    if report["earlier_tokenizer"]:
        print_line(
            "  built with the tokenizer of an earlier version, without names for exact results; "
            f"winnow reembed -c {report['collection']} builds it with the present one"
        )


def _verdict(report: dict[str, Any]) -> str:
    if report["sound"]:
        return "sound"
    found = _found(report)
    if "after" not in report:
        return f"{found}; winnow verify -c {report['collection']} --repair repairs them"
    if _is_sound(report):
        return f"{found}, all repaired"
    return f"{found}; left: {_found(report['after'])}; see winnow jobs and the log"


def _found(report: dict[str, Any]) -> str:
    """The damage in words."""
    parts = [f"{counted(report['damaged'], 'document')} damaged"] if report["damaged"] else []
    if report["lost"]:
        parts.append(counted(len(report["lost"]), "lost index"))
    if report["filling"]:
        parts.append(f"{counted(report['filling'], 'document')} not in the index that was lost yet")
    return ", ".join(parts)


def _is_sound(report: dict[str, Any]) -> bool:
    return bool(report.get("after", report)["sound"])
