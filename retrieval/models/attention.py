"""Attention within sequences that are laid out in two ways: packed for documents, padded for queries.

Packed sequences lie end to end. They are attended to in groups of about one length, padded to a multiple of 32 for this
step alone, by plain matrix products: on CPUs, torch's fused kernel takes twice their time for these small heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

HEADS: Final = 12
_STEP: Final = 32


class _Group:
    """Sequences that are padded to one length: where their tokens lie, and which keys are padding."""

    def __init__(self, starts: Sequence[int], lengths: Sequence[int], size: int, dtype: torch.dtype) -> None:
        place = torch.arange(size)
        sizes = torch.tensor(lengths).unsqueeze(1)
        real = place < sizes  # (sequences, size)
        self.rows = torch.where(real, torch.tensor(starts).unsqueeze(1) + place, 0).flatten()
        self.real = real.flatten().nonzero().squeeze(1)
        padding = torch.zeros(real.shape, dtype=dtype).masked_fill_(~real, -torch.inf)
        self.mask = padding.repeat_interleave(HEADS, 0).unsqueeze(1)  # (sequences * heads, 1, size)
        self.shape = (len(lengths), size, 3, HEADS, -1)

    def attend(self, qkv: Tensor) -> Tensor:
        """Attention of the group's real tokens: shape (tokens of the group, dimensions)."""
        heads = qkv.index_select(0, self.rows).view(self.shape).permute(2, 0, 3, 1, 4)
        query, key, value = heads.flatten(1, 2).contiguous()
        scores = torch.baddbmm(self.mask, query, key.transpose(1, 2), alpha=query.shape[-1] ** -0.5)
        mixed = torch.bmm(scores.softmax(-1), value)
        sequences, size = self.shape[:2]
        return mixed.view(sequences, HEADS, size, -1).transpose(1, 2).flatten(2).flatten(0, 1)[self.real]


class Attention(Protocol):
    """Looks up what tokens attend to."""

    def attend(self, qkv: Tensor) -> Tensor:
        """Attention within each sequence.

        Args:
            qkv: queries, keys and values of all tokens, shape (tokens, 3 * dimensions).

        Returns:
            Shape (tokens, dimensions).
        """
        ...


class Padded:
    """Few short sequences, all padded to one length.

    Args:
        mask: 0 for tokens and -inf for padding, shape (sequences, length).
    """

    def __init__(self, mask: Tensor) -> None:
        self._shape = (*mask.shape, 3, HEADS, -1)
        self._mask = mask[:, None, None, :]

    def attend(self, qkv: Tensor) -> Tensor:
        query, key, value = qkv.view(self._shape).permute(2, 0, 3, 1, 4).unbind()
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=self._mask)
        return mixed.transpose(1, 2).flatten(2).flatten(0, 1)


class Packed:
    """How sequences laid end to end fall into groups; made once and used by every layer.

    Args:
        lengths: of the sequences, in their order.
        dtype: of what is attended to.
    """

    def __init__(self, lengths: Sequence[int], dtype: torch.dtype) -> None:
        starts = torch.tensor([0, *lengths]).cumsum(0).tolist()
        members: dict[int, list[int]] = {}
        for i, length in enumerate(lengths):
            members.setdefault(-(-length // _STEP) * _STEP, []).append(i)
        self._groups = [
            _Group([starts[i] for i in chosen], [lengths[i] for i in chosen], size, dtype)
            for size, chosen in members.items()
        ]
        order = torch.cat([group.rows[group.real] for group in self._groups])
        self._back = order.argsort() if len(self._groups) > 1 else None

    def attend(self, qkv: Tensor) -> Tensor:
        mixed = [group.attend(qkv) for group in self._groups]
        if self._back is None:
            return mixed[0]
        return torch.cat(mixed)[self._back]
