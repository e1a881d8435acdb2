"""Translation of the engine's errors, which are bare ``Exception``, into the error tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from winnow.core.errors import StorageFailure, StorageFull, WinnowError

_FULL = ("no space left", "os error 28", "disk quota exceeded", "os error 122", "out of disk space")
_PANIC = "PanicException"  # what a panic in the engine becomes; not an Exception, and its class is not exported


@contextmanager
def edge_errors(doing: str) -> Iterator[None]:
    """Translate whatever the engine raises; ``doing`` says in the message what was being done."""
    try:
        yield
    except WinnowError:
        raise
    except Exception as error:
        raise translate(error, doing) from error
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        raise translate(error, doing) from error


def translate(error: BaseException, doing: str) -> StorageFailure:
    """The error of our tree for one of the engine's."""
    text = str(error)
    if any(sign in text.lower() for sign in _FULL):
        return StorageFull(f"no space left for the vectors while {doing}; free some and try again ({text})")
    return StorageFailure(f"the vector engine failed while {doing}: {text}")
