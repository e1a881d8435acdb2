"""Policies of pods: rights, resources, probes, images, volumes, what starts them and what ends them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache

from indexer.worker.claims import RELEASE_SECONDS
from indexer.worker.loop import STOP_SECONDS
from tests.deploy.policies import holds, policy
from tests.deploy.render import (
    COMPONENT,
    INSTANCE,
    NAME,
    ROOT,
    Object,
    Pod,
    World,
    container_ports,
    matches,
    owner_name,
)
from winnow.core.settings import ServerSettings

PRIORITY = {
    "service": "winnow-search",
    "qdrant": "winnow-search",
    "embedder": "winnow-search",
    "reranker": "winnow-rerank",
    "worker": "winnow-bulk",
    "snapshots": "winnow-bulk",
    "bulk": "winnow-bulk",
}
SERVING = {"service", "worker", "qdrant", "embedder", "reranker"}
STARTUP_SECONDS = {"service": 600, "worker": 600, "qdrant": 1800, "embedder": 1800, "reranker": 1800}
HEALTH = {"service": ("/healthz", "/readyz"), "worker": ("/healthz", "/readyz"), "qdrant": ("/livez", "/readyz")}
CLOSE_SECONDS = 20
QDRANT_USER, OUR_USER = 1000, 10001


@cache
def version() -> str:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@cache
def compose_images() -> dict[str, str]:
    """Names and tags of the images of compose.yaml."""
    found = re.findall(r"image: (\S+):(\S+)", (ROOT / "compose.yaml").read_text())
    return dict(found)


def grace(pod: Pod, world: World) -> int | None:
    """Seconds that a pod has between SIGTERM and SIGKILL; ``None``: Kubernetes' default."""
    match pod.component:
        case "service":
            answering = float(world.settings["WINNOW_SERVER__DRAIN_SECONDS"]) + ServerSettings().model_seconds
            indexing = STOP_SECONDS + RELEASE_SECONDS if _is_single(pod) else 0
            return int(answering + indexing + CLOSE_SECONDS)
        case "worker":
            return int(STOP_SECONDS + RELEASE_SECONDS + CLOSE_SECONDS)
        case "bulk":
            return int(RELEASE_SECONDS + CLOSE_SECONDS)
        case "qdrant":
            return 120
        case "embedder" | "reranker":
            return 60
        case _:
            return None


@policy
def pods_have_no_rights_on_the_cluster(world: World) -> Iterator[bool | str]:
    for pod in world.pods:
        yield holds(pod.spec["automountServiceAccountToken"] is False, f"{owner_name(pod.owner)} has a token")
        yield holds(pod.spec["serviceAccountName"] == "winnow", f"{owner_name(pod.owner)}: service account")
    account = world.one("ServiceAccount", "winnow")
    yield holds(account["automountServiceAccountToken"] is False, "the service account has a token")


