"""Options that many commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Where embedded storage lives [default: ./data]. WINNOW_DATA_DIR", show_default=False
    ),
]
Url = Annotated[
    str | None,
    typer.Option("--url", help="Work through a running service instead of opening the data directory.", metavar="URL"),
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
