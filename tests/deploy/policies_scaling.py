"""Policies of what scales, survives a drain, keeps its volume and can be applied again."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from tests.deploy.policies import holds, policy
from tests.deploy.policies_settings import component_of
from tests.deploy.render import COMPONENT, INSTANCE, NAME, ROOT, World, matches, owner_name
from tests.deploy.schemas import custom_errors, kubernetes_errors

SIZES = {"data": "20Gi", "storage": "100Gi", "weights": "20Gi"}
KEPT = {"winnow": ("Retain", "Retain"), "qdrant": ("Retain", "Retain")}
REPLICAS = {
    "embedded": {"winnow": 1},
    "dashscope": {"winnow": 2, "worker": 2, "qdrant": 1},
    "gpu-small": {"winnow": 1, "embedder": 1, "reranker": 1},
    "gpu-cluster": {"qdrant": 3},
}
BOUNDS = {"winnow": (2, 10), "worker": (1, 10), "embedder": (2, 4), "reranker": (2, 4)}
MONITORING = ROOT / "deploy" / "monitoring"
PROMETHEUS = "http://prometheus-operated.monitoring:9090"
QUERIES = {
    "worker": ('max(winnow_backlog_documents{namespace="winnow"})', "2000", 300),
    "embedder": ('sum(vllm:num_requests_waiting{namespace="winnow", service="embedder"})', "64", 600),
    "reranker": ('sum(vllm:num_requests_waiting{namespace="winnow", service="reranker"})', "100", 600),
}
KINDS = {"worker": "Deployment", "winnow": "Deployment", "embedder": "StatefulSet", "reranker": "StatefulSet"}


@policy
def objects_are_strictly_valid(world: World) -> Iterator[bool | str]:
    """Only the changed object of a mutant: the others were valid."""
    for each in [world.changed] if world.changed else world.objects:
        for error in (*kubernetes_errors(each), *custom_errors(each)):
            yield f"{owner_name(each)}: {error}"
        yield True


@policy
def everything_that_runs_has_a_budget(world: World) -> Iterator[bool | str]:
    running = {pod.component for pod in world.pods if pod.owner["kind"] in {"Deployment", "StatefulSet"}}
    budgets = world.of("PodDisruptionBudget")
    yield holds(sorted(component_of(each) for each in budgets) == sorted(running), "budgets")
    for each in budgets:
        who, spec = owner_name(each), each["spec"]
        wanted = {NAME: "winnow", COMPONENT: component_of(each), INSTANCE: world.overlay}
        yield holds(spec["selector"] == {"matchLabels": wanted}, f"{who}: selector")
        yield holds(spec.get("maxUnavailable") == 1 and "minAvailable" not in spec, f"{who}: a drain would hang")
        policy_of = None if component_of(each) == "qdrant" else "AlwaysAllow"
        yield holds(spec.get("unhealthyPodEvictionPolicy") == policy_of, f"{who}: {policy_of}")


@policy
def replicas_are_set_once(world: World) -> Iterator[bool | str]:
    found = {
        each["metadata"]["name"]: each["spec"]["replicas"]
        for each in world.of("Deployment", "StatefulSet")
        if "replicas" in each["spec"]
    }
    yield holds(found == REPLICAS[world.overlay], f"{found}")
    scaled = world.of("HorizontalPodAutoscaler", "ScaledObject")
    names = sorted(each["metadata"]["name"] for each in scaled)
    yield holds(names == (sorted(BOUNDS) if world.overlay == "gpu-cluster" else []), f"{names}")
    for each in scaled:
        name, spec = each["metadata"]["name"], each["spec"]
        target = {"apiVersion": "apps/v1", "kind": KINDS[name], "name": name}
        yield holds(spec["scaleTargetRef"] == target, f"{owner_name(each)}: {spec['scaleTargetRef']}")
        yield holds(world.has(KINDS[name], name), f"{owner_name(each)}: nothing to scale")
        low, high = (
            spec.get("minReplicas", spec.get("minReplicaCount")),
            spec.get("maxReplicas", spec.get("maxReplicaCount")),
        )
        yield holds((low, high) == BOUNDS[name], f"{owner_name(each)}: {low} to {high}")


@policy
def autoscalers_follow_what_is_measured(world: World) -> Iterator[bool | str]:
    for each in world.of("ScaledObject"):
        name, spec = each["metadata"]["name"], each["spec"]
        query, threshold, pause = QUERIES[name]
        (trigger,) = spec["triggers"]
        wanted = {"serverAddress": PROMETHEUS, "query": query, "threshold": threshold}
        yield holds(trigger == {"type": "prometheus", "metadata": wanted}, f"{owner_name(each)}: {trigger}")
        yield holds(spec["cooldownPeriod"] == pause, f"{owner_name(each)}: {spec['cooldownPeriod']}")
        yield holds(
            spec["fallback"] == {"failureThreshold": 3, "replicas": 2}, f"{owner_name(each)}: without Prometheus"
        )
    for each in world.of("HorizontalPodAutoscaler"):
        (metric,) = each["spec"]["metrics"]
        yield holds(metric["type"] == "ContainerResource", f"{metric['type']}")
        source = metric["containerResource"]
        yield holds((source["name"], source["container"]) == ("cpu", "winnow"), f"{source}")
        yield holds(source["target"] == {"type": "Utilization", "averageUtilization": 70}, f"{source}")
        down = each["spec"]["behavior"]["scaleDown"]
        yield holds(down["stabilizationWindowSeconds"] == 300, "shrinks at once")
        yield holds(down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}], "shrinks at once")


@policy
def volumes_outlive_what_uses_them(world: World) -> Iterator[bool | str]:
    for each in world.of("StatefulSet"):
        who, spec = owner_name(each), each["spec"]
        (claim,) = spec["volumeClaimTemplates"]
        kept = spec["persistentVolumeClaimRetentionPolicy"]
        wanted = KEPT.get(each["metadata"]["name"], ("Delete", "Retain"))
        yield holds((kept["whenDeleted"], kept["whenScaled"]) == wanted, f"{who}: {kept}")
        yield holds(claim["spec"]["accessModes"] == ["ReadWriteOnce"], f"{who}: {claim['spec']['accessModes']}")
        size = claim["spec"]["resources"]["requests"]["storage"]
        yield holds(size == SIZES[claim["metadata"]["name"]], f"{who}: {size}")
        yield holds(spec["podManagementPolicy"] == "Parallel", f"{who}: a pod that never gets ready blocks its repair")


@policy
def deleting_an_overlay_keeps_namespace_and_data(world: World) -> Iterator[bool | str]:
    lost = world.of("Namespace", "PersistentVolumeClaim", "Cluster", "PriorityClass", "RayJob", "Job")
    yield holds(not lost, f"{[owner_name(each) for each in lost]}")


@policy
def prometheus_finds_what_it_scrapes(world: World) -> Iterator[bool | str]:
    for each in world.of("PodMonitor"):
        selector, (endpoint,) = each["spec"]["selector"], each["spec"]["podMetricsEndpoints"]
        found = {pod.component for pod in world.pods if matches(selector, pod.labels)}
        yield holds(found == {"service", "worker"}, f"{owner_name(each)}: {found}")
        yield holds(selector["matchLabels"] == {NAME: "winnow", INSTANCE: world.overlay}, f"{owner_name(each)}: others")
        yield holds(endpoint == {"port": "operations", "path": "/metrics"}, f"{owner_name(each)}: {endpoint}")
    for each in world.of("ServiceMonitor"):
        selector, (endpoint,) = each["spec"]["selector"], each["spec"]["endpoints"]
        yield holds(selector["matchLabels"][INSTANCE] == world.overlay, f"{owner_name(each)}: other overlays")
        yield holds(selector["matchLabels"][NAME] == "winnow", f"{owner_name(each)}: others")
        terms = {term["key"]: term["values"] for term in selector.get("matchExpressions", [])}
        components = terms.get(COMPONENT) or [selector["matchLabels"][COMPONENT]]
        yield holds(components == SCRAPED[each["metadata"]["name"]], f"{owner_name(each)}: {components}")
        for component in components:
            services = [s for s in world.of("Service") if s["metadata"]["labels"].get(COMPONENT) == component]
            yield holds(len(services) == 1, f"{owner_name(each)}: {len(services)} Services of {component}")
            names = {port["name"] for port in services[0]["spec"]["ports"]}
            yield holds(endpoint["port"] in names and endpoint["path"] == "/metrics", f"{owner_name(each)}: {endpoint}")
        key = endpoint.get("authorization", {}).get("credentials")
        secret = {"name": world.one("Secret", "winnow")["metadata"]["name"], "key": "WINNOW_VECTORS__API_KEY"}
        yield holds(key == (secret if components == ["qdrant"] else None), f"{owner_name(each)}: {key}")


@policy
def rules_and_dashboard_are_the_shipped_ones(world: World) -> Iterator[bool | str]:
    if not world.of("PodMonitor"):
        yield holds(not world.of("PrometheusRule"), "rules over nothing")
        return
    shipped = yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"]
    yield holds(world.one("PrometheusRule", "winnow")["spec"] == {"groups": shipped}, "other rules")
    board = world.one("ConfigMap", "winnow-dashboard")
    yield holds(board["data"] == {"dashboard.json": (MONITORING / "dashboard.json").read_text()}, "another dashboard")
    yield holds(board["metadata"]["labels"]["grafana_dashboard"] == "1", "Grafana does not find the dashboard")


SCRAPED = {"qdrant": ["qdrant"], "models": ["embedder", "reranker"]}


@policy
def names_are_those_of_one_installation(world: World) -> Iterator[bool | str]:
    names = [(each["kind"], each["metadata"]["name"]) for each in world.objects]
    yield holds(len(names) == len(set(names)), "two objects of one name")
    yield holds(all(re.fullmatch(r"[a-z0-9-]{1,63}", name) for _, name in names), f"{names}")
