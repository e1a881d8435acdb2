"""The manual for Kubernetes, typed: its commands in a shell, without the tools that need a cluster or a registry."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.render import HAS_KUSTOMIZE, OVERLAYS, ROOT, compose, render

pytestmark = pytest.mark.skipif(not HAS_KUSTOMIZE, reason="kubectl is not installed")
MANUAL = ROOT / "docs" / "operations" / "kubernetes.md"
ABSENT = ("docker", "helm", "winnow", "make")
KUBECTL = """#!/bin/bash
# Renders what is applied or deleted; other commands need a cluster.
set -eu
case "$1 ${2-}" in
  "apply -k" | "delete -k") echo "$3" >> "$APPLIED"; "$REAL_KUBECTL" kustomize "$3" > /dev/null ;;
  "-n winnow") [ "$3" != apply ] || [ -f "$5" ] ;;
esac
"""
OPENSSL = """#!/bin/bash
# Certificates take seconds and go nowhere here.
[ "$1" != rand ] || echo c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0
"""


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, without the indentation that those in a list have."""
    found = re.findall(r"(?ms)^( *)```(\w*)\n(.*?)^ *```$", MANUAL.read_text())
    return [re.sub(rf"(?m)^{indent}", "", body) for indent, named, body in found if named == language]


def stub(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)


def test_every_command_of_the_manual_works_as_it_is_typed(tmp_path: Path) -> None:
    tools, checkout = tmp_path / "tools", tmp_path / "checkout"
    shutil.copytree(
        ROOT / "deploy",
        checkout / "deploy",
        ignore=shutil.ignore_patterns("mine", "own", "load", "restore", "recovery", "crds"),
    )
    tools.mkdir()
    stub(tools, "kubectl", KUBECTL)
    stub(tools, "openssl", OPENSSL)
    for name in ABSENT:
        stub(tools, name, "#!/bin/bash\n")
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    told = {"PATH": path, "REAL_KUBECTL": str(shutil.which("kubectl")), "APPLIED": str(tmp_path / "applied")}
    typed = "\n".join(blocks(""))
    command = ["bash", "-euo", "pipefail", "-c", typed]
    done = subprocess.run(command, cwd=checkout, env=told, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    applied = (tmp_path / "applied").read_text().split()
    sites = {f"deploy/k8s/sites/{name}" for name in ("mine", "own", "load", "restore", "recovery")}
    assert {"deploy/k8s/cluster", "deploy/k8s/data", *sites} == set(applied)


@pytest.mark.parametrize("fragment", blocks("yaml"), ids=lambda text: text.splitlines()[1].strip()[:40])
def test_every_addition_to_a_site_changes_what_it_renders_to(fragment: str) -> None:
    content: dict[str, Any] = yaml.safe_load(fragment)
    if "apiVersion" in content:
        pytest.skip("an object, not a part of a site")
    components = ["gateway", "gateway-prefix"] if "HTTPRoute" in fragment else []
    changes = []
    for overlay in OVERLAYS:
        plain = compose(overlay, {"components": components}).objects if components else render(overlay).objects
        try:
            changed = compose(overlay, {"components": components, **content}).objects
        except AssertionError:  # this overlay has nothing of the kind
            continue
        changes.append(changed != plain)
    assert any(changes)
