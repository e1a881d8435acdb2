"""``/widget/``: one script, small, cached, checked by its hash, and open to every page."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from httpx2 import AsyncClient

from service.routes.widget import FOLDER, MODULES, widget

LIMIT = 15_000
ORIGIN = {"Origin": "https://docs.example.com"}


async def test_the_script_is_cached_for_an_hour_and_the_one_of_a_hash_for_a_year(client: AsyncClient) -> None:
    newest = await client.get("/widget/v1.js", headers=ORIGIN)
    fixed = await client.get(f"/widget/{widget().file}", headers=ORIGIN)
    assert newest.headers["cache-control"] == "public, max-age=3600"
    assert fixed.headers["cache-control"] == "public, max-age=31536000, immutable"
    for response in (newest, fixed):
        assert response.status_code == 200
        assert response.content == widget().script
        assert response.headers["content-type"].startswith("text/javascript")
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["cross-origin-resource-policy"] == "cross-origin"
    assert (await client.get("/widget/v1.0123456789abcdef.js")).status_code == 404


async def test_how_to_embed_it_is_said_with_its_integrity(client: AsyncClient) -> None:
    facts = (await client.get("/widget/v1.json")).json()
    script = (await client.get(facts["fixed"])).content
    assert facts["integrity"] == "sha384-" + base64.b64encode(hashlib.sha384(script).digest()).decode()
    assert facts["integrity"] in facts["html"]
    assert facts["fixed"] in facts["html"]


async def test_it_is_sent_packed_and_not_twice(client: AsyncClient) -> None:
    packed = await client.get("/widget/v1.js", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["vary"]
    again = await client.get(
        "/widget/v1.js", headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["etag"]}
    )
    assert again.status_code == 304
    plain = await client.get("/widget/v1.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["etag"] != packed.headers["etag"]


def test_it_is_at_most_15_kb() -> None:
    assert len(gzip.compress(widget().script, 9)) <= LIMIT


def test_its_modules_can_be_joined_line_by_line() -> None:
    declared: list[str] = []
    known: set[str] = set()
    for name in MODULES:
        source = (FOLDER / f"{name}.js").read_text("utf-8")
        for names, module in re.findall(r"^import (.*) from \"(.*)\";", source, re.MULTILINE):
            assert re.fullmatch(r"\./\w+\.js", module)
            assert {one.strip() for one in names.strip("{}").split(",")} <= known, f"{name} uses what comes later"
        own = re.findall(r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)", source, re.MULTILINE)
        declared += own
        known |= set(re.findall(r"^export (?:async )?(?:function|class|const) (\w+)", source, re.MULTILINE))
    assert sorted(declared) == sorted(set(declared))
    assert {path.stem for path in FOLDER.glob("*.js")} == set(MODULES)
    assert not re.search(r"^(import|export) ", widget().script.decode(), re.MULTILINE)


def test_it_builds_nodes_and_never_markup() -> None:
    assert not re.search(rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|style=", widget().script)


def test_it_is_a_module_that_parses(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    path = tmp_path / "widget.mjs"
    path.write_bytes(widget().script)
    subprocess.run([node, "--check", str(path)], check=True)
