"""The commands under ``winnow jobs``; what they do loads when one of them runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from winnow.cli.options import DataDir, Json, Url
from winnow.core.errors import InvalidInput


class ListByDefault(TyperGroup):
    """A group that lists where no command is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``list`` before options that stand alone."""
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


jobs_app = typer.Typer(cls=ListByDefault, help="List and show jobs, try their failures again, cancel them.")


@jobs_app.command("list")
def list_jobs(
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Only jobs of this collection.", metavar="NAME")
    ] = None,
    status: Annotated[str | None, typer.Option(help="Only jobs that are pending, running or done.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only jobs with documents that failed.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 50,
    after: Annotated[str, typer.Option(help="Only jobs older than this one.", metavar="ID")] = "",
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List jobs, newest first."""
    from winnow.cli.jobs import run_list

    filters: dict[str, str | int] = {"limit": limit, "failed": str(failed).lower()}
    filters |= {key: value for key, value in (("collection", collection), ("status", status)) if value is not None}
    run_list(filters | {"after": after}, url=url, data_dir=data_dir, as_json=json)


@jobs_app.command("show")
def show_job(
    job_id: Annotated[str, typer.Argument(help="Id of the job.", metavar="ID")],
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show one job and every document of it that failed."""
    from winnow.cli.jobs import run_show

    run_show(job_id, url=url, data_dir=data_dir, as_json=json)


@jobs_app.command("retry")
def retry_jobs(
    job_id: Annotated[str | None, typer.Argument(help="Id of the job.", metavar="ID")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Everything that failed, of all jobs.")] = False,
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="With --failed: of this collection.", metavar="NAME")
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Try documents again that failed."""
    from winnow.cli.jobs import run_retry

    if (job_id is None) != failed:
        raise InvalidInput("name one job, or try all failures again with --failed")
    run_retry(job_id, collection, url=url, data_dir=data_dir, as_json=json)


@jobs_app.command("cancel")
def cancel_job(
    job_id: Annotated[str, typer.Argument(help="Id of the job.", metavar="ID")],
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Take back what has not been carried out. Changed documents stay searchable as they were."""
    from winnow.cli.jobs import run_cancel

    run_cancel(job_id, url=url, data_dir=data_dir, as_json=json)
