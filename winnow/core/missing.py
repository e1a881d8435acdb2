"""The errors for an object that does not exist, or that the caller may not see: both in the same words."""

from __future__ import annotations

from typing import TypeVar

from winnow.core.api_key import id_of, is_well_formed
from winnow.core.errors import (
    CollectionNotFound,
    DocumentNotFound,
    FileNotFound,
    JobNotFound,
    KeyNotFound,
    NotFound,
    SourceNotFound,
)

_Error = TypeVar("_Error", bound=NotFound)


def withheld(error: _Error) -> _Error:
    """Mark an error as one for an object that the caller may not see."""
    error.withheld = True
    return error


def missing_collection(name: str) -> CollectionNotFound:
    """The error for a collection."""
    return CollectionNotFound(f"there is no collection {name!r}; create it or index documents into it first")


def missing_document(collection: str, document_id: str) -> DocumentNotFound:
    """The error for a document."""
    return DocumentNotFound(f"collection {collection!r} has no document {document_id!r}")


def missing_job(job_id: str) -> JobNotFound:
    """The error for a job."""
    return JobNotFound(f"there is no job {job_id!r}; its collection may have been deleted")


def missing_key(key_id: str) -> KeyNotFound:
    """The error for an API key."""
    if is_well_formed(key_id):  # a whole key, which is a secret
        return KeyNotFound(f"a key is named by its first 12 characters: {id_of(key_id)}")
    return KeyNotFound(f"there is no API key {key_id!r}; `winnow keys list` has those that there are")


def missing_file(file_id: str) -> FileNotFound:
    """The error for an uploaded file."""
    return FileNotFound(f"there is no file {file_id[:80]!r}")


def missing_batch(batch_id: str) -> FileNotFound:
    """The error for a batch of files."""
    return FileNotFound(f"there is no batch of files {batch_id[:80]!r} in this collection")


def missing_source(collection: str, source_id: str) -> SourceNotFound:
    """The error for a source that a collection keeps."""
    return SourceNotFound(f"collection {collection!r} keeps no source {source_id!r}")
