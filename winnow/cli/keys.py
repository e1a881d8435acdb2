"""``winnow keys``: make, list, revoke and rotate API keys."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer
from rich.table import Column, Table

from winnow.cli import issuers
from winnow.cli.command import configure, read_catalog, through_catalog
from winnow.cli.console import note, out, print_json, print_line, print_pairs
from winnow.cli.moments import moment, span
from winnow.cli.options import DataDir, Json, Url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import BaseModel

    from winnow.core.principal import Principal
    from winnow.core.settings import Settings
    from winnow.ports import Catalog

EVERYTHING = "all"
ROTATION_GRACE = "24h"
_MOST_DIGITS = 15

app = typer.Typer(help="Make, list, revoke and rotate API keys.", no_args_is_help=True)
app.add_typer(issuers.app, name="issuer")
KeyId = Annotated[str, typer.Argument(help="Public beginning of the key, as wnw_AbCdEfGh.", metavar="ID")]


@app.command("create")
def create_key(
    label: Annotated[str, typer.Option(help="What the key is for.")] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            "-s",
            help="What it may do: search (the default), documents:read, documents:write, collections:admin, "
            "keys:admin, operate, tokens:create, or all. Repeatable.",
        ),
    ] = None,
    collection: Annotated[
        list[str] | None,
        typer.Option(
            "--collection",
            "-c",
            help="Collection that it is for, or a pattern in which * is any characters (default: all). Repeatable.",
        ),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="For a key in a web page: the page's origin, as https://www.example.com. Repeatable."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="The only tenant whose documents it sees.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="When it ends: a time from now as 90d or 12h, or a date.", metavar="WHEN")
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(help="What it may use, as documents_per_day=1000 (default: as the settings say). Repeatable."),
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Make a key and print it, this once. From the first key on, every request needs one."""
    scopes, collections, origins = _scopes(scope), _words(collection), _words(origin) or []
    limits = _limits(limit or [], "--limit")
    expires_at = None if expires is None else moment(expires, "--expires")
    body: dict[str, Any] = {"label": label, "scopes": scopes, "collections": collections, "origins": origins}
    body |= {"tenant": tenant, "limits": limits}
    body["expires_at"] = None if expires_at is None else expires_at.isoformat()

    async def make(catalog: Catalog, asker: Principal) -> BaseModel:
        from service.schemas.keys import MadeKeyView
        from winnow.operations.keys import KeySpec, add_key

        patterns = None if collections is None else tuple(collections)
        spec = KeySpec(label, frozenset(scopes), patterns, tenant, tuple(origins), expires_at, limits)
        return MadeKeyView.made(await add_key(catalog, asker, spec))

    _print_made(_send("POST", "/v1/keys", body, make, url, configure(data_dir)), json)


@app.command("list")
def list_keys(url: Url = None, data_dir: DataDir = None, json: Json = False) -> None:
    """List the keys, oldest first, also revoked and expired ones."""
    from service.reading import read_keys

    answer = read_catalog("/v1/keys", read_keys, url, configure(data_dir))
    if json:
        print_json(answer)
        return
    if not answer["keys"]:
        note("no keys: the service is open, on its own machine only; make one: winnow keys create --scope all")
        return
    columns = (Column("id", no_wrap=True), "label", "scopes", "collections", "state", "last used")
    table = Table(*columns, box=None, header_style="dim")
    for key in answer["keys"]:
        rights = (" ".join(key["scopes"]), " ".join(key["collections"]))
        table.add_row(key["id"], key["label"], *rights, _state(key), (key["last_used_at"] or "never")[:16])
    out().print(table)


@app.command("show")
def show_key(key_id: KeyId, url: Url = None, data_dir: DataDir = None, json: Json = False) -> None:
    """Show one key without its secret part."""
    from service.reading import read_key

    settings = configure(data_dir)
    answer = read_catalog(_path(key_id), lambda catalog, asker: read_key(catalog, asker, key_id), url, settings)
    if json:
        print_json(answer)
    else:
        answer["limits"] = [f"{name}={most}" for name, most in answer["limits"].items()]
        print_pairs((name, ", ".join(value) if isinstance(value, list) else value) for name, value in answer.items())


