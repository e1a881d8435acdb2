"""The schema of the catalog that each released version had at last, by which versions beside each other are tested."""

from __future__ import annotations

from typing import Final

REVISIONS: Final = {"0.1.0": "0003"}
"""By version: the last migration that it knows. Add a line with each release (CONTRIBUTING.md, Release)."""
