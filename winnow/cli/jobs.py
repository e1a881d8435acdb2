"""``winnow jobs``: what was handed in and what became of it; trying failures again; cancelling."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from rich.table import Table

from winnow.cli.access import reach
from winnow.cli.console import note, out, print_json
from winnow.cli.remote import Client
from winnow.runtime import configure_logging, settings_for

PAGE: Final = 1000
_COUNTERS: Final = ("pending", "indexed", "deleted", "unchanged", "failed", "superseded", "cancelled")

_Answer = TypeVar("_Answer")


def run_list(filters: dict[str, str | int], *, url: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Print jobs, newest first; ``filters`` are the parameters of ``GET /v1/jobs``."""
    answer = _ask(lambda client: client.call("GET", "/v1/jobs", **filters), url, data_dir)
    if as_json:
        print_json(answer)
        return
    if not answer["jobs"]:
        note("no such job")
        return
    table = Table(box=None, header_style="dim")
    table.add_column("job", no_wrap=True)  # to be copied
    for name in ("collection", "status", "documents"):
        table.add_column(name)
    for job in answer["jobs"]:
        documents = ", ".join(f"{job[name]:,} {name}" for name in _COUNTERS if job[name])
        table.add_row(job["id"], job["collection"], job["status"], documents or "none")
    out().print(table)
    if answer["next"]:
        note(f"older ones: --after {answer['next']}")


def run_show(job_id: str, *, url: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Print one job with the documents that failed."""
    _print(_ask(lambda client: client.call("GET", _path(job_id)), url, data_dir), as_json)


def run_cancel(job_id: str, *, url: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Cancel what has not been carried out and print the job as it stands then."""
    _print(_ask(lambda client: client.call("POST", f"{_path(job_id)}:cancel"), url, data_dir), as_json)


def run_retry(
    job_id: str | None, collection: str | None, *, url: str | None, data_dir: Path | None, as_json: bool
) -> None:
    """Try the failures of one job again, or with ``None`` those of every job (of one collection)."""

    async def retry(client: Client) -> list[dict[str, Any]]:
        names = [job_id] if job_id is not None else await _failed(client, collection)
        return [{"job": name, **await client.call("POST", f"{_path(name)}:retry")} for name in names]

    retried = _ask(retry, url, data_dir)
    if as_json:
        print_json({"retried": retried})
        return
    for each in retried:
        if each["documents"]:
            note(f"{each['job']}: {each['documents']:,} documents are tried again as {each['job_id']}")
    if not any(int(each["documents"]) for each in retried):
        note("nothing to try again: nothing has failed, or it was handed in again since")


async def _failed(client: Client, collection: str | None) -> list[str]:
    found: list[str] = []
    params: dict[str, str | int] = {"failed": "true", "limit": PAGE}
    if collection is not None:
        params["collection"] = collection
    after: str | None = ""
    while after is not None:
        answer = await client.call("GET", "/v1/jobs", after=after, **params)
        found += [job["id"] for job in answer["jobs"]]
        after = answer["next"]
    return found


def _ask(question: Callable[[Client], Awaitable[_Answer]], url: str | None, data_dir: Path | None) -> _Answer:
    settings = settings_for(data_dir)
    configure_logging(settings, quiet=True)

    async def ask() -> _Answer:
        async with reach(settings, url) as client:
            return await question(client)

    return asyncio.run(ask())


def _print(job: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    table = Table(box=None, show_header=False)
    for key, value in job.items():
        if key != "failures":
            table.add_row(key, "–" if value is None else str(value))
    out().print(table)
    if job["failures"]:
        failures = Table("document", "code", "reason", box=None, header_style="dim")
        for failure in job["failures"]:
            failures.add_row(failure["document_id"], failure["code"], failure["message"])
        out().print(failures)


def _path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"