@policy
def pods_are_restricted(world: World) -> Iterator[bool | str]:
    for pod in world.pods:
        who, context = owner_name(pod.owner), pod.spec["securityContext"]
        user = QDRANT_USER if pod.component == "qdrant" else OUR_USER
        yield holds(context["runAsNonRoot"] is True, f"{who}: root")
        yield holds({context["runAsUser"], context["runAsGroup"], context["fsGroup"]} == {user}, f"{who}: user")
        yield holds(context["seccompProfile"] == {"type": "RuntimeDefault"}, f"{who}: seccomp")
        yield holds(context["fsGroupChangePolicy"] == "OnRootMismatch", f"{who}: a start that walks the volume")
        foreign = {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & pod.spec.keys()
        yield holds(not foreign, f"{who}: {foreign}")


@policy
def containers_are_confined(world: World) -> Iterator[bool | str]:
    for pod in world.pods:
        for one in pod.containers:
            who, context = f"{owner_name(pod.owner)}/{one['name']}", one["securityContext"]
            yield holds(context["readOnlyRootFilesystem"] is True, f"{who}: root can be written")
            yield holds(context["allowPrivilegeEscalation"] is False, f"{who}: may gain rights")
            yield holds(context["capabilities"] == {"drop": ["ALL"]}, f"{who}: capabilities")
            yield holds("privileged" not in context, f"{who}: privileged")


RESOURCES = {  # requests and limits: CPU, memory
    "migrate": ("100m", "512Mi", "1", "1Gi"),
    "winnow": ("1", "1Gi", "2", "2Gi"),
    "worker": ("1", "1Gi", "2", "4Gi"),
    "qdrant": ("1", "4Gi", "4", "8Gi"),
    "snapshots": ("100m", "128Mi", "1", "512Mi"),
    "weights": ("100m", "128Mi", "1", "512Mi"),
    "vllm": ("2", "8Gi", "8", "24Gi"),
}
SINGLE = ("1", "2Gi", "4", "4Gi")


@policy
def containers_are_bounded(world: World) -> Iterator[bool | str]:
    for pod in world.pods:
        for one in pod.containers:
            who, wants, limits = f"{owner_name(pod.owner)}/{one['name']}", *_resources(one)
            found = (wants["cpu"], wants["memory"], limits["cpu"], limits["memory"])
            single = pod.owner["kind"] == "StatefulSet" and one["name"] == "winnow"
            yield holds(found == (SINGLE if single else RESOURCES[one["name"]]), f"{who}: {found}")
            extended = {key: value for key, value in wants.items() if key not in {"cpu", "memory"}}
            same = {key: value for key, value in limits.items() if key not in {"cpu", "memory"}}
            yield holds(extended == same and set(extended.values()) <= {"1"}, f"{who}: GPUs")


def _resources(one: Object) -> tuple[Object, Object]:
    return one["resources"]["requests"], one["resources"]["limits"]


@policy
def variables_of_services_are_off(world: World) -> Iterator[bool | str]:
    for pod in world.pods:
        yield holds(pod.spec["enableServiceLinks"] is False, f"{owner_name(pod.owner)}: WINNOW_PORT would be set")


@policy
def searches_come_before_bulk_work(world: World) -> Iterator[bool | str]:
    for pod in world.pods:
        yield holds(pod.spec["priorityClassName"] == PRIORITY[pod.component], f"{owner_name(pod.owner)}: priority")


@policy
def pods_end_within_their_grace(world: World) -> Iterator[bool | str]:
    for pod in world.pods:
        given, needed = pod.spec.get("terminationGracePeriodSeconds"), grace(pod, world)
        yield holds(given == needed, f"{owner_name(pod.owner)}: {given} s of grace, not {needed}")
        yield holds(not any("lifecycle" in one for one in pod.containers), "a hook would use up the grace")


@policy
def images_are_pinned_to_one_version(world: World) -> Iterator[bool | str]:
    wanted = {**compose_images(), "winnow": version(), "winnow-indexer": version()}
    for pod in world.pods:
        for one in pod.containers:
            name, _, tag = one["image"].partition(":")
            yield holds(tag == wanted.get(name), f"{owner_name(pod.owner)}: {one['image']}")
            yield holds(one.get("imagePullPolicy") in {None, "IfNotPresent"}, f"{owner_name(pod.owner)}: pulls always")


@policy
def labels_tell_overlay_and_component(world: World) -> Iterator[bool | str]:
    for each in world.objects:
        labels = each["metadata"]["labels"]
        yield holds(labels[INSTANCE] == world.overlay, f"{owner_name(each)}: instance")
        yield holds(each["metadata"]["namespace"] == "winnow", f"{owner_name(each)}: namespace")
    for pod in world.pods:
        yield holds(
            pod.labels == {NAME: "winnow", COMPONENT: pod.component, INSTANCE: world.overlay}, "labels of a pod"
        )
        yield holds(pod.component in PRIORITY, f"{owner_name(pod.owner)}: component {pod.component}")


@policy
def selectors_find_the_pods_of_their_own_workload(world: World) -> Iterator[bool | str]:
    for each in world.of("Deployment", "StatefulSet"):
        wanted = each["spec"]["selector"]["matchLabels"]
        yield holds(wanted == each["spec"]["template"]["metadata"]["labels"], f"{owner_name(each)}: selector")
        yield holds(each["spec"]["selector"].keys() == {"matchLabels"}, f"{owner_name(each)}: selector")


@policy
def replicas_are_spread(world: World) -> Iterator[bool | str]:
    for pod in world.pods:
        if pod.owner["kind"] not in {"Deployment", "StatefulSet"} or _is_single(pod):
            continue
        who, spread = owner_name(pod.owner), pod.spec.get("topologySpreadConstraints", [])
        for each in spread:
            yield holds(each["labelSelector"] == {"matchLabels": pod.labels}, f"{who}: spreads other pods")
            yield holds(each["whenUnsatisfiable"] == "ScheduleAnyway" and each["maxSkew"] == 1, f"{who}: spread")
        keys = {each["topologyKey"] for each in spread}
        yield holds(keys <= {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}, f"{who}: {keys}")
        if pod.component == "qdrant":
            (term,) = pod.spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
            yield holds(term["topologyKey"] == "kubernetes.io/hostname", "two copies of a shard on one machine")
            yield holds(term["labelSelector"] == {"matchLabels": pod.labels}, "two copies of a shard on one machine")
            yield holds("topology.kubernetes.io/zone" in keys, "zones")
        else:
            yield holds("kubernetes.io/hostname" in keys, f"{who}: on one machine")
            two = pod.component in {"service", "worker"}
            yield holds(not two or "topology.kubernetes.io/zone" in keys, f"{who}: in one zone")


def _is_single(pod: Pod) -> bool:
    return pod.component == "service" and pod.owner["kind"] == "StatefulSet"


@policy
def probes_ask_what_they_should(world: World) -> Iterator[bool | str]:
    for pod in world.pods:
        if pod.component not in SERVING:
            yield holds("readinessProbe" not in pod.spec["containers"][0], f"{owner_name(pod.owner)} serves nothing")
            continue
        (one,), who = pod.spec["containers"], owner_name(pod.owner)
        live, ready = HEALTH.get(pod.component, ("/health", "/health"))
        for probe, path in (("startupProbe", live), ("livenessProbe", live), ("readinessProbe", ready)):
            yield holds(
                one[probe]["httpGet"] == {"path": path, "port": "operations" if pod.component == "worker" else "http"},
                f"{who}: {probe}",
            )
            yield holds(one[probe].get("successThreshold", 1) == 1, f"{who}: {probe}")
        begin, alive, ready_probe = one["startupProbe"], one["livenessProbe"], one["readinessProbe"]
        window = begin["periodSeconds"] * begin["failureThreshold"]
        yield holds(window == STARTUP_SECONDS[pod.component], f"{who}: {window} s to start")
        pause = 20 if pod.component in {"embedder", "reranker"} else 10
        patience = (alive["failureThreshold"], alive["periodSeconds"], alive["timeoutSeconds"])
        yield holds(patience == (6, pause, pause // 2), f"{who}: dies of a pause: {patience}")
        yield holds(ready_probe["periodSeconds"] == (10 if pod.component == "worker" else 5), f"{who}: readiness")
        yield holds(ready_probe["timeoutSeconds"] == READY_TIMEOUT[pod.component], f"{who}: readiness")


READY_TIMEOUT = {
    "service": 6,
    "worker": 6,
    "qdrant": 3,
    "embedder": 5,
    "reranker": 5,
}  # the service's checks take up to 5 s


SCRATCH = {  # the room of each folder that is lost with its pod
    ("service", "tmp"): "2Gi",
    ("worker", "tmp"): "2Gi",
    ("qdrant", "tmp"): "1Gi",
    ("snapshots", "tmp"): "64Mi",
    ("embedder", "tmp"): "10Gi",
    ("embedder", "shm"): "2Gi",
    ("reranker", "tmp"): "10Gi",
    ("reranker", "shm"): "2Gi",
    ("bulk", "tmp"): "20Gi",
    ("bulk", "shm"): "2Gi",
}


@policy
def volumes_are_mounted_where_they_are_needed(world: World) -> Iterator[bool | str]:
    for pod in world.pods:
        who = owner_name(pod.owner)
        claims = {each["metadata"]["name"] for each in pod.owner["spec"].get("volumeClaimTemplates", [])}
        volumes = {each["name"]: each for each in pod.spec.get("volumes", [])}
        mounted = {mount["name"] for one in pod.containers for mount in one.get("volumeMounts", [])}
        yield holds(mounted == volumes.keys() | claims, f"{who}: {mounted ^ (volumes.keys() | claims)}")
        for one in pod.containers:
            mounts = {mount["name"]: mount for mount in one["volumeMounts"]}
            yield holds(mounts["tmp"] == {"name": "tmp", "mountPath": "/tmp"}, f"{who}/{one['name']}: /tmp")
            for name, mount in mounts.items():
                given = volumes.get(name, {}).keys() & {"secret", "configMap"}
                yield holds(mount.get("readOnly", False) is bool(given), f"{who}/{one['name']}: {name}")
        for volume in volumes.values():
            yield holds(len(volume) == 2, f"{who}: {volume['name']} has no source, or two")
            size = volume.get("emptyDir", {"sizeLimit": None}).get("sizeLimit", "any")
            yield holds(size == SCRATCH.get((pod.component, volume["name"])), f"{who}: {volume['name']} {size}")
            yield holds("hostPath" not in volume, f"{who}: {volume['name']}")
            mode = volume.get("secret", {"defaultMode": 0o440}).get("defaultMode")
            yield holds(mode == 0o440, f"{who}: anyone reads a key")
        memory = [each["name"] for each in volumes.values() if each.get("emptyDir", {}).get("medium") == "Memory"]
        wanted = ["shm"] if pod.component in {"embedder", "reranker", "bulk"} else []
        yield holds(memory == wanted, f"{who}: shared memory")
        paths = {m["mountPath"] for one in pod.containers for m in one["volumeMounts"] if m["name"] == "shm"}
        yield holds(paths == ({"/dev/shm"} if wanted else set()), f"{who}: {paths}")


@policy
def gpus_are_asked_for_where_they_are(world: World) -> Iterator[bool | str]:
    for pod in world.pods:
        models = pod.component in {"embedder", "reranker"}
        taken = [key for one in pod.containers for key in one["resources"]["requests"] if "/" in key]
        shared = "nvidia.com/gpu.shared" if world.overlay == "gpu-small" else "nvidia.com/gpu"
        yield holds(taken == ([shared] if models else []), f"{owner_name(pod.owner)}: {taken}")
        if models:
            (one,) = pod.spec["tolerations"]
            yield holds(one == {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}, "toleration")
            yield holds(pod.spec["nodeSelector"] == {"nvidia.com/gpu.present": "true"}, "node selector")


@policy
def workloads_are_updated_one_pod_after_the_other(world: World) -> Iterator[bool | str]:
    for each in world.of("Deployment"):
        strategy = each["spec"].get("strategy", {}).get("rollingUpdate")
        wanted = {"maxUnavailable": 0, "maxSurge": 1} if each["metadata"]["name"] == "winnow" else None
        yield holds(strategy == wanted, f"{owner_name(each)}: {strategy}")
    for each in world.of("StatefulSet"):
        yield holds("updateStrategy" not in each["spec"], f"{owner_name(each)}: is not rolled")


def pod_of(world: World, labels: dict[str, str]) -> list[Pod]:
    """The pods that a plain selector takes."""
    return [pod for pod in world.pods if matches({"matchLabels": labels}, pod.labels)]


def ports_of(world: World, component: str) -> dict[str, int]:
    """The ports of a component's pods."""
    return container_ports(next(pod for pod in world.pods if pod.component == component))
