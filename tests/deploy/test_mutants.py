"""A sample of `make deploy-mutants`: most changes of the manifests are noticed by a policy."""

from __future__ import annotations

import pytest

from tests.deploy.mutants import REACH, REMOVED, Mutant, sample, survivors
from tests.deploy.policies import first_violation, violations
from tests.deploy.render import HAS_KUSTOMIZE, OVERLAYS, render

pytestmark = pytest.mark.skipif(not HAS_KUSTOMIZE, reason="kubectl is not installed")


def test_changes_of_the_manifests_are_noticed() -> None:
    chosen = sample(120)
    left = survivors(chosen)
    assert 1 - len(left) / len(chosen) >= REACH, [str(mutant) for mutant in left]


def test_there_are_mutants_enough() -> None:
    assert len(sample(0)) >= 300


def test_what_is_not_changed_violates_nothing() -> None:
    assert [violations(render(overlay)) for overlay in OVERLAYS] == [[], [], [], []]


def test_a_mutant_changes_its_own_copy() -> None:
    index = next(i for i, each in enumerate(render("embedded").objects) if each["kind"] == "StatefulSet")
    path = ("spec", "template", "spec", "securityContext", "runAsNonRoot")
    assert first_violation(Mutant("embedded", index, path, REMOVED, "root").apply()) is not None
    assert violations(render("embedded")) == []
