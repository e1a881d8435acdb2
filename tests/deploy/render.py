"""Renders overlays and compositions of components with `kubectl kustomize`, and finds things in what came out."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
K8S = ROOT / "deploy" / "k8s"
OVERLAYS = ("embedded", "dashscope", "gpu-small", "gpu-cluster")
HAS_KUSTOMIZE = shutil.which("kubectl") is not None
SETTINGS, NAMESPACE = "winnow", "winnow"
NAME, COMPONENT, INSTANCE = (f"app.kubernetes.io/{key}" for key in ("name", "component", "instance"))
CUSTOM = {
    "ray.io",
    "postgresql.cnpg.io",
    "keda.sh",
    "monitoring.coreos.com",
    "gateway.networking.k8s.io",
    "external-secrets.io",
}

Object = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """The template of a workload's pods, with the object that it belongs to."""

    owner: Object
    template: Object

    @property
    def spec(self) -> Object:
        return self.template["spec"]

    @property
    def labels(self) -> dict[str, str]:
        return self.template["metadata"]["labels"]

    @property
    def component(self) -> str:
        return self.labels.get(COMPONENT, "")

    @property
    def containers(self) -> list[Object]:
        """All of them, those that run first included."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


@dataclass
class World:
    """What one overlay renders to."""

    overlay: str
    objects: list[Object]
    changed: Object | None = field(default=None)  # the one that a mutant has changed

    def of(self, *kinds: str) -> list[Object]:
        return [each for each in self.objects if each["kind"] in kinds]

    def one(self, kind: str, name: str) -> Object:
        """The object of this name, with or without the hash at its end."""
        found = [each for each in self.of(kind) if plain(each["metadata"]["name"]) == name]
        assert len(found) == 1, f"{kind} {name}: {len(found)} in {self.overlay}"
        return found[0]

    def has(self, kind: str, name: str) -> bool:
        return any(plain(each["metadata"]["name"]) == name for each in self.of(kind))

    @property
    def pods(self) -> list[Pod]:
        return [pod for each in self.objects for pod in pods_of(each)]

    @property
    def settings(self) -> dict[str, str]:
        return self.one("ConfigMap", SETTINGS)["data"]


def plain(name: str) -> str:
    """A generated name without its hash."""
    stem, _, tail = name.rpartition("-")
    return stem if stem and len(tail) == 10 and any(c.isdigit() for c in tail) else name


def pods_of(each: Object) -> Iterator[Pod]:
    """The templates of pods in one object."""
    spec = each.get("spec") or {}
    match each["kind"]:
        case "Deployment" | "StatefulSet" | "Job":
            yield Pod(each, spec["template"])
        case "CronJob":
            yield Pod(each, spec["jobTemplate"]["spec"]["template"])
        case "RayJob":
            cluster = spec["rayClusterSpec"]
            for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
                yield Pod(each, group["template"])


def is_custom(each: Object) -> bool:
    """Whether an object's kind is defined by an operator."""
    return each["apiVersion"].partition("/")[0] in CUSTOM


@cache
def _rendered(folder: Path) -> str:
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{folder}: {done.stderr}"
    assert "warning" not in done.stderr.lower(), done.stderr
    return done.stdout


@cache
def _objects(overlay: str) -> tuple[Object, ...]:
    return tuple(yaml.safe_load_all(_rendered(K8S / "overlays" / overlay)))


def render(overlay: str) -> World:
    """One overlay as it is shipped. Its objects are shared: change copies of them."""
    return World(overlay, list(_objects(overlay)))


def compose(overlay: str, kustomization: Mapping[str, Any], files: Mapping[str, str] | None = None) -> World:
    """A site over an overlay: what `kustomization` adds to it, with `files` beside it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
        content = {"namespace": NAMESPACE, "resources": [relative(folder, K8S / "overlays" / overlay)], **kustomization}
        content["components"] = [
            relative(folder, K8S / "components" / each) for each in kustomization.get("components", [])
        ]
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
        return World(overlay, list(yaml.safe_load_all(_rendered.__wrapped__(folder))))


def relative(folder: Path, target: Path) -> str:
    return os.path.relpath(target, folder)


def owner_name(each: Object) -> str:
    return f"{each['kind']} {each['metadata']['name']}"


def container_ports(pod: Pod) -> dict[str, int]:
    """Name and number of each port of a pod."""
    return {port["name"]: port["containerPort"] for one in pod.containers for port in one.get("ports", [])}


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes a pod of these labels."""
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    return all(_holds(each, labels) for each in selector.get("matchExpressions", []))


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values", ())
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None


def megabytes(quantity: str) -> float:
    """A quantity of memory in MiB."""
    units: Sequence[tuple[str, float]] = (("Gi", 1024), ("Mi", 1), ("Ki", 1 / 1024))
    for unit, factor in units:
        if quantity.endswith(unit):
            return float(quantity.removesuffix(unit)) * factor
    return float(quantity) / 1024**2


def cpus(quantity: str) -> float:
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)
