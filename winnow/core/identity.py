"""Comparison of the models that an index was built with and those that are configured."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Final

from winnow.core.errors import IdentityMismatch
from winnow.core.types import Index, IndexIdentity

CHUNKER: Final = "canonical-1"  # name and version: raise the version when chunk borders or passages change
_HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+")


def require_same_identity(index: Index, current: IndexIdentity) -> None:
    """Raise ``IdentityMismatch`` that names both sides of each difference.

    The provider may differ: documents embedded in bulk on a GPU are searched through a server of the same model. So may
    the chunker and the tokenizer that counts for it: chunks with other borders are found as well. So may the tokenizer
    of the keyword arm: an index is written and searched with its own. Revisions are compared where both sides know
    theirs.
    """
    if index.identity == current:
        return
    ours, theirs = asdict(current), asdict(index.identity)
    if differing := [key for key in ours if not _same(key, ours[key], theirs[key])]:
        sides = "; ".join(f"{key}: built with {theirs[key]!r}, configured {ours[key]!r}" for key in differing)
        raise IdentityMismatch(
            f"collection {index.collection!r} does not fit the configured models ({sides}); configure what it was "
            f"built with, index its documents into a new collection, or change its model with "
            f"`winnow reembed -c {index.collection}`"
        )


def same_identity(one: IndexIdentity, other: IndexIdentity) -> bool:
    """Whether vectors of the two can be compared; ``require_same_identity`` says what may differ."""
    ours, theirs = asdict(one), asdict(other)
    return one == other or all(_same(key, ours[key], theirs[key]) for key in ours)


def same_model(one: str, other: str) -> bool:
    """Whether two names mean one model: ``/models/Qwen3-Embedding-0.6B`` is ``Qwen/Qwen3-Embedding-0.6B``.

    A folder, or a bare name that a server gives it, is the hub's model of that last part, letters' case aside. Two
    different ids of the hub are two models, even if their last parts are equal.
    """
    if _HUB_ID.fullmatch(one) and _HUB_ID.fullmatch(other):
        return one == other
    return _last_part(one) == _last_part(other)


def _same(key: str, ours: object, theirs: object) -> bool:
    match key:
        case "provider" | "tokenizer" | "chunker" | "keyword_tokenizer":
            return True
        case "model":
            return same_model(str(ours), str(theirs))
        case "revision":
            return not ours or not theirs or ours == theirs
        case _:
            return ours == theirs


def _last_part(model: str) -> str:
    return model.rstrip("/").rsplit("/", 1)[-1].casefold()
