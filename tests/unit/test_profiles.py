"""deploy/profiles: every file is accepted as it stands, asks for the keys it needs, and is explained."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from winnow.core.errors import InvalidSettings
from winnow.core.settings import load_settings
from winnow.core.settings.embedding import Embedding
from winnow.core.settings.rerank import Rerank

ROOT = Path(__file__).parents[2]
PROFILES = sorted((ROOT / "deploy" / "profiles").glob("*.env"))
PAGE = (ROOT / "docs" / "models.md").read_text("utf-8")
_NEEDS = re.compile(r"^# needs (WINNOW_\w+)$", re.MULTILINE)
_LINE = re.compile(r"(WINNOW_[A-Z_]+)=(\S+)")  # no quotes, no spaces: a shell and a container read the same


@pytest.fixture(autouse=True)
def _nothing_else_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("WINNOW_")]:
        monkeypatch.delenv(name)


def variables_of(profile: Path) -> dict[str, str]:
    """The variables that a profile sets; any line that is neither one nor a comment is an error."""
    found = {}
    for line in profile.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            match = _LINE.fullmatch(line)
            assert match, f"{profile.name}: {line!r}"
            found[match[1]] = match[2]
    return found


def keys_asked_for() -> set[str]:
    """The keys without which the settings in force are refused."""
    try:
        load_settings()
    except InvalidSettings as error:
        return set(re.findall(r"WINNOW_\w+__API_KEY", error.message))
    return set()


def providers_of(union: object) -> set[str]:
    """The providers that one can configure, but those for tests."""
    groups = get_args(get_args(union)[0])
    return {each.model_fields["provider"].default for each in groups} - {"custom"}


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.stem)
def test_a_profile_is_accepted_once_it_has_its_keys(profile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables, keys = variables_of(profile), _NEEDS.findall(profile.read_text("utf-8"))
    for name, value in variables.items() | {(key, "dummy") for key in keys}:
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.rerank.provider == variables["WINNOW_RERANK__PROVIDER"]
    assert settings.embedding.provider == variables.get("WINNOW_EMBEDDING__PROVIDER", "bundled")


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.stem)
def test_a_profile_holds_no_key_and_says_which_it_needs(profile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables, keys = variables_of(profile), _NEEDS.findall(profile.read_text("utf-8"))
    assert not any("KEY" in name for name in variables)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert keys_asked_for() <= set(keys)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.stem)
def test_a_shell_reads_a_profile_as_it_is_written(profile: Path) -> None:
    script = f"set -a; . {shlex.quote(str(profile))}; env"
    shell = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    seen = dict(line.split("=", 1) for line in shell.stdout.splitlines() if line.startswith("WINNOW_"))
    assert seen == variables_of(profile)


def test_the_page_names_every_profile_and_no_other() -> None:
    assert set(re.findall(r"([\w-]+)\.env\b", PAGE)) == {profile.stem for profile in PROFILES}


def test_every_provider_has_a_profile() -> None:
    used = [variables_of(profile) for profile in PROFILES]
    assert providers_of(Embedding) <= {each.get("WINNOW_EMBEDDING__PROVIDER") for each in used}
    assert providers_of(Rerank) <= {each["WINNOW_RERANK__PROVIDER"] for each in used}


def test_the_page_leads_nowhere_that_is_not_there() -> None:
    headings = {
        re.sub(r"[^\w\- ]", "", line.lstrip("# ")).lower().replace(" ", "-")
        for line in PAGE.splitlines()
        if line.startswith("#")
    }
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        path, _, anchor = target.partition("#")
        if not path:
            assert anchor in headings, target
        elif "://" not in path:
            assert (ROOT / "docs" / path).exists(), target
