"""``winnow keys issuer``: whose tokens are accepted besides the installation's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer
from rich.table import Column, Table

from winnow.cli.command import configure, through_catalog
from winnow.cli.console import note, out, print_json, print_line
from winnow.cli.options import DataDir, Json, Url

if TYPE_CHECKING:
    from pydantic import BaseModel

    from winnow.core.principal import Principal
    from winnow.ports import Catalog

ISSUERS = "/v1/issuers"

app = typer.Typer(help="Whose tokens are accepted besides the installation's own.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The iss of its tokens, as https://shop.example.", metavar="ISS")]


@app.command("add")
def accept_issuer(
    name: Name,
    public_key: Annotated[
        Path | None,
        typer.Option(help="File with its public key in PEM; of Ed25519, P-256 or RSA.", exists=True, dir_okay=False),
    ] = None,
    kid: Annotated[str, typer.Option(help="By which its tokens name the key (default: the key's thumbprint).")] = "",
    openid: Annotated[bool, typer.Option("--openid", help="It is an OpenID provider, whose keys are fetched.")] = False,
    jwks_url: Annotated[str, typer.Option(help="Where its keys are, if it does not say so itself.")] = "",
    audience: Annotated[str, typer.Option(help="What the aud of its tokens has to name.")] = "winnow",
    collection: Annotated[
        list[str] | None,
        typer.Option("--collection", "-c", help="Collection or pattern that its tokens may name. Repeatable."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="The only tenant of its tokens.")] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", "-s", help="What its tokens may do: search (the default), documents:read. Repeatable."),
    ] = None,
    tenant_claim: Annotated[str, typer.Option(help="Claim that tells the tenant.")] = "",
    groups_claim: Annotated[str, typer.Option(help="Claim that tells the groups.")] = "",
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Accept the tokens of a back end that signs them itself, or of an OpenID provider."""
    body = {
        "name": name,
        "public_key": "" if public_key is None else public_key.read_text(errors="replace"),
        "kid": kid,
        "openid": openid,
        "jwks_url": jwks_url,
        "audience": audience,
        "collections": collection or ["*"],
        "tenant": tenant,
        "scopes": scope or ["search"],
        "tenant_claim": tenant_claim,
        "groups_claim": groups_claim,
    }

    async def register(catalog: Catalog, asker: Principal) -> BaseModel:
        from service.schemas.tokens import IssuerBody, IssuerView
        from winnow.operations.issuers import add_issuer
        from winnow.operations.tokens import Tokens

        spec = IssuerBody.model_validate(body).to_spec()
        return IssuerView.of(await add_issuer(Tokens(catalog.tokens, catalog.trail), asker, spec))

    answer = through_catalog(lambda client: client.call("POST", ISSUERS, body), register, url, configure(data_dir))
    if json:
        print_json(answer)
        return
    kids = ", ".join(key["kid"] for key in answer["keys"])
    note(f"tokens of {name} are accepted; kid: {kids}" if kids else f"tokens of {name} are accepted")


@app.command("list")
def print_issuers(url: Url = None, data_dir: DataDir = None, json: Json = False) -> None:
    """List the issuers, by name."""

    async def read(catalog: Catalog, asker: Principal) -> BaseModel:
        from service.schemas.tokens import IssuerList, IssuerView
        from winnow.operations.issuers import see_issuers
        from winnow.operations.tokens import Tokens

        found = await see_issuers(Tokens(catalog.tokens, catalog.trail), asker)
        return IssuerList(issuers=[IssuerView.of(each) for each in found])

    answer = through_catalog(lambda client: client.call("GET", ISSUERS), read, url, configure(data_dir))
    if json:
        print_json(answer)
        return
    table = Table(Column("iss", no_wrap=True), "signs with", "keys", "collections", "tenant", box=None)
    for each in answer["issuers"]:
        keys = each["jwks_url"] or " ".join(key["kid"] for key in each["keys"])
        tenant = "any" if each["tenant"] is None else each["tenant"] or "none"
        table.add_row(each["name"], " ".join(each["algorithms"]), keys, " ".join(each["collections"]), tenant)
    out().print(table)


@app.command("remove")
def refuse_issuer(name: Name, url: Url = None, data_dir: DataDir = None) -> None:
    """Accept no token of an issuer any more. The name winnow ends every token that the installation has minted."""

    async def end(catalog: Catalog, asker: Principal) -> BaseModel:
        from service.schemas.tokens import IssuerList
        from winnow.operations.issuers import remove_issuer
        from winnow.operations.tokens import Tokens

        await remove_issuer(Tokens(catalog.tokens, catalog.trail), asker, name)
        return IssuerList(issuers=[])

    path = f"{ISSUERS}/{quote(name, safe='')}"
    through_catalog(lambda client: client.call("DELETE", path), end, url, configure(data_dir))
    print_line(f"tokens of {name} are refused within two seconds")
