"""Options that several commands have, and paths of the HTTP API that several call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Directory of embedded storage (default: WINNOW_DATA_DIR, or ./data).")
]
Url = Annotated[
    str | None,
    typer.Option("--url", help="Use the running service at this address, not the data directory.", metavar="URL"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]
CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="Name of the collection.", metavar="NAME")]
AnyCollection = Annotated[
    str | None, typer.Option("--collection", "-c", help="Name of the collection (default: all).", metavar="NAME")
]
CollectionArgument = Annotated[str, typer.Argument(help="Name of the collection.", metavar="NAME")]
JobId = Annotated[str, typer.Argument(help="ID of the job.", metavar="ID")]


def collection_path(name: str) -> str:
    """Path of a collection."""
    return f"/v1/collections/{quote(name, safe='')}"


def job_path(job_id: str) -> str:
    """Path of a job."""
    return f"/v1/jobs/{quote(job_id, safe='')}"
