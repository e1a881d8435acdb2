"""The image's recipe, the compose file and the wheel that both are made of."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from indexer.worker.claims import RELEASE_SECONDS
from indexer.worker.loop import STOP_SECONDS
from tests.deploy.policies_pods import CLOSE_SECONDS
from winnow.core.errors import InvalidSettings
from winnow.core.settings import ServerSettings, load_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return loaded


@pytest.mark.skipif(not shutil.which("hadolint"), reason="hadolint is not installed")
def test_hadolint_finds_nothing() -> None:
    subprocess.run(["hadolint", ROOT / "deploy" / "docker" / "Dockerfile"], check=True)


OURS = ["winnow", "service", "worker", "service-gpu", "worker-gpu"]
SERVING = ["winnow", "service", "service-gpu"]


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_a_container_exist(compose: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in compose["services"][name]["environment"].items():
        monkeypatch.setenv(key, value)
    if "env_file" in compose["services"][name]:
        monkeypatch.setenv("WINNOW_CATALOG__URL", "postgresql://winnow:secret@postgres:5432/winnow")
    load_settings()


def test_whatever_serves_has_a_first_key_and_is_never_insecure(compose: dict[str, Any]) -> None:
    for name in SERVING:
        assert compose["services"][name]["environment"]["WINNOW_SERVER__BOOTSTRAP_KEY"].startswith("${WINNOW_SERVER__")
    shipped = (ROOT / "compose.yaml", *(path for path in (ROOT / "deploy").rglob("*") if path.is_file()))
    assert not [path for path in shipped if "INSECURE" in path.read_text()]


def test_containers_are_pinned_and_reachable_from_this_machine_alone(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert service["image"].rpartition(":")[2] not in {"", "latest"}
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_every_container_has_a_profile_and_what_it_waits_for_has_the_same(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert {profile for one in services.values() for profile in one["profiles"]} == {"embedded", "qdrant", "gpu"}
    for one in services.values():
        for other in one.get("depends_on", {}):
            assert set(one["profiles"]) <= set(services[other]["profiles"])


def test_every_container_has_a_memory_limit_and_rotated_logs(compose: dict[str, Any]) -> None:
    for one in compose["services"].values():
        assert one["mem_limit"].endswith("g")
        assert one["logging"]["options"] == {"max-size": "10m", "max-file": "5"}


def test_containers_are_given_the_time_to_end_that_the_code_takes(compose: dict[str, Any]) -> None:
    indexing, answering = STOP_SECONDS + RELEASE_SECONDS, ServerSettings().model_seconds
    needed = {"winnow": answering + indexing, "service": answering, "worker": indexing}
    for name in OURS:
        seconds = needed[name.removesuffix("-gpu")] + CLOSE_SECONDS
        assert compose["services"][name]["stop_grace_period"] == f"{seconds:g}s"


def test_our_containers_are_read_only_and_confined(compose: dict[str, Any]) -> None:
    for name in OURS:
        one = compose["services"][name]
        assert one["read_only"] is True
        assert one["cap_drop"] == ["ALL"]
        assert one["build"]["target"] == "service"
        assert one["image"].startswith("winnow:")


def test_an_unfilled_example_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    example = (ROOT / "deploy" / "docker" / "scale.env.example").read_text()
    lines = [line.partition("=") for line in example.splitlines() if "=" in line and not line.startswith("#")]
    assert all(not value or not value.isascii() for _, _, value in lines)
    monkeypatch.setenv("WINNOW_VECTORS__PROVIDER", "qdrant")
    monkeypatch.setenv("WINNOW_VECTORS__URL", "http://qdrant:6333")
    for key, _, value in lines:
        if key.startswith("WINNOW_"):
            monkeypatch.setenv(key, value)
    with pytest.raises(InvalidSettings, match="WINNOW_VECTORS__API_KEY"):
        load_settings()


def test_images_have_a_target_each_and_pinned_bases() -> None:
    recipe = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()
    stages = re.findall(r"(?m)^FROM (\S+)(?: AS (\S+))?$", recipe)
    assert {name for _, name in stages} >= {"service", "indexer", "indexer-gpu", "sbom"}
    assert stages[-1] == ("service", "")
    bases = {base for base, _ in stages if "$" in base}
    assert bases == {"${PYTHON_IMAGE}${PYTHON_DIGEST}", "${VLLM_IMAGE}${VLLM_DIGEST}"}
    for label in ("title", "description", "licenses", "version", "revision", "source"):
        assert recipe.count(f"org.opencontainers.image.{label}=") >= 2  # the runtime of two images, and vLLM's


def test_what_an_image_adds_is_pinned_and_installed_for_the_tests_so_that_a_conflict_shows_in_time() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    recipe = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()
    extras = {name for names in re.findall(r'"\.\[([a-z0-9,]+)\]"', recipe) for name in names.split(",")}
    assert extras >= {"parquet", "ray", "s3"}
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    for requirement in (each for extra in extras for each in project["project"]["optional-dependencies"][extra]):
        assert requirement in project["dependency-groups"]["dev"]
        assert re.split(r"[\[><=;]", requirement)[0] in pinned


def test_every_installation_of_an_image_is_pinned_and_leaves_vllm_what_it_brought(tmp_path: Path) -> None:
    recipe = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()
    installs = re.findall(r'pip\S*(?: --python \S+)? install (.*?"\.\S*")', recipe)
    assert len(installs) == 3
    assert all(re.search(r"-c (constraints|added)\.txt ", each) for each in installs)
    (program,) = re.findall(r"awk -F == '(.+)' \\", recipe)
    (tmp_path / "there.txt").write_text("FastAPI==0.136.0\nPython_Multipart==0.0.1\ntorch==2.13.0+cu130\n")
    command = ["awk", "-F", "==", program, "there.txt", ROOT / "constraints.txt"]
    added = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()
    pinned = (ROOT / "constraints.txt").read_text().splitlines()
    assert {each.partition("==")[0] for each in set(pinned) - set(added)} == {"fastapi", "python-multipart", "torch"}
    assert set(added) < set(pinned)


def test_the_wheel_holds_what_is_read_at_run_time(tmp_path: Path) -> None:
    code = "import sys, hatchling.build as b; print(b.build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    packages = ("indexer", "service", "winnow")
    files = (path for package in packages for path in (ROOT / package).rglob("*") if path.is_file())
    assert {str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc"} <= held
    assert "winnow/catalog/migrations/env.py" in held
