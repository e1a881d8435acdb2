"""Caches results for the next run in small files, one for each key, written atomically."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, cast

import orjson


class FileCache:
    """JSON objects by key, compressed, in a folder of their own. Losing one costs time, never a document."""

    def __init__(self, root: Path, name: str) -> None:
        self._root = root / hashlib.sha256(name.encode()).hexdigest()[:16]
        self._used: set[str] = set()

    def get(self, key: str) -> dict[str, Any] | None:
        """The value of ``key``; ``None`` if it is missing or unreadable."""
        try:
            return cast("dict[str, Any]", orjson.loads(zlib.decompress(self._path(key).read_bytes())))
        except (OSError, zlib.error, orjson.JSONDecodeError):
            return None

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Store ``value``; a process that dies meanwhile leaves the previous one."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            file.write(zlib.compress(orjson.dumps(value), 1))
        Path(file.name).replace(path)

    def remove(self, key: str) -> None:
        """Delete ``key``."""
        self._path(key).unlink(missing_ok=True)

    def __len__(self) -> int:
        """Number of keys."""
        return sum(1 for _ in self._root.glob("??/*"))

    def prune(self) -> None:
        """Delete every key that this object was not asked for."""
        for path in self._root.glob("??/*"):
            if path.name not in self._used:
                path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        digest = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()
        self._used.add(digest)
        return self._root / digest[:2] / digest
