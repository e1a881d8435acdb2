"""``winnow audit``: who did what."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Column, Table

from winnow.cli.command import configure, read_catalog
from winnow.cli.console import note, out, print_json
from winnow.cli.moments import moment
from winnow.cli.options import DataDir, Json, Url


def audit(
    since: Annotated[
        str | None, typer.Option(help="Only from this moment on: a time before now as 24h, or a date.", metavar="WHEN")
    ] = None,
    action: Annotated[
        str | None, typer.Option(help="Only this action, as documents.delete; key.* is all that begin so.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Greatest number of events.")] = 100,
    after: Annotated[str, typer.Option(help="Only events older than this one.", metavar="ID")] = "",
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show the audit trail, newest first: deletions, uploads, changes of keys, backups, switches, refusals."""
    from service.reading import read_trail
    from service.schemas.audit import AuditQuery

    given: dict[str, Any] = {"action": action, "after": after, "limit": limit}
    given["since"] = None if since is None else moment(since, "--since", past=True).isoformat()
    params = {name: value for name, value in given.items() if value is not None}
    query = AuditQuery.model_validate(params)
    answer = read_catalog(
        "/v1/audit", lambda catalog, asker: read_trail(catalog, asker, query), url, configure(data_dir), **params
    )
    if json:
        print_json(answer)
        return
    if not answer["events"]:
        note("no events")
        return
    names = ("who", "action", "on", "outcome", "request")
    columns = (Column("time (UTC)", no_wrap=True), *(Column(name, overflow="fold") for name in names))
    table = Table(*columns, box=None, header_style="dim")
    for event in answer["events"]:
        times = f" ×{event['count']}" if event["count"] > 1 else ""
        row = (event["at"][:19], event["actor"], event["action"], _object(event), event["outcome"] + times)
        table.add_row(*row, event["request_id"])
    out().print(table)
    if answer["next"]:
        note(f"older ones: --after {answer['next']}")


def _object(event: dict[str, Any]) -> str:
    """What it was done to: the collection and document, the key, the number of documents."""
    details = event["details"]
    several = f"{len(details['documents']):,} documents" if isinstance(details.get("documents"), list) else ""
    parts = (event["collection"], event["document"] or several, details.get("key", ""), details.get("operation", ""))
    return " ".join(part for part in parts if part)
