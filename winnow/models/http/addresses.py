"""Addresses of calls: what people set as a model's URL, and where a call or a question about the server goes.

Providers print the address of the server, the base of its API with a version (``https://host/v1``) or the whole
address of the call (``https://host/compatible-mode/v1/reranks``). All of them are understood.
"""

from __future__ import annotations

import re
from typing import Final

from yarl import URL

_VERSION: Final = re.compile(r"v\d+")
_CALLS: Final = frozenset({"rerank", "reranks", "text-rerank", "embeddings", "embed", "text-embedding", "score"})


def call_address(base: str, path: str) -> str:
    """The address of the call at ``path`` of the API whose URL is set to ``base``.

    A base that ends with the call's own name is the whole address and is called as it is. What a base and ``path`` have
    in common is not repeated, and a base with a version gets no second one: it takes the place of everything in
    ``path`` up to the version there.
    """
    address, wanted = URL(base), _steps(path)
    under = _steps(address.path)
    overlap = next((n for n in range(len(wanted), 0, -1) if under[-n:] == wanted[:n]), 0)
    if overlap:
        wanted = wanted[overlap:]
    elif under and wanted and _call_name(under[-1]) == _call_name(wanted[-1]):
        wanted = []
    elif under and _VERSION.fullmatch(under[-1]):
        versions = [n for n, step in enumerate(wanted) if _VERSION.fullmatch(step)]
        wanted = wanted[versions[-1] + 1 :] if versions else wanted
    return str(address.with_path("/".join(["", *under, *wanted])))


def server_address(base: str, path: str) -> str:
    """The address of ``path``, such as ``/health``, at the root of the server whose URL is set to ``base``.

    The root is what is left of ``base`` without the name of a call and the version before it.
    """
    address = URL(base)
    under = _steps(address.path)
    if under and under[-1] in _CALLS:
        under = under[:-1]
    if under and _VERSION.fullmatch(under[-1]):
        under = under[:-1]
    return call_address(str(address.with_path("/".join(["", *under]))), path)


def _steps(path: str) -> list[str]:
    return [step for step in path.split("/") if step]


def _call_name(step: str) -> str:
    """The name of a call, whether a provider writes it in the plural or not."""
    return step.removesuffix("s")
