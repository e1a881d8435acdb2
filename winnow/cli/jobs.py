"""``winnow jobs``: list and show jobs, retry their failures, cancel them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer
from rich.table import Column, Table
from typer.core import TyperGroup

from winnow.cli.command import ask, configure, read_catalog
from winnow.cli.console import note, out, print_json, print_pairs
from winnow.cli.options import AnyCollection, DataDir, JobId, Json, Url, job_path
from winnow.core.errors import InvalidInput
from winnow.core.text import counted

if TYPE_CHECKING:
    from winnow.cli.remote import Client

PAGE: Final = 1000
COUNTERS: Final = ("pending", "indexed", "deleted", "unchanged", "failed", "superseded", "cancelled")


class ListByDefault(TyperGroup):
    """A group that runs ``list`` where no command is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``list`` before options that have no command before them."""
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=ListByDefault, help="List and show jobs, retry their failures, cancel them.")


@app.command("list")
def list_jobs(
    collection: AnyCollection = None,
    tenant: Annotated[str | None, typer.Option(help="Only jobs of this tenant's documents.", metavar="NAME")] = None,
    status: Annotated[Literal["pending", "running", "done"] | None, typer.Option(help="Only with this status.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only jobs with documents that failed.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=PAGE, help="Greatest number of jobs.")] = 50,
    after: Annotated[str, typer.Option(help="Only jobs older than this one.", metavar="ID")] = "",
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List jobs, newest first."""
    from service.reading import read_jobs
    from service.schemas.jobs import JobQuery

    filters: dict[str, Any] = {"limit": limit, "failed": str(failed).lower(), "after": after}
    filters |= {
        key: value
        for key, value in (("collection", collection), ("tenant", tenant), ("status", status))
        if value is not None
    }
    query = JobQuery.model_validate(filters)
    answer = read_catalog(
        "/v1/jobs", lambda catalog, asker: read_jobs(catalog, asker, query), url, configure(data_dir), **filters
    )
    if json:
        print_json(answer)
        return
    if not answer["jobs"]:
        note("no jobs match")
        return
    job_id = Column("job", no_wrap=True)  # to be copied
    table = Table(job_id, "collection", "status", "documents", box=None, header_style="dim")
    for job in answer["jobs"]:
        documents = ", ".join(f"{job[name]:,} {name}" for name in COUNTERS if job[name])
        table.add_row(job["id"], job["collection"], job["status"], documents or "none")
    out().print(table)
    if answer["next"]:
        note(f"older ones: --after {answer['next']}")


@app.command("show")
def show_job(job_id: JobId, url: Url = None, data_dir: DataDir = None, json: Json = False) -> None:
    """Show one job and each of its documents that failed."""
    from service.reading import read_job

    settings = configure(data_dir)
    _print(read_catalog(job_path(job_id), lambda catalog, asker: read_job(catalog, asker, job_id), url, settings), json)


@app.command("retry")
def retry_jobs(
    job_id: Annotated[str | None, typer.Argument(help="ID of the job.", metavar="ID")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Retry the failures of all jobs.")] = False,
    collection: AnyCollection = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Index documents again that failed."""
    if (job_id is None) != failed:
        raise InvalidInput("give the ID of one job, or --failed for all jobs")

    async def retry(client: Client) -> list[dict[str, Any]]:
        names = [job_id] if job_id is not None else await _failed(client, collection)
        return [{"job": name, **await client.call("POST", f"{job_path(name)}:retry")} for name in names]

    retried = ask(retry, url, configure(data_dir))
    if json:
        print_json({"retried": retried})
        return
    for each in retried:
        if each["documents"]:
            note(f"{each['job']}: {counted(each['documents'], 'document')} retried as {each['job_id']}")
    if not any(each["documents"] for each in retried):
        note("nothing to retry: no document failed, or all that failed were submitted again since")


@app.command("cancel")
def cancel_job(job_id: JobId, url: Url = None, data_dir: DataDir = None, json: Json = False) -> None:
    """Cancel the pending documents of a job. Changed documents stay searchable as they were."""
    path = f"{job_path(job_id)}:cancel"
    _print(ask(lambda client: client.call("POST", path), url, configure(data_dir)), json)


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


def _print(job: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    print_pairs((key, value) for key, value in job.items() if key != "failures")
    if job["failures"]:
        failures = Table("document", "code", "reason", box=None, header_style="dim")
        for failure in job["failures"]:
            failures.add_row(failure["document_id"], failure["code"], failure["message"])
        out().print(failures)
