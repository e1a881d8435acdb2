"""Policies of what processes are started with: commands, settings, Secrets, and the names that tie them together."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.deploy.policies import holds, policy
from tests.deploy.render import COMPONENT, ROOT, Object, Pod, World, owner_name, plain
from winnow.core.errors import InvalidSettings
from winnow.core.settings import Settings, load_settings
from winnow.core.settings.vectors import QdrantVectors

VLLM = ROOT / "deploy" / "vllm"
ENTRY = {"winnow": "serve", "worker": "worker", "migrate": "migrate"}
OPERATIONS = 9090
BOOTSTRAP = "/etc/winnow/bootstrap/bootstrap-key"
ONLY_IN_SECRETS = re.compile(r"(API_KEY|PASSWORD|SECRET|CATALOG__URL|BOOTSTRAP_KEY)$")
EXTERNAL_SECRETS = {"catalog-app", "qdrant-tls"}  # by CloudNativePG; by hand or cert-manager
QDRANT_SETTINGS = {
    "QDRANT__SERVICE__ENABLE_CORS": "false",
    "QDRANT__SERVICE__ENABLE_SNAPSHOT_URL_RECOVERY": "false",
    "QDRANT__CLUSTER__ENABLED": "true",
    "QDRANT__CLUSTER__P2P__ENABLE_TLS": "true",
    "QDRANT__TLS__CERT": "/etc/qdrant-tls/tls.crt",
    "QDRANT__TLS__KEY": "/etc/qdrant-tls/tls.key",
    "QDRANT__TLS__CA_CERT": "/etc/qdrant-tls/ca.crt",
    "QDRANT__STORAGE__STORAGE_PATH": "/qdrant/storage/data",
    "QDRANT__STORAGE__SNAPSHOTS_PATH": "/qdrant/storage/snapshots",
    "QDRANT__TELEMETRY_DISABLED": "true",
    "QDRANT_INIT_FILE_PATH": "/tmp/.qdrant-initialized",
}
SINGLE_QDRANT = {"QDRANT__CLUSTER__ENABLED": "false", "QDRANT__CLUSTER__P2P__ENABLE_TLS": "false"}


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """The environment of a container: these variables of Winnow and no others."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("WINNOW_")]:
        del os.environ[name]
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def secret_values(world: World, name: str) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in world.one("Secret", name)["data"].items()}


def filled(world: World) -> dict[str, str]:
    """The variables of an installation whose Secret is filled in."""
    values = dict(world.settings)
    if world.overlay in {"dashscope", "gpu-cluster"}:
        values["WINNOW_CATALOG__URL"] = "postgresql://winnow:secret@db.example.com/winnow"
        values["WINNOW_VECTORS__API_KEY"] = "k" * 40
    if world.overlay == "dashscope":
        values |= {"WINNOW_EMBEDDING__API_KEY": "sk-1", "WINNOW_RERANK__API_KEY": "sk-1"}
    return values


def settings_of(world: World) -> Settings:
    with environment(filled(world)):
        return load_settings()


def variables(one: Object) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in one.get("env", [])}


def ours(world: World) -> Iterator[tuple[Pod, Object]]:
    """The containers that run a command of Winnow's."""
    return ((pod, one) for pod in world.pods for one in pod.containers if one["name"] in ENTRY)


@policy
def settings_exist_and_go_together(world: World) -> Iterator[bool | str]:
    settings = settings_of(world)
    yield holds(settings.server.host == "0.0.0.0", "listens on loopback")
    operations = (settings.operations.host, settings.operations.port)
    yield holds(operations == ("0.0.0.0", OPERATIONS), f"probes and Prometheus cannot reach {operations}")
    yield holds(settings.log_format == "json", "logs for people")
    yield holds(5 <= settings.server.drain_seconds <= 30, "does not drain")
    yield holds(not settings.server.insecure, "serves without a key")
    yield holds(settings.is_embedded is (world.overlay in {"embedded", "gpu-small"}), "keeps its data elsewhere")
    yield holds(not settings.keeps_data or str(settings.data_dir) == "/data", "data outside of the volume")
    yield holds(settings.keeps_data or str(settings.data_dir).startswith("/tmp/"), "a root that cannot be written")
    config = world.one("ConfigMap", "winnow")
    yield holds(config["metadata"]["name"] != "winnow", "a changed setting would not roll the pods")
    for key in config["data"]:
        yield holds(not ONLY_IN_SECRETS.search(key), f"{key} in a ConfigMap")
        yield holds(key.startswith("WINNOW_"), f"{key} is read by nothing")


