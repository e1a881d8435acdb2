"""The image's recipe, the compose file and the wheel that both are made of."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from winnow.core.settings import load_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return loaded


@pytest.mark.skipif(not shutil.which("hadolint"), reason="hadolint is not installed")
def test_hadolint_finds_nothing() -> None:
    subprocess.run(["hadolint", ROOT / "deploy" / "docker" / "Dockerfile"], check=True)


@pytest.mark.parametrize("name", ["winnow", "api", "worker"])
def test_the_settings_of_a_container_exist(compose: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in compose["services"][name]["environment"].items():
        monkeypatch.setenv(key, value)
    load_settings()


def test_whatever_serves_has_a_first_key_and_is_never_insecure(compose: dict[str, Any]) -> None:
    for name in ("winnow", "api"):
        assert compose["services"][name]["environment"]["WINNOW_SERVER__BOOTSTRAP_KEY"].startswith("${WINNOW_SERVER__")
    shipped = (ROOT / "compose.yaml", *(path for path in (ROOT / "deploy").rglob("*") if path.is_file()))
    assert not [path for path in shipped if "INSECURE" in path.read_text()]


def test_containers_are_pinned_and_reachable_from_this_machine_alone(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert service["image"].rpartition(":")[2] not in {"", "latest"}
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_only_the_embedded_container_starts_without_a_profile(compose: dict[str, Any]) -> None:
    assert [name for name, one in compose["services"].items() if "profiles" not in one] == ["winnow"]
    for one in compose["services"].values():
        assert set(one.get("depends_on", {})) <= compose["services"].keys()


def test_the_wheel_holds_what_is_read_at_run_time(tmp_path: Path) -> None:
    code = "import sys, hatchling.build as b; print(b.build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    packages = ("indexer", "service", "winnow")
    files = (path for package in packages for path in (ROOT / package).rglob("*") if path.is_file())
    assert {str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc"} <= held
    assert "winnow/catalog/migrations/env.py" in held
