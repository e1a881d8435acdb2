"""OpenAI's vector stores and files: a collection is a store, its documents are the store's files.

Source: OpenAI's API reference, "Vector stores", "Vector store files", "Vector store file batches", "Files".
"""

from __future__ import annotations

from service.doors.vector_stores import batches, files, search, store_files, stores
from service.doors.vector_stores.shared import door

__all__ = ["batches", "door", "files", "search", "store_files", "stores"]