@policy
def providers_are_those_of_the_overlay(world: World) -> Iterator[bool | str]:
    settings = settings_of(world)
    provider = {"embedded": "bundled", "dashscope": "dashscope"}.get(world.overlay, "vllm")
    yield holds(settings.embedding.provider == provider, f"embedding: {settings.embedding.provider}")
    yield holds(settings.rerank.provider == provider, f"reranking: {settings.rerank.provider}")
    for stage in (settings.embedding, settings.rerank):
        url, model = getattr(stage, "url", ""), getattr(stage, "model", "")
        yield holds(provider != "dashscope" or url == "https://dashscope.aliyuncs.com", f"address {url}")
        default = type(stage).model_fields["model"].default if "model" in type(stage).model_fields else ""
        yield holds(model == default, f"model {model}")
    yield holds(getattr(settings.rerank, "template", "server") == "server", "the server has the template")
    if provider == "dashscope":
        yield holds(settings.embedding.dimensions == 1024, "dimensions")


@policy
def vectors_have_the_copies_that_the_nodes_allow(world: World) -> Iterator[bool | str]:
    vectors = settings_of(world).vectors
    if not isinstance(vectors, QdrantVectors):
        yield holds(not world.has("StatefulSet", "qdrant"), "a Qdrant that nothing uses")
        return
    nodes = world.one("StatefulSet", "qdrant")["spec"]["replicas"]
    yield holds(nodes == (1 if world.overlay == "dashscope" else 3), f"{nodes} nodes")
    yield holds(vectors.replicas == min(2, nodes), f"{vectors.replicas} copies on {nodes} nodes")
    yield holds(vectors.write_consistency == vectors.replicas, "a write that one node has would count")
    yield holds(vectors.shards == 2 * nodes, "no shards for further nodes")


@policy
def hosts_are_those_of_the_service(world: World) -> Iterator[bool | str]:
    name = world.one("Service", "winnow")["metadata"]["name"]
    hosts = json.loads(world.settings["WINNOW_SERVER__ALLOWED_HOSTS"])
    needed = [name, f"{name}.winnow", f"{name}.winnow.svc", f"{name}.winnow.svc.cluster.local"]
    yield holds(hosts[:4] == needed, f"{hosts}")
    yield holds("*" not in hosts, "any host")


@policy
def addresses_lead_to_services(world: World) -> Iterator[bool | str]:
    ports = {(each["metadata"]["name"], port["port"]) for each in world.of("Service") for port in each["spec"]["ports"]}
    for key, value in world.settings.items():
        if key.endswith("__URL") and urlsplit(value).scheme == "http":
            target = (urlsplit(value).hostname, urlsplit(value).port)
            yield holds(target in ports, f"{key}: no service {target}")


@policy
def commands_are_those_of_their_component(world: World) -> Iterator[bool | str]:
    for pod in world.pods:
        names = [one["name"] for one in pod.containers]
        yield holds(names == CONTAINERS[pod.component](world), f"{owner_name(pod.owner)}: {names}")
    for pod, one in ours(world):
        who = f"{owner_name(pod.owner)}/{one['name']}"
        yield holds(one["args"] == [ENTRY[one["name"]]], f"{who}: {one['args']}")
        yield holds("command" not in one, f"{who}: not the image's entry point")


CONTAINERS = {
    "service": lambda world: ["winnow"] if world.overlay in {"embedded", "gpu-small"} else ["migrate", "winnow"],
    "worker": lambda _: ["migrate", "worker"],
    "qdrant": lambda _: ["qdrant"],
    "snapshots": lambda _: ["snapshots"],
    "embedder": lambda _: ["weights", "vllm"],
    "reranker": lambda _: ["weights", "vllm"],
}


@policy
def processes_get_their_settings_and_keys(world: World) -> Iterator[bool | str]:
    config = world.one("ConfigMap", "winnow")["metadata"]["name"]
    single = world.overlay in {"embedded", "gpu-small"}
    secret = "winnow" if single else world.one("Secret", "winnow")["metadata"]["name"]
    for pod, one in ours(world):
        who = f"{owner_name(pod.owner)}/{one['name']}"
        reference: Object = {"name": secret, "optional": True} if single else {"name": secret}
        yield holds(
            one["envFrom"] == [{"configMapRef": {"name": config}}, {"secretRef": reference}], f"{who}: settings"
        )
        own = variables(one)
        key = own.pop("WINNOW_SERVER__BOOTSTRAP_KEY_FILE", None)
        yield holds(key == (BOOTSTRAP if one["name"] == "winnow" else None), f"{who}: first key {key}")
        url = {"secretKeyRef": {"name": "catalog-app", "key": "uri"}}
        wanted = {"WINNOW_CATALOG__URL": url} if world.overlay == "gpu-cluster" else {}
        yield holds(own == wanted, f"{who}: {own}")


