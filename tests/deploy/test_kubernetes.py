"""The manifests: every overlay and component renders, is strictly valid, and keeps every policy."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.deploy import policies_network, policies_pods, policies_scaling, policies_settings
from tests.deploy.policies import POLICIES, Policy
from tests.deploy.render import (
    HAS_KUSTOMIZE,
    INSTANCE,
    K8S,
    OVERLAYS,
    World,
    compose,
    cpus,
    is_custom,
    megabytes,
    owner_name,
    plain,
    render,
)
from tests.deploy.schemas import VERSIONS, crd_schemas, custom_errors, custom_schemas, kubernetes_errors, looser

pytestmark = pytest.mark.skipif(not HAS_KUSTOMIZE, reason="kubectl is not installed")
MODULES = (policies_network, policies_pods, policies_scaling, policies_settings)  # they register their policies
CRDS = os.environ.get("KUBERNETES_CRDS")


@pytest.fixture(scope="module", params=OVERLAYS)
def world(request: pytest.FixtureRequest) -> World:
    return render(request.param)


@pytest.fixture(scope="module")
def composed() -> list[Any]:
    """Everything that a component brings which no overlay has."""
    extra = [["gateway"], ["gateway", "gateway-prefix"], ["external-secrets"], ["postgres"]]
    worlds = [*(compose("dashscope", {"components": names}) for names in extra), bulk(), waiting()]
    shipped = {owner_name(each) for each in render("dashscope").objects}
    return [
        each for one in worlds for each in one.objects if one.overlay != "dashscope" or owner_name(each) not in shipped
    ]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_policy(world: World, policy: Policy) -> None:
    results = list(policy.check(world))
    assert [each for each in results if each is not True] == []


def test_policies_assert_enough() -> None:
    world = render("gpu-cluster")
    assertions = sum(1 for policy in POLICIES for _ in policy.check(world))
    assert assertions >= 150, assertions


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_strictly_valid(world: World, version: str) -> None:
    assert [error for each in world.objects for error in kubernetes_errors(each, version)] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_of_the_other_components_is_strictly_valid(composed: list[Any], version: str) -> None:
    assert [error for each in composed for error in (*kubernetes_errors(each, version), *custom_errors(each))] == []


def test_every_operators_kind_that_is_described_is_used(composed: list[Any]) -> None:
    everything = [*composed, *(each for overlay in OVERLAYS for each in render(overlay).objects)]
    used = {f"{each['apiVersion']} {each['kind']}" for each in everything if is_custom(each)}
    assert used == custom_schemas().keys()


@pytest.fixture(scope="module")
def definitions() -> dict[str, Any]:
    if not CRDS:
        pytest.skip("KUBERNETES_CRDS names no folder of CustomResourceDefinitions")
    found = crd_schemas(Path(CRDS))
    assert found.keys() & custom_schemas().keys(), f"{CRDS} defines none of {', '.join(custom_schemas())}"
    return found


def test_custom_resources_fit_the_operators_own_definitions(composed: list[Any], definitions: dict[str, Any]) -> None:
    everything = [*composed, *(each for overlay in OVERLAYS for each in render(overlay).objects)]
    for each in everything:
        schema = definitions.get(f"{each['apiVersion']} {each['kind']}", {})  # not every cluster has every operator
        errors = [f"{e.json_path}: {e.message[:200]}" for e in Draft202012Validator(schema).iter_errors(each)]
        assert errors == [], owner_name(each)


def test_what_is_described_of_operators_kinds_accepts_nothing_that_their_definitions_refuse(
    definitions: dict[str, Any],
) -> None:
    for kind in custom_schemas().keys() & definitions.keys():
        assert list(looser(custom_schemas()[kind], definitions[kind])) == [], kind


def test_a_description_that_accepts_more_than_a_definition_is_found() -> None:
    theirs = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer", "minimum": 1}}}
    tight = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer", "minimum": 2}}}
    assert list(looser(tight, theirs)) == []
    loose = [
        tight | {"required": []},
        tight | {"properties": {"a": {"type": "string", "minimum": 2}}},
        tight | {"properties": {"a": {"type": "integer"}}},
        tight | {"properties": {**tight["properties"], "b": {"type": "integer"}}},  # type: ignore[dict-item]
    ]
    assert [len(list(looser(each, theirs))) for each in loose] == [1, 1, 1, 1]
    values = {"type": "string", "enum": ["x", "y"]}
    assert [len(list(looser(each, values))) for each in ({"enum": ["x"]}, {"enum": ["z"]}, {"type": "string"})] == [
        0,
        1,
        1,
    ]


@pytest.mark.parametrize("name", sorted(path.name for path in (K8S / "components").iterdir() if path.is_dir()))
def test_every_component_belongs_to_the_plan(name: str) -> None:
    assert name in COMPONENTS
    content = yaml.safe_load((K8S / "components" / name / "kustomization.yaml").read_text())
    assert content["kind"] == "Component"


def test_the_namespace_is_restricted_and_belongs_to_no_overlay() -> None:
    namespace = yaml.safe_load((K8S / "cluster" / "namespace.yaml").read_text())
    labels = namespace["metadata"]["labels"]
    for mode in ("enforce", "warn", "audit"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert labels[f"pod-security.kubernetes.io/{mode}-version"] == "v1.33"


def test_searches_are_scheduled_before_reranking_and_that_before_bulk_work() -> None:
    classes = yaml.safe_load_all((K8S / "cluster" / "priority-classes.yaml").read_text())
    values = {each["metadata"]["name"]: each["value"] for each in classes}
    assert values["winnow-search"] > values["winnow-rerank"] > values["winnow-bulk"]
    assert set(policies_pods.PRIORITY.values()) == values.keys()


def test_a_changed_setting_changes_no_immutable_field_and_rolls_the_pods() -> None:
    change = {"configMapGenerator": [{"name": "winnow", "behavior": "merge", "literals": ["WINNOW_LOG_LEVEL=debug"]}]}
    image = {"images": [{"name": "winnow", "newName": "registry.example.com/winnow", "newTag": "9.9.9"}]}
    for overlay in OVERLAYS:
        before = render(overlay)
        for after in (compose(overlay, change), compose(overlay, image)):
            assert immutable(before) == immutable(after)
            assert before.of("Job") == []
            service = [pod for pod in after.pods if pod.component == "service"]
            assert service[0].spec != next(p for p in before.pods if p.component == "service").spec


def immutable(world: World) -> dict[str, Any]:
    """What Kubernetes refuses to change in an object that exists."""
    fields = ("selector", "serviceName", "volumeClaimTemplates", "podManagementPolicy", "clusterIP")
    return {
        owner_name(each): {key: each["spec"].get(key) for key in fields}
        for each in world.of("Deployment", "StatefulSet", "Service")
    }


def test_a_changed_secret_rolls_the_pods() -> None:
    files = {
        "bootstrap-key": "k" * 64,
        "secret.env": "WINNOW_CATALOG__URL=postgresql://a:b@c/d\nWINNOW_VECTORS__API_KEY=1\n",
    }
    site = {
        "secretGenerator": [
            {"name": "winnow-bootstrap", "behavior": "replace", "files": ["bootstrap-key"]},
            {"name": "winnow", "behavior": "replace", "envs": ["secret.env"]},
        ]
    }
    one = compose("dashscope", site, files)
    two = compose("dashscope", site, files | {"secret.env": files["secret.env"] + "WINNOW_RERANK__API_KEY=2\n"})
    assert one.one("Secret", "winnow")["metadata"]["name"] != two.one("Secret", "winnow")["metadata"]["name"]
    for first, second in zip(one.pods, two.pods, strict=True):
        assert first.spec != second.spec, first.component
    assert list(policies_settings.references_lead_somewhere(two)).count(True) == len(
        list(policies_settings.references_lead_somewhere(two))
    )


def test_no_service_leads_to_pods_of_two_overlays() -> None:
    worlds = [render(overlay) for overlay in OVERLAYS]
    for one in worlds:
        for other in (each for each in worlds if each is not one):
            for service in one.of("Service"):
                assert not policies_network.pod_of(other, service["spec"]["selector"])


def test_external_secrets_take_the_place_of_the_generated_ones() -> None:
    world = compose("dashscope", {"components": ["external-secrets"]})
    assert world.of("Secret") == []
    made = {each["spec"]["target"]["name"] for each in world.of("ExternalSecret")}
    named = {name for pod in world.pods for kind, name, _ in policies_settings._references(pod) if kind == "Secret"}
    assert named - {"qdrant-tls"} == made == {"winnow", "winnow-bootstrap"}


def test_a_path_prefix_is_set_at_the_route_and_in_the_service() -> None:
    hosts = 'WINNOW_SERVER__ALLOWED_HOSTS=["winnow", "search.example.com"]'
    settings = [{"name": "winnow", "behavior": "merge", "literals": [hosts]}]
    world = compose("embedded", {"components": ["gateway", "gateway-prefix"], "configMapGenerator": settings})
    (rule,) = world.one("HTTPRoute", "winnow")["spec"]["rules"]
    assert [match["path"]["value"] for match in rule["matches"]] == [world.settings["WINNOW_SERVER__ROOT_PATH"]]
    assert world.settings["WINNOW_SERVER__ALLOWED_HOSTS"] == hosts.partition("=")[2]  # a component would take it back


def test_autoscalers_and_alerts_ask_for_metrics_that_are_documented() -> None:
    page = (policies_pods.ROOT / "docs" / "operations" / "metrics.md").read_text()
    world = render("gpu-cluster")
    queries = [each["spec"]["triggers"][0]["metadata"]["query"] for each in world.of("ScaledObject")]
    rules = [
        rule["expr"] for group in world.one("PrometheusRule", "winnow")["spec"]["groups"] for rule in group["rules"]
    ]
    names = {name for text in (*queries, *rules) for name in re.findall(r"\bwinnow_[a-z_]+", text)}
    assert "winnow_backlog_documents" in names
    assert [name for name in names if re.sub("_(bucket|count|sum)$", "", name) not in page] == []


def test_a_load_in_bulk_uses_the_settings_and_secrets_of_the_installation() -> None:
    world = bulk()
    job = world.one("RayJob", "bulk")
    assert "suspend" not in job["spec"]
    constraints = (policies_pods.ROOT / "constraints.txt").read_text()
    assert f"ray=={job['spec']['rayClusterSpec']['rayVersion']}\n" in constraints
    for pod in (pod for pod in world.pods if pod.component == "bulk"):
        (one,) = pod.spec["containers"]
        assert pod.labels[INSTANCE] == "dashscope"  # the network policies ask for it
        names = [next(iter(each.values()))["name"] for each in one["envFrom"]]
        assert names == [
            world.one(k, n)["metadata"]["name"]
            for k, n in (("ConfigMap", "winnow"), ("Secret", "winnow"), ("Secret", "winnow-bulk"))
        ]
        assert one["image"] == f"winnow-indexer:{policies_pods.version()}"


def test_pods_of_a_load_in_bulk_have_no_rights_and_end_in_time() -> None:
    world = bulk()
    world.objects = [each for each in world.objects if each["kind"] in {"RayJob", "ConfigMap", "ServiceAccount"}]
    for check in (
        policies_pods.pods_have_no_rights_on_the_cluster,
        policies_pods.pods_are_restricted,
        policies_pods.containers_are_confined,
        policies_pods.variables_of_services_are_off,
        policies_pods.searches_come_before_bulk_work,
        policies_pods.pods_end_within_their_grace,
        policies_pods.images_are_pinned_to_one_version,
        policies_pods.volumes_are_mounted_where_they_are_needed,
    ):
        results = list(check(world))
        assert results, check.__name__
        assert [each for each in results if each is not True] == []


def waiting() -> World:
    """A site whose pod waits while its volume is worked on."""
    return compose("embedded", {"components": ["maintenance"]})


def test_a_pod_that_waits_has_all_that_the_serving_one_has_and_is_killed_by_no_probe() -> None:
    (serving,), (idle,) = render("embedded").pods, waiting().pods
    own, its = serving.spec["containers"][0], idle.spec["containers"][0]
    changed = {"args", "command", "startupProbe", "readinessProbe", "livenessProbe"}
    assert {key for key in own.keys() | its.keys() if own.get(key) != its.get(key)} == changed
    assert its.keys() & changed == {"command"}
    assert {**serving.spec, "containers": []} == {**idle.spec, "containers": []}
    assert immutable(render("embedded")) == immutable(waiting())


def bulk() -> World:
    """A site that loads in bulk, as the manual makes it."""
    site = {
        "components": ["ray-bulk"],
        "labels": [{"pairs": {INSTANCE: "dashscope"}, "includeSelectors": True}],
        "secretGenerator": [{"name": "winnow-bulk", "envs": ["bulk.env"]}],
    }
    return compose("dashscope", site, {"bulk.env": "AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=b\n"})


def test_a_database_of_ones_own_is_apart_from_what_is_deleted() -> None:
    data = yaml.safe_load((K8S / "data" / "kustomization.yaml").read_text())
    assert data["components"] == ["../components/postgres/cluster"]
    world = compose("dashscope", {"components": ["postgres"]})
    assert world.one("Cluster", "catalog")["spec"]["instances"] == 3
    backup = world.one("ScheduledBackup", "catalog")["spec"]
    night = int(world.one("CronJob", "qdrant-snapshots")["spec"]["schedule"].split()[1])
    assert int(backup["schedule"].split()[2]) == night + 1  # the catalog last: it names every document


def test_the_manual_states_what_the_pods_ask_for() -> None:
    text = policies_network.MANUAL.read_text()
    for overlay in OVERLAYS:
        cpu, memory, volumes = requested(render(overlay))
        assert f"| `{overlay}` | {cpu:g} | {memory / 1024:g} GiB | {volumes / 1024:g} GiB |" in text, (
            overlay,
            cpu,
            memory,
            volumes,
        )


def requested(world: World) -> tuple[float, float, float]:
    """CPUs, MiB of memory and MiB of volumes in sum, of what runs all the time."""
    cpu = memory = volumes = 0.0
    for pod in (pod for pod in world.pods if pod.owner["kind"] != "CronJob"):
        count = pod.owner["spec"].get("replicas") or policies_scaling.BOUNDS[pod.owner["metadata"]["name"]][0]
        if pod.component in {"embedder", "reranker"}:
            count = 1
        for one in pod.spec["containers"]:
            wants = one["resources"]["requests"]
            cpu += count * cpus(wants["cpu"])
            memory += count * megabytes(wants["memory"])
        claims = pod.owner["spec"].get("volumeClaimTemplates", [])
        volumes += count * sum(megabytes(claim["spec"]["resources"]["requests"]["storage"]) for claim in claims)
    return cpu, memory, volumes


def test_names_of_generated_objects_are_told_from_others() -> None:
    assert plain("winnow-g7hbt8hmhc") == "winnow"
    assert plain("winnow-bootstrap") == "winnow-bootstrap"


COMPONENTS = set(
    "autoscaling dashscope embedded-single external-secrets gateway gateway-prefix maintenance monitoring "
    "network-policies postgres qdrant-cluster qdrant-single ray-bulk vllm-embedding vllm-reranker worker".split()
)