@app.command("limit")
def limit_key(
    key_id: KeyId,
    limit: Annotated[
        list[str] | None,
        typer.Argument(
            help="What it may use: requests_per_second, searches_per_second, documents_per_day, tokens_per_day. "
            "Without any: as the settings say.",
            metavar="[NAME=NUMBER]...",
        ),
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Change what a key may use. It gets these limits in place of those that it had."""
    limits = _limits(limit or [], "limit")

    async def change(catalog: Catalog, asker: Principal) -> BaseModel:
        from service.schemas.keys import KeyView
        from winnow.operations.keys import change_limits

        return KeyView.shown(await change_limits(catalog, asker, key_id, limits))

    answer = _send("PUT", f"{_path(key_id)}/limits", {"limits": limits}, change, url, configure(data_dir))
    if json:
        print_json(answer)
    else:
        own = " ".join(f"{name}={most}" for name, most in answer["limits"].items())
        note(f"{answer['id']}: {own or 'as the settings say'}")


@app.command("revoke")
def revoke_key(key_id: KeyId, url: Url = None, data_dir: DataDir = None, json: Json = False) -> None:
    """Make a key invalid; every process refuses it within two seconds."""

    async def end(catalog: Catalog, asker: Principal) -> BaseModel:
        from service.schemas.keys import KeyView
        from winnow.operations.keys import end_key

        return KeyView.shown(await end_key(catalog, asker, key_id))

    answer = _send("DELETE", _path(key_id), None, end, url, configure(data_dir))
    if json:
        print_json(answer)
    else:
        note(f"revoked {answer['id']} {answer['label']}".rstrip())


@app.command("rotate")
def rotate_key(
    key_id: KeyId,
    grace: Annotated[
        str, typer.Option(help="How long the old key stays valid, as 24h or 7d.", metavar="TIME")
    ] = ROTATION_GRACE,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Make a key with the same rights and print it, this once. Both are valid until the old one ends."""
    seconds = span(grace, "--grace") / timedelta(seconds=1)

    async def replace(catalog: Catalog, asker: Principal) -> BaseModel:
        from service.schemas.keys import MadeKeyView
        from winnow.operations.keys import replace_key

        return MadeKeyView.made(await replace_key(catalog, asker, key_id, grace_seconds=seconds))

    path, body = f"{_path(key_id)}:rotate", {"grace_seconds": seconds}
    _print_made(_send("POST", path, body, replace, url, configure(data_dir)), json)


def _send(
    method: str,
    path: str,
    body: dict[str, Any] | None,
    view: Callable[[Catalog, Principal], Awaitable[BaseModel]],
    url: str | None,
    settings: Settings,
) -> Any:
    return through_catalog(lambda client: client.call(method, path, body), view, url, settings)


def _print_made(made: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    print_line(made["key"])
    ends = f", until {made['expires_at'][:16]}" if made["expires_at"] else ""
    note(f"{made['id']}: {' '.join(made['scopes'])} for {' '.join(made['collections'])}{ends}")
    note("store it now: it is not shown again")


def _scopes(given: list[str] | None) -> list[Any]:
    from winnow.core.principal import SCOPES

    wanted = _words(given) or ["search"]
    return sorted(SCOPES) if EVERYTHING in wanted else wanted


def _limits(given: list[str], option: str) -> dict[Any, int]:
    """Limits of the form ``documents_per_day=1000``; which names there are is known where they are kept."""
    from winnow.core.errors import InvalidInput

    limits: dict[Any, int] = {}
    for each in _words(given) or []:
        name, _, number = each.partition("=")
        if not number.isascii() or not number.isdigit() or len(number) > _MOST_DIGITS:
            raise InvalidInput(f"{option} {each!r:.100} is not of the form documents_per_day=1000")
        limits[name] = int(number)
    return limits


def _words(given: list[str] | None) -> list[str] | None:
    """The values of an option that is repeated, or separated by commas."""
    return None if given is None else [word for each in given for word in each.replace(",", " ").split()]


def _state(key: dict[str, Any]) -> str:
    from datetime import UTC, datetime

    if key["revoked_at"]:
        return "revoked"
    if key["expires_at"] and datetime.fromisoformat(key["expires_at"]) <= datetime.now(UTC):
        return "expired"
    return f"until {key['expires_at'][:10]}" if key["expires_at"] else "valid"


def _path(key_id: str) -> str:
    return f"/v1/keys/{quote(key_id, safe='')}"
