"""The errors for what is not there."""

from __future__ import annotations

from winnow.core.errors import CollectionNotFound, DocumentNotFound, JobNotFound


def collection_missing(name: str) -> CollectionNotFound:
    """No collection in service has this name."""
    return CollectionNotFound(f"there is no collection {name!r}; create it or index documents into it first")


def document_missing(collection: str, document_id: str) -> DocumentNotFound:
    """The collection holds no such document, or it is being deleted."""
    return DocumentNotFound(f"collection {collection!r} has no document {document_id!r}")


def job_missing(job_id: str) -> JobNotFound:
    """No job has this id."""
    return JobNotFound(f"there is no job {job_id!r}; its collection may have been deleted")
