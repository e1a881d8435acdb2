"""Paths of the native HTTP API."""

from __future__ import annotations

from urllib.parse import quote


def collection_path(name: str) -> str:
    """Path of a collection."""
    return f"/v1/collections/{quote(name, safe='')}"


def job_path(job_id: str) -> str:
    """Path of a job."""
    return f"/v1/jobs/{quote(job_id, safe='')}"
