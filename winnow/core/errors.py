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
    │   ├── InvalidKey               rights of a new API key that do not go together
    │   ├── InvalidSource            a source that cannot be read at all
    │   └── InvalidRules             rules of a collection that cannot act
    ├── NotFound
    │   ├── CollectionNotFound
    │   ├── DocumentNotFound
    │   ├── JobNotFound
    │   ├── KeyNotFound
    │   └── FileNotFound             no kept file, or no batch of files
    ├── Conflict
    │   ├── IdentityMismatch         the collection was built with another model
    │   ├── AnalyticsDisabled        events of visitors, which the settings do not keep
    │   ├── VersionConflict          a version that is not the one after the stored one
    │   └── DataDirectoryLocked      another process owns the data directory
    ├── Unauthorized                 no credential, or one that is not valid
    ├── Forbidden                    the credential does not allow it
    ├── Overloaded                   shed load: try again later            (retryable)
    ├── RateLimited                  the caller has used its quota         (retryable)
    ├── IndexRebuilding              a lost index is being filled again    (retryable)
    ├── DeadlineExceeded             the budget ran out                    (retryable)
    ├── Upstream                     a model or engine behind a port failed
    │   ├── UpstreamUnavailable      down, slow, 5xx                       (retryable)
    │   │   └── UpstreamSaturated    it has more calls than it can answer in time
    │   ├── TokensSpent              the caller's tokens for it are used up (retryable)
    │   └── UpstreamRejected         it refused the request, or its answer makes no sense
    │       └── UpstreamTooLong      the input is over one of its limits: send less at once
    └── StorageFailure               disk or database failed
        ├── StorageFull              no space left; frees itself when space is made (retryable)
        └── IndexLost                an index is missing or cannot be opened        (retryable)

Every error has a stable ``code``, and ``by_code`` leads back from the code to the class. The map to HTTP statuses lives
in ``service/errors.py`` alone.
"""

from __future__ import annotations

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

    def __init_subclass__(cls, *, code: str | None = None, retryable: bool | None = None) -> None:
        """Set what a subclass gives as class keywords; it inherits the rest."""
        cls.code = cls.code if code is None else code
        cls.retryable = cls.retryable if retryable is None else retryable

    def __init__(self, message: str, *, location: tuple[str | int, ...] = (), retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.location = location
        self.retry_after = retry_after


class InvalidInput(WinnowError, code="invalid_input"):
    """The request cannot be carried out; the message says what to change."""


class InvalidQuery(InvalidInput, code="invalid_query"):
    """The query or one of its parameters is out of range."""


class InvalidFilter(InvalidInput, code="invalid_filter"):
    """The filter names an undeclared field, has a value of the wrong type, or nests too deep."""


class CursorExpired(InvalidQuery, code="cursor_expired"):
    """The results that the cursor goes on with are no longer kept; begin with the first page."""


class InvalidDocument(InvalidInput, code="invalid_document"):
    """One document cannot be accepted."""


class DocumentTooLarge(InvalidDocument, code="document_too_large"):
    """One document's text is over the configured limit."""


class InvalidCollection(InvalidInput, code="invalid_collection"):
    """A collection's name or one of its settings is not usable."""


class InvalidSettings(InvalidInput, code="invalid_settings"):
    """A setting of the process is unknown or wrong."""


class InvalidKey(InvalidInput, code="invalid_key"):
    """The rights that are asked for a new API key do not go together."""


class InvalidSource(InvalidInput, code="invalid_source"):
    """A source given to the indexer does not exist or cannot be read at all."""


class InvalidRules(InvalidInput, code="invalid_rules"):
    """A rule of a collection is malformed, or can never act."""


class NotFound(WinnowError, code="not_found"):
    """The requested object does not exist.

    Attributes:
        withheld: it may exist, and the caller may not see it. For the audit trail; no answer tells.
    """

    withheld = False


class CollectionNotFound(NotFound, code="collection_not_found"):
    """No collection with this name exists."""


class DocumentNotFound(NotFound, code="document_not_found"):
    """The collection holds no document with this id."""


class ModelNotFound(NotFound, code="model_not_found"):
    """No such model is configured."""


class JobNotFound(NotFound, code="job_not_found"):
    """No job with this id exists."""


class KeyNotFound(NotFound, code="key_not_found"):
    """No API key with this id exists."""


