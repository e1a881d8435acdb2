"""How token ids go through a torch model: in batches of one length, queries first, tokenising and reading beside it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from winnow.core.errors import UpstreamTooLong, UpstreamUnavailable
from winnow.core.types import FloatArray
from winnow.models.local.priority_thread import PriorityThread

Ids: TypeAlias = list[int]
Forward: TypeAlias = Callable[[Tensor, Tensor], Tensor]

_GPU_TOKENS: Final = 32_768  # fill a large card
_CPU_TOKENS: Final = 1024  # stay in its caches
_AHEAD: Final = 2  # batches of one call that are on the device: it has the next one while an answer is read

Value = TypeVar("Value")


def token_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Positions in ``lengths``, longest first, in runs of at most ``budget`` tokens with padding; one at least."""
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


@dataclass(frozen=True, slots=True)
class _Launched:
    """What a batch gives, maybe not there yet: ``ready`` tells when, on a GPU."""

    rows: Tensor
    ready: torch.cuda.Event | None

    def read(self) -> FloatArray:
        """The rows, shape (n, k); waits for them."""
        if self.ready is not None:
            self.ready.synchronize()
        rows: FloatArray = self.rows.numpy()
        return rows


class BatchRunner:
    """Runs a model on a thread of its own; the event loop never waits for it.

    Args:
        forward: token ids (n, longest), padded at their ends, and lengths (n,) to float32 rows (n, k); on ``device``.
        device: where the model is.
        width: k.
        batch_tokens: tokens in one forward pass, padding included; halved whenever the device runs out of memory;
            ``None``: what suits the device.
        variable: names the settings in messages.
    """

    def __init__(
        self, forward: Forward, device: torch.device, *, width: int, batch_tokens: int | None, variable: str
    ) -> None:
        self._forward = torch.inference_mode()(forward)
        self._device = device
        self._width = width
        self._batch_tokens = batch_tokens or (_GPU_TOKENS if device.type == "cuda" else _CPU_TOKENS)
        self._variable = variable
        self._thread = PriorityThread(self._answer)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="tokens")

    async def read(self, work: Callable[[], Value]) -> Value:
        """Do ``work``, which turns text into ids, while the model is busy with other texts.

        Raises:
            UpstreamUnavailable: the model is closed.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._reader, work)
        except RuntimeError as error:  # the executor is shut down
            raise UpstreamUnavailable("the model is closed") from error

    async def ask(self, rows: Sequence[Ids]) -> FloatArray:
        """Rows for a few queries, shape (n, k): before all bulk work, in one batch with other queries that wait."""
        answers = await asyncio.gather(*map(self._thread.ask, rows))
        return np.stack(answers) if answers else self._nothing(0)

    async def run(self, rows: Sequence[Ids]) -> FloatArray:
        """Rows for many texts, shape (n, k), in batches of about one length."""
        results = self._nothing(len(rows))
        flying: deque[tuple[list[int], list[_Launched]]] = deque()
        for members in token_batches([len(row) for row in rows], self._batch_tokens):
            if len(flying) == _AHEAD:
                await self._collect(results, *flying.popleft())
            batch = [rows[i] for i in members]
            flying.append((members, await self._thread.run(partial(self._launch, batch))))
        while flying:
            await self._collect(results, *flying.popleft())
        return results

    async def close(self) -> None:
        """End both threads after what they are doing now."""
        await self._thread.close()
        self._reader.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._reader.shutdown)

    async def _collect(self, results: FloatArray, members: list[int], parts: Sequence[_Launched]) -> None:
        """Put the rows of a batch where they belong, when they are there."""
        there = parts[0].ready is None
        results[members] = _rows(parts) if there else await asyncio.to_thread(_rows, parts)

    def _answer(self, rows: Sequence[Ids]) -> list[FloatArray]:
        results = self._nothing(len(rows))
        for members in token_batches([len(row) for row in rows], self._batch_tokens):
            results[members] = _rows(self._launch([rows[i] for i in members]))
        return list(results)

    def _launch(self, rows: Sequence[Ids]) -> list[_Launched]:
        """Start a batch, in as many halves as the device's memory asks for; those of later calls are made smaller."""
        try:
            return [self._start(rows)]
        except torch.OutOfMemoryError:
            tokens = len(rows) * len(rows[0])
            if len(rows) == 1:
                raise UpstreamTooLong(
                    f"{self._device} has no memory for a text of {tokens} tokens: lower {self._variable}__MAX_TOKENS, "
                    "or end what else runs there"
                ) from None
        # outside of the handler: until its end the error holds what the batch has taken
        torch.cuda.empty_cache()
        self._batch_tokens = min(self._batch_tokens, max(1, tokens // 2))
        middle = len(rows) // 2
        return [*self._launch(rows[:middle]), *self._launch(rows[middle:])]

    def _start(self, rows: Sequence[Ids]) -> _Launched:
        lengths = torch.tensor([len(row) for row in rows])
        ids = torch.zeros((len(rows), int(lengths.max())), dtype=torch.int64)
        for padded, row in zip(ids.numpy(), rows, strict=True):
            padded[: len(row)] = row
        if self._device.type != "cuda":
            return _Launched(self._forward(ids.to(self._device), lengths.to(self._device)).cpu(), None)
        move = partial(Tensor.to, device=self._device, non_blocking=True)
        found = self._forward(move(ids.pin_memory()), move(lengths.pin_memory())).to("cpu", non_blocking=True)
        ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
        ready.record(torch.cuda.current_stream(self._device))
        return _Launched(found, ready)

    def _nothing(self, count: int) -> FloatArray:
        return np.zeros((count, self._width), dtype=np.float32)


def _rows(parts: Sequence[_Launched]) -> FloatArray:
    return np.concatenate([part.read() for part in parts])
