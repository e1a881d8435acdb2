"""docs/configuration.md names every setting with the default that is in force."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from winnow.core.settings import Settings
from winnow.core.settings.base import Endpoint, Group
from winnow.core.settings.embedding import Embedding
from winnow.core.settings.rerank import Rerank
from winnow.core.settings.vectors import Vectors

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")
SHARED = ("api_key", "auth_scheme", "timeout_seconds", "connections")
PROVIDERS: list[type[Group]] = [
    group for union in (Embedding, Rerank, Vectors) for group in get_args(get_args(union)[0])
]


def heading_of(group: type[Group]) -> str:
    """The heading of a provider's section."""
    kind = next(kind for kind in ("Embedding", "Rerank", "Vectors") if group.__name__.endswith(kind))
    return f"### `WINNOW_{kind.upper()}__PROVIDER={group.model_fields['provider'].default}`"


def rows_of(group: type[Group]) -> Iterator[str]:
    """The rows of a provider's table: its settings but those that all providers behind HTTP share."""
    shared = SHARED if issubclass(group, Endpoint) else ()
    for name, field in group.model_fields.items():
        if name != "provider" and name not in shared:
            yield f"| `__{name.upper()}` | {shown(field.default)} | {field.description or ''} |".replace("|  |", "| |")


def shown(default: Any) -> str:
    """A default as the page writes it."""
    match default:
        case bool():
            return str(default).lower()
        case None:
            return "unset"
        case "" | SecretStr():
            return "empty"
        case int() | float():
            return f"{default:g}" if isinstance(default, float) else str(default)
        case _ if default is PydanticUndefined:
            return "needed"
        case _:
            return f"`{default}`"


def section(heading: str) -> str:
    """The page's text under ``heading``."""
    assert f"{heading}\n" in PAGE, f"docs/configuration.md has no section {heading}"
    return PAGE.split(f"{heading}\n", 1)[1].split("\n#", 1)[0]


@pytest.mark.parametrize("group", PROVIDERS, ids=heading_of)
def test_each_provider_has_its_settings_and_no_others(group: type[Group]) -> None:
    found = [line for line in section(heading_of(group)).splitlines() if line.startswith("| `__")]
    assert found == list(rows_of(group)), "docs/configuration.md differs from the settings"


def test_what_all_providers_behind_http_share_is_there() -> None:
    for name in SHARED:
        assert f"| `__{name.upper()}` |" in section("### Models behind HTTP")


@pytest.mark.parametrize("name", ["server", "operations", "search", "indexing", "catalog"])
def test_each_other_setting_is_named(name: str) -> None:
    group = Settings.model_fields[name].default
    for field in type(group).model_fields:
        variable = f"WINNOW_{name.upper()}__{field.upper()}"
        pages = PAGE + (Path(__file__).parents[2] / "docs" / "indexing.md").read_text("utf-8")
        assert variable in pages or f"`__{field.upper()}`" in pages, f"{variable} is not documented"
