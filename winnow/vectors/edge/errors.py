"""Translation of the engine's errors, which are bare ``Exception``, into the error tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from winnow.core.errors import StorageFailure, StorageFull, WinnowError

_FULL = ("no space left", "os error 28", "disk quota exceeded", "os error 122", "out of disk space")
_PANIC = "PanicException"  # what a panic in the engine becomes; not an Exception, and its class is not exported


@contextmanager
def edge_errors(doing: str) -> Iterator[None]:
    """Translate every error of the engine; ``doing`` names the operation in the message."""
    try:
        yield
    except WinnowError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise
        text = str(error)
        if any(sign in text.lower() for sign in _FULL):
            message = f"no space left for the vectors while {doing}; free some and try again ({text})"
            raise StorageFull(message) from error
        raise StorageFailure(f"the vector engine failed while {doing}: {text}") from error
