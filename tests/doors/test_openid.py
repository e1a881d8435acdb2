"""Tokens of a real OpenID provider (``oidc-provider`` for Node), accepted by ``winnow keys issuer add``."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from typer.testing import CliRunner

from tests.conftest import Service
from tests.doors.conftest import MODULES, beside_modules, node
from tests.faults.processes import free_port
from winnow.cli.issuers import app
from winnow.core.api_key import digest_of, id_of, new_key
from winnow.core.principal import SCOPES
from winnow.operations.tokens import RETRY_SECONDS
from winnow.ports import ApiKey

AUDIENCE: Final = "https://search.example"
DOCUMENTS: Final = [
    {"id": "1", "tenant": "acme", "text": "minutes of acme", "acl": {"groups": ["board"]}},
    {"id": "1", "tenant": "globex", "text": "minutes of globex"},
    {"id": "2", "tenant": "globex", "text": "minutes of the board", "acl": {"groups": ["board"]}},
    {"id": "1", "text": "minutes of no tenant"},
]


class Provider:
    """The provider, which starts, and starts again with a further key."""

    def __init__(self, folder: Path) -> None:
        self.issuer = f"http://127.0.0.1:{free_port()}"
        self._keys = folder / "keys.json"

    @contextmanager
    def running(self, *options: str) -> Iterator[None]:
        """Run it until the block ends."""
        port = self.issuer.rpartition(":")[2]
        command = [node(), str(beside_modules("openid.mjs")), port, str(self._keys), *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = process.stdout.readline()
            if said != "ready\n":
                process.kill()
                raise AssertionError(process.communicate()[1])
            yield
            process.terminate()
            process.communicate()

    async def token(self, user: str, audience: str = AUDIENCE) -> str:
        """A token of a user for an audience."""
        form = {"grant_type": "client_credentials", "resource": audience, "scope": "read"}
        async with httpx2.AsyncClient() as client:
            answer = await client.post(f"{self.issuer}/token", data=form, auth=(user, user))
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token


@pytest.fixture
async def shut(service: Service) -> Service:
    """A service with keys, and documents of two tenants and of none."""
    if not (MODULES / "oidc-provider").exists():
        pytest.skip("the OpenID provider for Node is not installed: make clients")
    await service.fill("docs", DOCUMENTS)
    await service.fill("others", [{"id": "1", "tenant": "acme", "text": "minutes"}])
    key = new_key()
    kept = ApiKey(id_of(key), digest_of(key), "admin", frozenset(SCOPES), ("*",))
    await service.resources.catalog.keys.add(kept)
    service.app.state.service.callers.forget()
    return service


async def found(service: Service, token: str, **body: Any) -> set[str] | tuple[int, str]:
    """The texts that a search with a token finds, or how it is refused."""
    header = {"Authorization": f"Bearer {token}"}
    answer = await service.client.post(
        "/v1/collections/docs/search", json={"query": "minutes", "mode": "sparse", **body}, headers=header
    )
    if answer.status_code != 200:
        return answer.status_code, answer.json()["detail"]
    return {each["text"] for each in answer.json()["results"]}


async def accept(service: Service, issuer: str, *options: str) -> str:
    """Accept the issuer's tokens with the command; returns what it printed."""
    data = ("--data-dir", str(service.resources.settings.data_dir))
    command = ["add", issuer, "--openid", "--audience", AUDIENCE, "-c", "docs", *options, *data]
    done = await asyncio.to_thread(CliRunner().invoke, app, command)
    assert done.exit_code == 0, done.output
    service.app.state.service.callers.tokens.forget()
    return done.output


async def test_users_of_a_provider_find_what_their_organization_and_teams_may(shut: Service, tmp_path: Path) -> None:
    provider = Provider(tmp_path)
    with provider.running():
        await accept(shut, provider.issuer, "--tenant-claim", "org", "--groups-claim", "teams")
        anna, bela, eve = [await provider.token(each) for each in ("anna", "bela", "eve")]
        assert await found(shut, anna) == {"minutes of acme"}
        assert await found(shut, bela) == {"minutes of globex"}
        assert (await found(shut, anna, tenant="globex"))[0] == 403
        status, why = await found(shut, eve)
        assert status == 401
        assert "org" in why
        status, why = await found(shut, await provider.token("anna", "https://shop.example"))
        assert (status, "audience" in why.lower()) == (401, True)
        status, _ = await found(shut, f"{anna[:-6]}AAAAAA")
        assert status == 401
        header = {"Authorization": f"Bearer {anna}"}
        assert (await shut.client.get("/v1/collections/others", headers=header)).status_code == 404


async def test_keys_that_the_provider_rotates_are_fetched_when_a_token_names_a_new_one(
    shut: Service, tmp_path: Path
) -> None:
    provider, tokens = Provider(tmp_path), shut.app.state.service.callers.tokens
    with provider.running():
        await accept(shut, provider.issuer, "--tenant-claim", "org", "--groups-claim", "teams")
        old = await provider.token("anna")
        assert await found(shut, old) == {"minutes of acme"}
    now = tokens.timer
    tokens.timer = lambda: now() + RETRY_SECONDS + 1
    with provider.running("rotate"):
        new = await provider.token("anna")
        assert await found(shut, new) == {"minutes of acme"}
        assert await found(shut, old) == {"minutes of acme"}  # the provider still publishes its key
