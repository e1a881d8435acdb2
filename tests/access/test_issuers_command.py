"""``winnow keys issuer``, without a running service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from tests.access.signing import pem_of
from winnow.cli.issuers import app

SHOP = "https://shop.example"


def run(tmp_path: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments, "--data-dir", str(tmp_path / "data")])


def test_an_issuer_is_added_listed_and_removed(tmp_path: Path) -> None:
    (tmp_path / "shop.pub").write_text(pem_of(ec.generate_private_key(ec.SECP256R1())))
    added = run(
        tmp_path, "add", SHOP, "--public-key", str(tmp_path / "shop.pub"), "--tenant", "acme", "-c", "docs", "--json"
    )
    assert added.exit_code == 0, added.output
    listed = json.loads(run(tmp_path, "list", "--json").stdout)["issuers"]
    assert listed == [json.loads(added.stdout)]
    assert (listed[0]["algorithms"], listed[0]["tenant"], listed[0]["collections"]) == (["ES256"], "acme", ["docs"])
    assert SHOP in run(tmp_path, "list").output
    assert run(tmp_path, "remove", SHOP).exit_code == 0
    assert json.loads(run(tmp_path, "list", "--json").stdout) == {"issuers": []}