@policy
def the_first_key_is_a_file_of_the_service_alone(world: World) -> Iterator[bool | str]:
    name = world.one("Secret", "winnow-bootstrap")["metadata"]["name"]
    for pod in world.pods:
        found = [each for each in pod.spec["volumes"] if each.get("secret", {}).get("secretName") == name]
        wanted = pod.component == "service"
        yield holds(len(found) == wanted, f"{owner_name(pod.owner)}: first key")
        if wanted:
            (one,) = pod.spec["containers"]
            mounts = [m["mountPath"] for m in one["volumeMounts"] if m["name"] == found[0]["name"]]
            yield holds(mounts == [BOOTSTRAP.rpartition("/")[0]], f"{owner_name(pod.owner)}: {mounts}")
    yield holds(list(world.one("Secret", "winnow-bootstrap")["data"]) == ["bootstrap-key"], "the name of the file")


@policy
def unfilled_secrets_are_refused(world: World) -> Iterator[bool | str]:
    for each in world.of("Secret"):
        yield holds(each["type"] == "Opaque", f"{owner_name(each)}: {each['type']}")
    example = secret_values(world, "winnow-bootstrap")["bootstrap-key"]
    yield holds("fill in" in example and len(example.strip()) < 32, "an example that works as a key")
    if not world.has("Secret", "winnow"):
        yield holds(world.overlay in {"embedded", "gpu-small"}, "no Secret")
        return
    needed = {"WINNOW_VECTORS__API_KEY"}
    if world.overlay == "dashscope":
        needed |= {"WINNOW_CATALOG__URL", "WINNOW_EMBEDDING__API_KEY", "WINNOW_RERANK__API_KEY"}
    values = secret_values(world, "winnow")
    yield holds(values.keys() == needed, f"{values.keys() ^ needed}")
    for name, value in values.items():
        with environment(filled(world) | {name: value}):
            try:
                load_settings()
                yield holds(name == "WINNOW_CATALOG__URL" and not value[0].isascii(), f"{name}: {value} passes")
            except InvalidSettings as error:
                yield holds(name in str(error), f"{name}: {error}")


@policy
def references_lead_somewhere(world: World) -> Iterator[bool | str]:
    made = {(each["kind"], each["metadata"]["name"]) for each in world.of("ConfigMap", "Secret")}
    for pod in world.pods:
        for kind, name, optional in _references(pod):
            known = (kind, name) in made or name in EXTERNAL_SECRETS or optional
            yield holds(known, f"{owner_name(pod.owner)}: no {kind} {name}")
            hashed = plain(name) != name or name in EXTERNAL_SECRETS or optional
            yield holds(hashed, f"{owner_name(pod.owner)}: {kind} {name} would not roll the pods")


def _references(pod: Pod) -> Iterator[tuple[str, str, bool]]:
    for volume in pod.spec["volumes"]:
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"], False
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"], volume["secret"].get("optional", False)
    for one in pod.containers:
        for each in one.get("envFrom", []):
            for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
                if key in each:
                    yield kind, each[key]["name"], each[key].get("optional", False)
        for value in variables(one).values():
            if isinstance(value, dict) and "secretKeyRef" in value:
                yield "Secret", value["secretKeyRef"]["name"], False


@policy
def qdrant_is_process_one_of_a_closed_cluster(world: World) -> Iterator[bool | str]:
    for pod in world.pods:
        if pod.component != "qdrant":
            continue
        (one,) = pod.spec["containers"]
        own = variables(one)
        yield holds(one["command"] == ["./qdrant"], "the server is not process 1")
        peers = "qdrant-nodes:6335"
        wanted = ["--uri", f"https://$(NODE).{peers}", "--bootstrap", f"https://qdrant-0.{peers}"]
        yield holds(one["args"] == wanted, f"{one['args']}")
        yield holds(own.pop("NODE") == {"fieldRef": {"fieldPath": "metadata.name"}}, "the node's name")
        secret = world.one("Secret", "winnow")["metadata"]["name"]
        key = {"secretKeyRef": {"name": secret, "key": "WINNOW_VECTORS__API_KEY"}}
        yield holds(own.pop("QDRANT__SERVICE__API_KEY") == key, "Qdrant has no key, or another one")
        single = pod.owner["spec"]["replicas"] == 1
        yield holds(own == QDRANT_SETTINGS | (SINGLE_QDRANT if single else {}), f"{own}")
        (tls,) = [each["secret"] for each in pod.spec["volumes"] if each["name"] == "tls"]
        yield holds(tls.get("optional", False) is single, "a cluster starts without certificates")
        mounts = {mount["name"]: mount["mountPath"] for mount in one["volumeMounts"]}
        yield holds(mounts == {"storage": "/qdrant/storage", "tls": "/etc/qdrant-tls", "tmp": "/tmp"}, f"{mounts}")


