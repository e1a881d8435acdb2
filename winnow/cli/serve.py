"""``winnow serve``: the service."""

from __future__ import annotations

from typing import Annotated

import typer

from winnow.cli.command import configure
from winnow.cli.options import DataDir


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (default: 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one (default: 8000).")] = None,
    data_dir: DataDir = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen on other addresses than loopback without a key.")
    ] = False,
) -> None:
    """Serve searches and uploads over HTTP. With embedded storage the worker runs in the same process."""
    chosen = {"host": host, "port": port, "insecure": insecure or None}
    server = {key: value for key, value in chosen.items() if value is not None}
    settings = configure(data_dir, quiet=False, **({"server": server} if server else {}))
    from winnow.cli.server import run_server

    run_server(settings)