class FileNotFound(NotFound, code="file_not_found"):
    """No uploaded file, or batch of files, with this id exists."""


class SourceNotFound(NotFound, code="source_not_found"):
    """The collection keeps no source with this id."""


class Conflict(WinnowError, code="conflict"):
    """The request conflicts with the stored state."""


class IdentityMismatch(Conflict, code="identity_mismatch"):
    """The collection was built with another model, dimension or instruct."""


class AnalyticsDisabled(Conflict, code="analytics_disabled"):
    """This installation keeps nothing of what visitors do."""


class VersionConflict(Conflict, code="version_conflict"):
    """A document's version is lower than the stored one."""


class DataDirectoryLocked(Conflict, code="data_directory_locked"):
    """Another process has the data directory open.

    Attributes:
        pid: process id of the owner, if known.
        url: address at which the owner serves HTTP, if it does.
    """

    def __init__(self, message: str, *, pid: int | None = None, url: str | None = None) -> None:
        super().__init__(message)
        self.pid = pid
        self.url = url


class Unauthorized(WinnowError, code="unauthorized"):
    """The request carries no credential, or one that is not valid.

    Attributes:
        subject: the public part of a credential that was valid before; empty for others. For the audit trail.
    """

    def __init__(self, message: str, *, subject: str = "") -> None:
        super().__init__(message)
        self.subject = subject


class Forbidden(WinnowError, code="forbidden"):
    """The credential is valid and does not allow this request."""


class Overloaded(WinnowError, code="overloaded", retryable=True):
    """Too much work is waiting; try again later."""


class RateLimited(WinnowError, code="rate_limited", retryable=True):
    """The caller has used up what it may use for now.

    Attributes:
        limit, remaining: of the window, and what is left of it.
    """

    def __init__(self, message: str, *, limit: int = 0, remaining: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.limit = limit
        self.remaining = remaining


class IndexRebuilding(WinnowError, code="index_rebuilding", retryable=True):
    """The collection's index was lost and is being filled from the catalog again; no document is lost.

    Attributes:
        share: of the documents that are in the new index, from 0 to 1.
        done, total: their number, and that of all that belong there; ``None`` where the caller may not know it.
    """

    def __init__(
        self,
        message: str,
        *,
        share: float = 0.0,
        done: int | None = None,
        total: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.share = share
        self.done = done
        self.total = total


class DeadlineExceeded(WinnowError, code="deadline_exceeded", retryable=True):
    """The time limit of the request passed before an answer was ready."""


class Upstream(WinnowError, code="upstream_error"):
    """A model or an engine behind a port failed."""


class UpstreamUnavailable(Upstream, code="upstream_unavailable", retryable=True):
    """A model or an engine is down, too slow, or temporarily unable to answer."""


class UpstreamSaturated(UpstreamUnavailable, code="upstream_saturated"):
    """A model has more calls than it can answer within the searches' budgets; the call was not sent."""


class TokensSpent(Upstream, code="tokens_spent", retryable=True):
    """The caller has used up the tokens that a charged model may read for it; the call was not sent."""


class UpstreamRejected(Upstream, code="upstream_rejected"):
    """A model or an engine refused the request for good, or its answer cannot be trusted."""


class UpstreamTooLong(UpstreamRejected, code="upstream_too_long"):
    """The input exceeds a limit of the model (tokens of a text or of a call, or texts): send fewer or shorter texts."""


class StorageFailure(WinnowError, code="storage_failure"):
    """The disk or the database failed."""


class StorageFull(StorageFailure, code="storage_full", retryable=True):
    """No space is left on the device; acknowledged documents are safe."""


class IndexLost(StorageFailure, code="index_lost", retryable=True):
    """An index is missing or cannot be opened; it can be filled from the catalog again."""


_BY_CODE: Final = {
    each.code: each for each in tuple(globals().values()) if isinstance(each, type) and issubclass(each, WinnowError)
}


def by_code(code: str) -> type[WinnowError] | None:
    """The error class with this ``code``; ``None`` if the tree above has no such code."""
    return _BY_CODE.get(code)


def first_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first exception in a group and in the groups inside it, which users see in place of a tree.

    Raise it outside of an ``except*``: Python before 3.11.4 puts what is raised there into a group again.
    """
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
