"""Translation of the engine's errors, which are bare ``Exception``, into the error tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from winnow.core.errors import IndexLost, StorageFailure, StorageFull, WinnowError

_FULL = ("no space left", "os error 28", "disk quota exceeded", "os error 122", "out of disk space")
# causes outside an index: a failing disk, a lock, permissions, memory, too many open files, a read-only volume
_PASSING = ("kind(wouldblock)", *(f"os error {number})" for number in (1, 5, 11, 12, 13, 23, 24, 30)))
_PASSING_CODES = frozenset({1, 5, 11, 12, 13, 23, 24, 30})
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


@contextmanager
def opening(what: str) -> Iterator[None]:
    """As ``edge_errors`` for an index that is opened, whose failure means that the index is lost.

    Raises:
        IndexLost: the files are incomplete or damaged.
        StorageFailure: the disk, the permissions or the memory of the process are at fault.
    """
    try:
        with edge_errors(f"loading {what}"):
            yield
    except StorageFailure as error:
        if is_passing(error):
            raise
        raise IndexLost(error.message) from error


def is_passing(error: StorageFailure) -> bool:
    """Whether the cause lies outside the files: a full or failing disk, permissions, memory, open files."""
    cause = error.__cause__
    if isinstance(error, StorageFull) or (isinstance(cause, OSError) and cause.errno in _PASSING_CODES):
        return True
    return any(sign in error.message.lower() for sign in _PASSING)
