"""Names of kept files by id, which never change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from cachetools import LRUCache

from winnow.core.errors import NotFound
from winnow.operations.attachments import is_kept_id
from winnow.ports import Catalog

_MOST: Final = 20_000


class Filenames:
    """Remembers the names that it has looked up."""

    def __init__(self) -> None:
        self._known: LRUCache[str, str] = LRUCache(_MOST)

    async def of(self, catalog: Catalog, file_ids: Iterable[str]) -> Mapping[str, str]:
        """The names of those ids that are of kept files. The caller has found documents that were read from them."""
        names: dict[str, str] = {}
        for file_id in filter(is_kept_id, file_ids):
            if file_id not in self._known:
                try:
                    self._known[file_id] = (await catalog.files.get(file_id)).filename
                except NotFound:  # a file that was deleted, while its documents are still found
                    continue
            names[file_id] = self._known[file_id]
        return names
