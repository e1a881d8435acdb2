"""The tokens that models may read for a caller, and a second stage that reads no more than its budget has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Protocol

from winnow.ports import EmbeddedQuery, Passage, Reranker, RerankerInfo, Reranking


class TokenBudget(Protocol):
    """The tokens that models may read for one caller."""

    async def require(self) -> None:
        """Return if some are left.

        Raises:
            TokensSpent: none are: go on without the model.
            RateLimited: none are, and the caller is to be told so.
        """

    async def spend(self, tokens: int) -> None:
        """Count tokens that were read."""


_BUDGET: Final[ContextVar[TokenBudget | None]] = ContextVar("budget", default=None)


@contextmanager
def budget_of(budget: TokenBudget | None) -> Iterator[None]:
    """Let what models read in this block count for ``budget``; ``None`` counts nothing."""
    token = _BUDGET.set(budget)
    try:
        yield
    finally:
        _BUDGET.reset(token)


def budget_here() -> TokenBudget | None:
    """The budget of the block that runs, in tasks that it starts too."""
    return _BUDGET.get()


class BudgetedReranker(Reranker):
    """A reranker that asks the budget of its caller before it reads. ``reranker`` is closed with this wrapper.

    Attributes:
        unbudgeted: ``reranker``.
    """

    def __init__(self, reranker: Reranker) -> None:
        self.unbudgeted = self._reranker = reranker

    @property
    def info(self) -> RerankerInfo:
        return self._reranker.info

    async def rerank(
        self, query: EmbeddedQuery, passages: Sequence[Passage], *, instruct: str | None = None
    ) -> Reranking:
        budget = budget_here()
        if budget is None:
            return await self._reranker.rerank(query, passages, instruct=instruct)
        await budget.require()
        answer = await self._reranker.rerank(query, passages, instruct=instruct)
        if answer.tokens:
            await budget.spend(answer.tokens)
        return answer

    async def close(self) -> None:
        await self._reranker.close()
