"""Models by id or folder: the tokenizer that comes with them, and which commit they are."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import shorten
from typing import Final

from winnow.core.errors import InvalidSettings
from winnow.models.qwen_tokens import FileTokens

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def cannot_load(model: str, reason: Exception, variable: str) -> InvalidSettings:
    """The error for a model that is not there, or not what it should be."""
    return InvalidSettings(
        f"cannot load {model} ({brief(reason)}): set {variable}__MODEL to an id of the Hugging Face hub or a folder"
    )


def brief(error: Exception) -> str:
    """What a library says, on one line and not at length."""
    return shorten(f"{type(error).__name__}: {error}", 300)


def tokenizer_of(model: str, revision: str, variable: str) -> tuple[FileTokens, str]:
    """The tokenizer that ``model`` brings, to count with, and the model's commit, or ``revision`` if that is unknown.

    Args:
        model: id or local folder.
        revision: commit or tag, for an id; empty: the newest.
        variable: names the settings in messages.

    Raises:
        InvalidSettings: the model has no ``tokenizer.json``, or there is no such model.
    """
    file = Path(model).expanduser() / "tokenizer.json"
    if not file.parent.is_dir():
        file = _download(model, revision, variable)
    elif not file.is_file():
        raise cannot_load(model, FileNotFoundError(f"no {file.name} in it"), variable)
    folder = file.parent.name  # the hub's cache names folders by commit
    return FileTokens(file), folder if _COMMIT.fullmatch(folder) else revision


def _download(model: str, revision: str, variable: str) -> Path:
    """The file in the hub's cache; fetched, unless it is there."""
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 - comes with the extras
    from huggingface_hub.errors import HFValidationError  # noqa: PLC0415

    try:
        return Path(hf_hub_download(model, "tokenizer.json", revision=revision or None))
    except (OSError, HFValidationError) as error:
        raise cannot_load(model, error, variable) from error