@policy
def snapshots_are_taken_every_night(world: World) -> Iterator[bool | str]:
    for each in world.of("CronJob"):
        spec, job = each["spec"], each["spec"]["jobTemplate"]["spec"]
        (one,) = job["template"]["spec"]["containers"]
        yield holds(re.fullmatch(r"\d+ \d+ \* \* \*", spec["schedule"]), "not every night")
        yield holds(spec["concurrencyPolicy"] == "Forbid", "two at a time")
        yield holds(not spec.get("suspend"), "suspended")
        yield holds(spec["startingDeadlineSeconds"] == 3600 and job["activeDeadlineSeconds"] == 21600, "deadlines")
        yield holds((spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (1, 3), "history")
        yield holds(job["backoffLimit"] == 2, "tries")
        yield holds(job["template"]["spec"]["restartPolicy"] == "Never", "restarts")
        yield holds(one["command"] == ["python", "/etc/qdrant-snapshots/snapshot.py"], "command")
        own, secret = variables(one), world.one("Secret", "winnow")["metadata"]["name"]
        key = {"secretKeyRef": {"name": secret, "key": "WINNOW_VECTORS__API_KEY"}}
        wanted = {"QDRANT_NODES": "http://qdrant-nodes:6333", "SNAPSHOTS": "/snapshots", "KEEP": "3"}
        yield holds(own == wanted | {"QDRANT_API_KEY": key}, f"{own}")
        mounts = {mount["name"]: mount["mountPath"] for mount in one["volumeMounts"]}
        yield holds(
            mounts == {"script": "/etc/qdrant-snapshots", "snapshots": "/snapshots", "tmp": "/tmp"}, f"{mounts}"
        )
        claims = [
            v["persistentVolumeClaim"]["claimName"]
            for v in job["template"]["spec"]["volumes"]
            if v["name"] == "snapshots"
        ]
        yield holds(claims == ["qdrant-snapshots"], f"{claims}")
        script = (ROOT / "deploy/k8s/components/qdrant-cluster/snapshot.py").read_text()
        yield holds(world.one("ConfigMap", "qdrant-snapshots")["data"] == {"snapshot.py": script}, "another script")


@policy
def vllm_starts_with_the_flags_that_the_suite_starts(world: World) -> Iterator[bool | str]:
    for pod in world.pods:
        if pod.component not in {"embedder", "reranker"}:
            continue
        name, (one,) = pod.component, pod.spec["containers"]
        flags = yaml.safe_load((VLLM / f"{name}.yaml").read_text())
        (first,) = pod.spec["initContainers"]
        fetched = variables(first)
        folder = f"/models/{fetched['REVISION']}"
        wanted = [folder, "--config", f"{name}.yaml", "--served-model-name", flags["model"], "--dtype", "bfloat16"]
        wanted += ["--max-num-queued-reqs", "4000"]
        wanted += ["--gpu-memory-utilization", "0.45"] if world.overlay == "gpu-small" else []
        yield holds(one["args"] == wanted, f"{name}: {one['args']}")
        yield holds("command" not in one and one["workingDir"] == "/etc/winnow-vllm", f"{name}: where it starts")
        yield holds(variables(one) == VLLM_VARIABLES, f"{name}: {variables(one)}")
        yield holds(first["command"] == ["python", "/etc/winnow-vllm/fetch_weights.py"], f"{name}: weights")
        sums = f"/etc/winnow-vllm/{name}.sha256"
        source = {"WEIGHTS_URL": "https://huggingface.co", "SUMS": sums, "TARGET": folder, "MODEL": flags["model"]}
        yield holds(fetched == source | {"REVISION": REVISIONS[name]}, f"{name}: {fetched}")
        for container in (one, first):
            mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
            yield holds(mounts["flags"] == "/etc/winnow-vllm" and mounts["weights"] == "/models", f"{name}: {mounts}")
    if world.has("ConfigMap", "vllm"):
        shipped = {
            path.name: path.read_text()
            for path in VLLM.iterdir()
            if path.name not in {"README.md", "kustomization.yaml"}
        }
        yield holds(world.one("ConfigMap", "vllm")["data"] == shipped, "not the shipped flags")


REVISIONS = {  # of which the hashes in deploy/vllm are
    "embedder": "97b0c614be4d77ee51c0cef4e5f07c00f9eb65b3",
    "reranker": "e61197ed45024b0ed8a2d74b80b4d909f1255473",
}
VLLM_VARIABLES = {
    "HF_HUB_OFFLINE": "1",
    "HOME": "/tmp",
    "USER": "winnow",
    "XDG_CACHE_HOME": "/models/cache",
    "VLLM_CACHE_ROOT": "/models/cache/vllm",
    "VLLM_NO_USAGE_STATS": "1",
}


def component_of(each: Object) -> str:
    """The component that a Service or a budget selects."""
    selector = each["spec"]["selector"]
    return selector.get("matchLabels", selector)[COMPONENT]
