"""Both overlays render without a flag, are strictly valid, and keep what the manual promises."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from winnow.core.settings import load_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
OVERLAYS = ("embedded", "gpu")
SERVING = {"winnow", "qdrant", "vllm"}
pytestmark = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")


def render(overlay: str) -> list[dict[str, Any]]:
    command = ["kubectl", "kustomize", str(DEPLOY / "k8s" / "overlays" / overlay)]
    return list(yaml.safe_load_all(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


@pytest.fixture(scope="module", params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return render(request.param)


@pytest.fixture(scope="module")
def gpu() -> list[dict[str, Any]]:
    return render("gpu")


def pods(objects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for each in objects:
        spec = each.get("spec", {})
        if each["kind"] == "RayJob":
            cluster = spec["rayClusterSpec"]
            yield from (group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]))
        elif "template" in spec:
            yield spec["template"]


def containers(objects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (one for pod in pods(objects) for one in pod["spec"]["containers"])


def named(objects: list[dict[str, Any]], kind: str, start: str) -> dict[str, Any]:
    return next(one for one in objects if one["kind"] == kind and one["metadata"]["name"].startswith(start))


def test_every_object_is_strictly_valid(objects: list[dict[str, Any]]) -> None:
    for each in objects:
        if each["kind"] != "RayJob":
            kubernetes_validate.validate(each, "1.37", strict=True)


def test_pods_of_a_ray_job_are_strictly_valid(gpu: list[dict[str, Any]]) -> None:
    job = named(gpu, "RayJob", "bulk")
    assert job["apiVersion"] == "ray.io/v1"
    assert job["spec"]["entrypoint"].startswith("winnow index ")
    assert "--engine ray" in job["spec"]["entrypoint"]
    for pod in pods([job]):
        whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray", **pod["metadata"]}, "spec": pod["spec"]}
        kubernetes_validate.validate(whole, "1.37", strict=True)


def test_every_setting_of_a_config_map_exists(objects: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in named(objects, "ConfigMap", "winnow")["data"].items():
        monkeypatch.setenv(key, value)
    assert load_settings().server.host == "0.0.0.0"


def test_the_service_takes_its_first_key_from_the_secret(objects: list[dict[str, Any]]) -> None:
    (service,) = (one for one in containers(objects) if one.get("args") == ["serve"])
    assert {"secretRef": {"name": "winnow"}} in service["envFrom"]
    for overlay in OVERLAYS:
        secret = yaml.safe_load((DEPLOY / "k8s" / "overlays" / overlay / "secret.example.yaml").read_text())
        assert "WINNOW_SERVER__BOOTSTRAP_KEY" in secret["stringData"]


def test_config_maps_hold_no_secret(objects: list[dict[str, Any]]) -> None:
    keys = [key for one in objects if one["kind"] == "ConfigMap" for key in one["data"]]
    assert not [key for key in keys if key.endswith(("API_KEY", "PASSWORD", "CATALOG__URL"))]
    assert not [one for one in objects if one["kind"] == "Secret"]


def test_pods_have_no_rights_and_no_service_variables(objects: list[dict[str, Any]]) -> None:
    for pod in pods(objects):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False  # WINNOW_PORT would be an unknown setting
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_containers_are_confined_and_bounded(objects: list[dict[str, Any]]) -> None:
    for one in containers(objects):
        context = one["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= one["resources"]["requests"].keys() & one["resources"]["limits"].keys()
        assert ":" in one["image"]
        assert not one["image"].endswith(":latest")


def test_whatever_serves_is_probed_on_a_port_it_has(objects: list[dict[str, Any]]) -> None:
    for one in (one for one in containers(objects) if one["name"] in SERVING):
        ports = {port["name"] for port in one["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert one[probe]["httpGet"]["port"] in ports
        if one["name"] == "winnow":
            assert one["livenessProbe"]["httpGet"]["path"] == "/healthz"
            assert one["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_selectors_find_pods_and_services_their_ports(objects: list[dict[str, Any]]) -> None:
    found = [(pod["metadata"]["labels"], pod) for pod in pods(objects)]
    for each in (one for one in objects if one["kind"] == "Service"):
        wanted = each["spec"]["selector"].items()
        (pod,) = [pod for labels, pod in found if wanted <= labels.items()]
        names = {port["name"] for one in pod["spec"]["containers"] for port in one["ports"]}
        assert {port["targetPort"] for port in each["spec"]["ports"]} <= names


@pytest.mark.parametrize("name", ["embedder", "reranker"])
def test_vllm_starts_with_the_shipped_flags(gpu: list[dict[str, Any]], name: str) -> None:
    config, flags = named(gpu, "ConfigMap", "vllm"), yaml.safe_load((DEPLOY / "vllm" / f"{name}.yaml").read_text())
    (server,) = named(gpu, "Deployment", name)["spec"]["template"]["spec"]["containers"]
    assert config["data"] == {
        path.name: path.read_text() for path in (DEPLOY / "vllm").iterdir() if path.name in SHIPPED
    }
    assert server["args"] == ["--config", f"{name}.yaml"]
    assert [port["containerPort"] for port in server["ports"]] == [flags["port"]]
    assert server["startupProbe"]["periodSeconds"] * server["startupProbe"]["failureThreshold"] == 600
    settings = named(gpu, "ConfigMap", "winnow")["data"]
    stage = {"embedder": "EMBEDDING", "reranker": "RERANK"}[name]
    assert settings[f"WINNOW_{stage}__URL"] == f"http://{name}:{flags['port']}"
    assert settings[f"WINNOW_{stage}__MODEL"] == flags["model"]


SHIPPED = {"embedder.yaml", "reranker.yaml", "qwen3_reranker.jinja"}
