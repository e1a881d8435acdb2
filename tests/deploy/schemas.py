"""Validation of objects: Kubernetes' own kinds against its schemas, operators' kinds against the fields that we use.

`custom.yaml` beside this file describes, of each operator's kind, the fields that the manifests have; all others are
refused. With KUBERNETES_CRDS=FOLDER, a folder of CustomResourceDefinitions (the operators' releases, or what
`kubectl get crd -o yaml` prints), objects are held to those as well, and `custom.yaml` to accepting nothing that they
refuse: `make crds`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.deploy.render import Object, is_custom, pods_of

VERSIONS = ("1.33", "1.34", "1.35", "1.36", "1.37")
NEWEST = VERSIONS[-1]
SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
_FIELDS = Path(__file__).with_name("custom.yaml")


def kubernetes_errors(each: Object, version: str = NEWEST) -> Iterator[str]:
    """What Kubernetes would refuse; for an operator's kind, of the pods in it."""
    if is_custom(each):
        for pod in pods_of(each):
            whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod", **pod.template["metadata"]}}
            yield from kubernetes_errors(whole | {"spec": pod.spec}, version)
        return
    validator = kubernetes_validator(each["apiVersion"], each["kind"], version)
    if validator is None:
        yield f"{version}: no {each['apiVersion']} {each['kind']}"
    else:
        yield from (f"{version}: {error.json_path}: {error.message}" for error in validator.iter_errors(each))


@cache
def kubernetes_validator(api_version: str, kind: str, version: str) -> Draft202012Validator | None:
    """The strict schema of a kind, from the files of kubernetes-validate, which reads them again for each object."""
    group, _, number = api_version.rpartition("/")
    name = "-".join(part for part in (kind.lower(), group.partition(".")[0], number) if part)
    path = SCHEMAS / f"v{version}.0-local-strict" / f"{name}.json"
    if not path.exists():
        return None
    return Draft202012Validator(json.loads(path.read_text()), registry=_definitions(version))


@cache
def _definitions(version: str) -> Registry[Any]:
    path = SCHEMAS / f"v{version}.0-local-strict" / "_definitions.json"
    resource = Resource.from_contents(json.loads(path.read_text()))
    return (resource @ Registry()).with_resource("_definitions.json", resource).crawl()


@cache
def custom_schemas() -> dict[str, Any]:
    """The schema of each `apiVersion kind`."""
    schemas: dict[str, Any] = yaml.safe_load(_FIELDS.read_text())["kinds"]
    return schemas


@cache
def custom_validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(custom_schemas()[kind])


def custom_errors(each: Object) -> Iterator[str]:
    """What of an operator's kind is not among the fields that are known."""
    if is_custom(each):
        validator = custom_validator(f"{each['apiVersion']} {each['kind']}")
        content = {key: value for key, value in each.items() if key not in {"apiVersion", "kind", "metadata"}}
        yield from (f"{error.json_path}: {error.message}" for error in validator.iter_errors(content))


def crd_schemas(folder: Path) -> dict[str, Any]:
    """The schema of each `apiVersion kind` among the CustomResourceDefinitions below a folder."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.y*ml")):
        for document in yaml.safe_load_all(path.read_text()):
            for crd in document.get("items", [document]) if isinstance(document, dict) else []:
                if crd.get("kind") == "CustomResourceDefinition":
                    group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
                    for version in crd["spec"]["versions"]:
                        schema = _closed(version["schema"]["openAPIV3Schema"])
                        schema["properties"]["metadata"] = {"type": "object"}  # Kubernetes' own, which it adds
                        schema["required"] = [name for name in schema.get("required", []) if name != "metadata"]
                        found[f"{group}/{version['name']} {kind}"] = schema
    return found


def _closed(schema: Any) -> Any:
    """A schema that refuses unknown fields, as the API server does with strict validation."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    closed = {key: _closed(value) for key, value in schema.items() if key not in {"description", "format"}}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and not open_ended:
        closed["additionalProperties"] = False
    return closed


def looser(own: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """Where a schema of `custom.yaml` accepts what an operator's own definition refuses.

    Patterns and rules in CEL cannot be compared: what has a pattern there needs a pattern or a list of values here.
    """
    if theirs.get("x-kubernetes-preserve-unknown-fields") or not own:
        return
    yield from (f"{path}: {each}" for each in _looser_here(own, theirs))
    for name, inner in own.get("properties", {}).items():
        if name in theirs.get("properties", {}):
            yield from looser(inner, theirs["properties"][name], f"{path}.{name}")
        elif not isinstance(theirs.get("additionalProperties"), dict):
            yield f"{path}.{name}: unknown there"
    for key, place in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(own.get(key), dict) and isinstance(theirs.get(key), dict):
            yield from looser(own[key], theirs[key], path + place)


def _looser_here(own: Any, theirs: Any) -> Iterator[str]:
    """The same, of one place without what is inside it."""
    kinds = theirs.get("type", [])
    if "type" in own and own["type"] not in ([kinds] if isinstance(kinds, str) else kinds):
        yield f"{own['type']}, there {kinds}"
    known = theirs.get("enum", own.get("enum"))
    yield from (f"{value} is unknown there" for value in own.get("enum", []) if value not in known)
    if "enum" not in own and ("enum" in theirs or ("pattern" in theirs and "pattern" not in own)):
        yield f"there {theirs.get('enum', theirs.get('pattern'))}"
    for key in theirs.keys() & {"minimum", "minLength", "minItems"}:
        if own.get(key, -1) < theirs[key]:
            yield f"{key} {theirs[key]} there"
    for key in theirs.keys() & {"maximum", "maxLength", "maxItems"}:
        if own.get(key, float("inf")) > theirs[key]:
            yield f"{key} {theirs[key]} there"
    if "properties" in own and (missing := set(theirs.get("required", [])) - set(own.get("required", []))):
        yield f"required there: {sorted(missing)}"
