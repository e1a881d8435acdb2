"""Options that several commands have, and paths of the HTTP API that several call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from winnow.core.errors import WinnowError

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
Tenant = Annotated[
    str | None,
    typer.Option("--tenant", help="Whose documents (default: those of the key's tenant, or of none).", metavar="NAME"),
]
JobId = Annotated[str, typer.Argument(help="ID of the job.", metavar="ID")]

Columns = Annotated[
    list[str] | None,
    typer.Option(
        help="For CSV and Parquet, the column of the id, text, title or url, for example text=body. Repeatable.",
        metavar="ROLE=COLUMN",
    ),
]
AllowPrivate = Annotated[
    bool, typer.Option("--allow-private", help="For site:, allow loopback and intranet addresses.")
]

Ocr = Annotated[bool, typer.Option("--ocr", help="Recognise the text of scanned pages of PDF files, with ocrmypdf.")]
FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Also read what links in a folder lead to outside of it.")
]


def key_pairs(items: list[str] | None, option: str, form: str, error: type[WinnowError]) -> dict[str, Any]:
    """Values of an option of the form ``KEY=VALUE`` by key; raises ``error`` for another form."""
    if wrong := next((item for item in items or () if "=" not in item), None):
        raise error(f"{option} {wrong!r} is not {form}")
    return dict(item.split("=", 1) for item in items or ())


def collection_path(name: str) -> str:
    """Path of a collection."""
    return f"/v1/collections/{quote(name, safe='')}"


def document_path(collection: str, document_id: str) -> str:
    """Path of a document."""
    return f"{collection_path(collection)}/documents/{quote(document_id, safe='')}"


def job_path(job_id: str) -> str:
    """Path of a job."""
    return f"/v1/jobs/{quote(job_id, safe='')}"
