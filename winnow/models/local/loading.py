"""Loads models by id or folder: device, precision, faster norms, the tokenizer that comes with them, errors."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import shorten
from typing import Any, Final, Literal

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HFValidationError
from torch import nn

from winnow.core.errors import InvalidSettings
from winnow.models.qwen_tokens import FileTokens

DtypeName = Literal["auto", "bfloat16", "float16", "float32"]

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
# norms of decoders that are x / rms(x) * weight; Gemma's, which adds 1 to the weight, is not
_PLAIN_NORMS: Final = {"Qwen2RMSNorm", "Qwen3RMSNorm", "LlamaRMSNorm", "MistralRMSNorm"}


def choose_device(name: str, variable: str) -> torch.device:
    """The device that a setting names; ``auto`` is the first GPU, or the CPU where there is none.

    Raises:
        InvalidSettings: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = str(error).splitlines()[0]
        raise InvalidSettings(f"no device {name} here ({reason}): set {variable}__DEVICE to auto or cpu") from error
    return device


def choose_dtype(name: DtypeName, device: torch.device) -> torch.dtype:
    """The precision that a setting names; ``auto`` is bfloat16 on a GPU and float32 on the CPU."""
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def is_causal(model: nn.Module) -> bool:
    """Whether no token of ``model`` looks at those behind it.

    Then a batch that is padded at its ends needs no mask, and only without a mask does torch choose its flash kernels.
    """
    directions = [layer.is_causal for layer in model.modules() if hasattr(layer, "is_causal")]
    return bool(directions) and all(directions)


def fuse_norms(model: nn.Module) -> None:
    """Replace the norms of ``model`` by torch's own, over the same weights: one kernel each instead of six.

    Spelt out, the four norms of a layer of Qwen3 move more memory than all its products together.
    """
    for name, norm in list(model.named_modules()):
        if type(norm).__name__ in _PLAIN_NORMS:
            plain: Any = norm
            fused = nn.RMSNorm(plain.weight.shape, eps=plain.variance_epsilon, device="meta")
            fused.weight = plain.weight
            model.set_submodule(name, fused)


def source_of(model: str) -> str:
    """Where libraries find ``model``: the folder, with ``~`` expanded, or the id."""
    folder = Path(model).expanduser()
    return str(folder) if folder.is_dir() else model


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
    try:
        if not file.parent.is_dir():
            file = Path(hf_hub_download(model, file.name, revision=revision or None))
        elif not file.is_file():
            raise FileNotFoundError(f"no {file.name} in it")
    except (OSError, HFValidationError) as error:
        raise cannot_load(model, error, variable) from error
    folder = file.parent.name  # the hub's cache names folders by commit
    return FileTokens(file), folder if _COMMIT.fullmatch(folder) else revision


def cannot_load(model: str, reason: Exception, variable: str) -> InvalidSettings:
    """The error for a model that is not there, or not what it should be."""
    return InvalidSettings(
        f"cannot load {model} ({brief(reason)}): set {variable}__MODEL to an id of the Hugging Face hub or a folder"
    )


def brief(error: Exception) -> str:
    """A library's error on one line of at most 300 characters."""
    return shorten(f"{type(error).__name__}: {error}", 300)
