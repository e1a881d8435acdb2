"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
