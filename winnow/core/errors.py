"""The tree of errors that Winnow raises on purpose.

::

    WinnowError
    ├── InvalidInput                 the caller must change the request
    │   ├── InvalidQuery             empty, too long, top_n > top_k …
    │   ├── InvalidFilter            undeclared field, wrong type, too deep
    │   ├── InvalidDocument          missing id, NaN in metadata, not UTF-8 …
    │   │   └── DocumentTooLarge
    │   ├── InvalidCollection        a bad name or a bad setting of a collection
    │   ├── InvalidSettings          a bad or unknown setting of the process
    │   └── InvalidSource            a source that cannot be read at all
    ├── NotFound
    │   ├── CollectionNotFound
    │   ├── DocumentNotFound
    │   └── JobNotFound
    ├── Conflict
    │   ├── IdentityMismatch         the collection was built with another model or chunker
    │   ├── VersionConflict          a document's version went backwards
    │   └── DataDirectoryLocked      another process owns the data directory
    ├── Overloaded                   shed load: try again later            (retryable)
    ├── DeadlineExceeded             the budget ran out                    (retryable)
    ├── Upstream                     a model or engine behind a port failed
    │   ├── UpstreamUnavailable      down, slow, 5xx                       (retryable)
    │   └── UpstreamRejected         it refused the request, or its answer makes no sense
    │       └── UpstreamTooLong      the input is over one of its limits: send less at once
    └── StorageFailure               disk or database failed
        └── StorageFull              no space left; frees itself when space is made (retryable)

Every error has a stable ``code``, and ``by_code`` leads back from the code to the class. The map to HTTP statuses lives
in ``service/errors.py`` alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final


class WinnowError(Exception):
    """Base of every error that Winnow raises on purpose.

    Attributes:
        code: stable, machine-readable name of what went wrong.
        retryable: whether the same call may succeed later.
        retry_after: seconds to wait before trying again, if known.
        location: path to the culprit inside the input, for example ``("filter", "filters", 0, "key")``.
    """

    code: str = "internal_error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        location: tuple[str | int, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.location = location
        self.retry_after = retry_after


class InvalidInput(WinnowError):
    """The request cannot be carried out; the message says what to change."""

    code = "invalid_input"


class InvalidQuery(InvalidInput):
    """The query or one of its parameters is out of range."""

    code = "invalid_query"


class InvalidFilter(InvalidInput):
    """The filter names an undeclared field, has a value of the wrong type, or nests too deep."""

    code = "invalid_filter"


class InvalidDocument(InvalidInput):
    """One document cannot be accepted."""

    code = "invalid_document"


class DocumentTooLarge(InvalidDocument):
    """One document's text is over the configured limit."""

    code = "document_too_large"


class InvalidCollection(InvalidInput):
    """A collection's name or one of its settings is not usable."""

    code = "invalid_collection"


class InvalidSettings(InvalidInput):
    """A setting of the process is unknown or wrong."""

    code = "invalid_settings"


class InvalidSource(InvalidInput):
    """A source given to the indexer does not exist or cannot be read at all."""

    code = "invalid_source"


class NotFound(WinnowError):
    """The requested object does not exist."""

    code = "not_found"


class CollectionNotFound(NotFound):
    """No collection with this name exists."""

    code = "collection_not_found"


class DocumentNotFound(NotFound):
    """The collection holds no document with this id."""

    code = "document_not_found"


class JobNotFound(NotFound):
    """No job with this id exists."""

    code = "job_not_found"


class Conflict(WinnowError):
    """The request conflicts with the stored state."""

    code = "conflict"


class IdentityMismatch(Conflict):
    """The collection was built with another model, dimension, instruct or chunker."""

    code = "identity_mismatch"


class VersionConflict(Conflict):
    """A document's version is lower than the stored one."""

    code = "version_conflict"


class DataDirectoryLocked(Conflict):
    """Another process has the data directory open.

    Attributes:
        pid: process id of the owner, if known.
        url: address at which the owner serves HTTP, if it does.
    """

    code = "data_directory_locked"

    def __init__(self, message: str, *, pid: int | None = None, url: str | None = None) -> None:
        super().__init__(message)
        self.pid = pid
        self.url = url


class Overloaded(WinnowError):
    """Too much work is waiting; try again later."""

    code = "overloaded"
    retryable = True


class DeadlineExceeded(WinnowError):
    """The time limit of the request passed before an answer was ready."""

    code = "deadline_exceeded"
    retryable = True


class Upstream(WinnowError):
    """A model or an engine behind a port failed."""

    code = "upstream_error"


class UpstreamUnavailable(Upstream):
    """A model or an engine is down, too slow, or temporarily unable to answer."""

    code = "upstream_unavailable"
    retryable = True


class UpstreamRejected(Upstream):
    """A model or an engine refused the request for good, or its answer cannot be trusted."""

    code = "upstream_rejected"


class UpstreamTooLong(UpstreamRejected):
    """The input exceeds a limit of the model (tokens of a text or of a call, or texts): send fewer or shorter texts."""

    code = "upstream_too_long"


class StorageFailure(WinnowError):
    """The disk or the database failed."""

    code = "storage_failure"


class StorageFull(StorageFailure):
    """No space is left on the device; acknowledged documents are safe."""

    code = "storage_full"
    retryable = True


def _classes(root: type[WinnowError]) -> Iterator[type[WinnowError]]:
    yield root
    for child in root.__subclasses__():
        yield from _classes(child)


_BY_CODE: Final = {each.code: each for each in _classes(WinnowError)}  # those of this module: nothing else exists yet


def by_code(code: str) -> type[WinnowError] | None:
    """The error class with this ``code``; ``None`` if the tree above has no such code."""
    return _BY_CODE.get(code)
