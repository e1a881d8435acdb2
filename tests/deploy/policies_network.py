"""Policies of the network: Services lead to the pods of one overlay, and exactly the declared edges are open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.deploy.policies import holds, policy
from tests.deploy.policies_pods import pod_of
from tests.deploy.render import COMPONENT, INSTANCE, NAME, ROOT, Object, World, container_ports, matches, owner_name
from winnow.core.settings import ServerSettings
from winnow.core.settings.vectors import QdrantVectors

MANUAL = ROOT / "docs" / "operations" / "kubernetes.md"
Edge = tuple[str, str, int]
OUTSIDE = "internet"
OPERATIONS = 9090
PORTS = {
    "service": {"http": ServerSettings().port, "operations": OPERATIONS},
    "qdrant": {"http": 6333, "grpc": QdrantVectors(url="http://q").grpc_port, "peers": 6335},
    "embedder": {"http": 8001},
    "reranker": {"http": 8002},
    "worker": {"operations": OPERATIONS},
    "snapshots": {},
}
PRIVATE = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]
PRIVATE_6 = ["fc00::/7", "fe80::/10"]
# Peers outside of the overlay, by the labels that select them.
FOREIGN = {"winnow-client": "client", "cnpg.io/cluster": "postgres"}
NAMESPACES = {"cnpg-system": "cnpg-operator", "monitoring": "prometheus", "kube-system": "dns"}


@cache
def declared() -> dict[str, set[Edge]]:
    """The edges of the table in the manual, by overlay."""
    edges: dict[str, set[Edge]] = {}
    for line in MANUAL.read_text().splitlines():
        row = re.fullmatch(r"\| `([\w-]+)` \| `([\w-]+)` \| ([\d, ]+) \| ([\w, -]+) \|", line)
        if row:
            source, target, ports, overlays = row.groups()
            for overlay in overlays.split(", "):
                edges.setdefault(overlay, set()).update((source, target, int(port)) for port in ports.split(", "))
    return edges


@policy
def services_lead_to_the_pods_of_one_workload(world: World) -> Iterator[bool | str]:
    for each in world.of("Service"):
        who, spec = owner_name(each), each["spec"]
        yield holds(spec["selector"].keys() == {NAME, COMPONENT, INSTANCE}, f"{who}: selector")
        (pod,) = pod_of(world, spec["selector"])
        wanted = SERVICES[each["metadata"]["name"]]
        yield holds(pod.component == wanted[0], f"{who}: leads to {pod.component}")
        names = container_ports(pod)
        yield holds({p["name"]: p["port"] for p in spec["ports"]} == wanted[1], f"{who}: {spec['ports']}")
        yield holds(all(port["targetPort"] in names for port in spec["ports"]), f"{who}: {names}")
        yield holds(all(port["targetPort"] == port["name"] for port in spec["ports"]), f"{who}: crossed ports")
        headless = each["metadata"]["name"] in {"qdrant", "qdrant-nodes"}
        yield holds(spec.get("clusterIP") == ("None" if headless else None), f"{who}: clusterIP")
        unready = spec.get("publishNotReadyAddresses", False)
        yield holds(unready is (each["metadata"]["name"] == "qdrant-nodes"), f"{who}: unready pods")
        yield holds(spec.get("type", "ClusterIP") == "ClusterIP", f"{who}: open to other networks")
    for each in world.of("StatefulSet"):
        yield holds(world.has("Service", each["spec"]["serviceName"]), f"{owner_name(each)}: no such Service")
        wanted = "qdrant-nodes" if each["metadata"]["name"] == "qdrant" else each["metadata"]["name"]
        yield holds(each["spec"]["serviceName"] == wanted, f"{owner_name(each)}: {each['spec']['serviceName']}")


SERVICES = {
    "winnow": ("service", {"http": 80}),
    "qdrant": ("qdrant", {"http": 6333, "grpc": 6334}),
    "qdrant-nodes": ("qdrant", {"http": 6333, "peers": 6335}),
    "embedder": ("embedder", {"http": 8001}),
    "reranker": ("reranker", {"http": 8002}),
}


@policy
def pods_listen_where_the_code_does(world: World) -> Iterator[bool | str]:
    for pod in world.pods:
        yield holds(container_ports(pod) == PORTS[pod.component], f"{owner_name(pod.owner)}: {container_ports(pod)}")
        for one in pod.containers:
            plain = all(
                port.get("protocol", "TCP") == "TCP" and "hostPort" not in port for port in one.get("ports", [])
            )
            yield holds(plain, f"{owner_name(pod.owner)}: a port of the machine")


@policy
def nothing_is_open_by_default(world: World) -> Iterator[bool | str]:
    deny = world.one("NetworkPolicy", "default-deny")["spec"]
    yield holds(deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}, f"{deny}")
    names = world.one("NetworkPolicy", "names")["spec"]
    yield holds(names["podSelector"] == {} and names["policyTypes"] == ["Egress"], "names")
    (rule,) = names["egress"]
    yield holds(sorted(rule["ports"], key=str) == DNS_PORTS, f"{rule['ports']}")
    pods, cache_of_node = rule["to"]
    yield holds(cache_of_node == {"ipBlock": {"cidr": "169.254.20.10/32"}}, f"{cache_of_node}")
    yield holds(pods["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}, f"{pods}")
    (term,) = pods["podSelector"]["matchExpressions"]
    yield holds(
        term == {"key": "k8s-app", "operator": "In", "values": ["kube-dns", "node-local-dns", "coredns"]}, f"{term}"
    )


DNS_PORTS = [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]


@policy
def exactly_the_declared_edges_are_open(world: World) -> Iterator[bool | str]:
    into, out = set(), set()
    for each in world.of("NetworkPolicy"):
        name, spec = each["metadata"]["name"], each["spec"]
        if name in {"default-deny", "names"}:
            continue
        (kind,) = spec["policyTypes"]
        yield holds(kind in {"Ingress", "Egress"}, f"{name}: {kind}")
        key, peers = ("ingress", "from") if kind == "Ingress" else ("egress", "to")
        yield holds(spec.keys() == {"podSelector", "policyTypes", key}, f"{name}: {spec.keys()}")
        own = subjects(world, spec["podSelector"])
        yield holds(own, f"{name}: selects nothing")
        for rule in spec[key]:
            others = [peer for each_peer in rule[peers] for peer in peers_of(world, each_peer, name)]
            yield holds(others, f"{name}: no peer")
            families = [":" in peer["ipBlock"]["cidr"] for peer in rule[peers] if "ipBlock" in peer]
            yield holds(families in ([], [False, True]), f"{name}: one of IPv4 and IPv6 is missing")
            yield holds(all(port["protocol"] == "TCP" for port in rule["ports"]), f"{name}: {rule['ports']}")
            edges = {(o, p["port"]) for o in others for p in rule["ports"]}
            if kind == "Ingress":
                into |= {(other, one, port) for one in own for other, port in edges}
            else:
                out |= {(one, other, port) for one in own for other, port in edges}
    wanted = declared()[world.overlay]
    ends = {pod.component for pod in world.pods} | {"client", "postgres"}
    outward = {edge for edge in wanted if edge[1] in {OUTSIDE, "anywhere"} or edge[0] in ends}
    inward = {
        edge for edge in wanted if edge[1] in ends and not (edge[1] == "postgres" and world.overlay == "dashscope")
    }
    yield holds(into == inward, f"into pods: {sorted(into ^ inward)}")
    yield holds(out == outward, f"out of pods: {sorted(out ^ outward)}")


@policy
def loads_in_bulk_reach_what_workers_reach(world: World) -> Iterator[bool | str]:
    """The pods of a load are in no overlay, so no edge shows that a policy leaves them out."""
    for each in world.of("NetworkPolicy"):
        for term in _terms(each["spec"]):
            if term["key"] == COMPONENT and "service" in term["values"]:
                scraped = each["metadata"]["name"].startswith("prometheus-")
                wanted = ["service", "worker"] + ([] if scraped else ["bulk"])
                yield holds(term["values"] == wanted, f"{owner_name(each)}: {term['values']}")


def _terms(value: Any) -> Iterator[Object]:
    """Every `matchExpressions` term below a value."""
    if isinstance(value, dict):
        yield from value.get("matchExpressions", ())
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _terms(inner)


def subjects(world: World, selector: Object) -> set[str]:
    """The components that a policy is about."""
    found = {pod.component for pod in world.pods if matches(selector, pod.labels)}
    if found:
        labels = selector.get("matchLabels", {})
        own = labels.get(INSTANCE) == world.overlay and labels.get(NAME) == "winnow"
        chosen = {COMPONENT} <= labels.keys() | {term["key"] for term in selector.get("matchExpressions", [])}
        assert own, f"takes other pods: {selector}"
        assert chosen, f"takes every component: {selector}"
    return found | _foreign(selector)


def _foreign(selector: Object) -> set[str]:
    found = set()
    for each in selector.get("matchExpressions", []):
        if each["key"] in FOREIGN and "matchLabels" not in selector:
            assert each == {"key": each["key"], "operator": "In", "values": [VALUES[each["key"]]]}, f"{each}"
            found.add(FOREIGN[each["key"]])
    return found


VALUES = {"winnow-client": "allowed", "cnpg.io/cluster": "catalog"}


def peers_of(world: World, peer: dict[str, Any], name: str) -> set[str]:
    """The ends that one peer of a rule stands for."""
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        if "except" not in block:
            assert block["cidr"] in {"0.0.0.0/0", "::/0"}, f"{name}: {block}"
            return {"anywhere"}
        wanted = {"0.0.0.0/0": PRIVATE, "::/0": PRIVATE_6}[block["cidr"]]
        assert block["except"] == wanted, f"{name}: {block}"
        return {OUTSIDE}
    if "namespaceSelector" in peer:
        space = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        (term,) = peer["podSelector"]["matchExpressions"]
        assert term == {"key": NAME, "operator": "In", "values": [OPERATORS[space]]}, f"{name}: {term}"
        return {NAMESPACES[space]}
    return subjects(world, peer["podSelector"])


OPERATORS = {"cnpg-system": "cloudnative-pg", "monitoring": "prometheus"}
