"""Device, precision and faster norms of torch models."""

from __future__ import annotations

from typing import Any, Final, Literal

import torch
from torch import nn

from winnow.core.errors import InvalidSettings

DtypeName = Literal["auto", "bfloat16", "float16", "float32"]

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
