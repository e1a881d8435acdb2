"""Files behind fsspec: object stores and other file systems named by an address, ``s3://bucket/docs``.

Credentials come from where the drivers look for them (environment, profiles, instance roles), never from the address.
An object with the ETag, or time and size, of the last run is not fetched again, unless it holds rows.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from fsspec.core import url_to_fs

from indexer.sources.base import ReadError
from indexer.sources.files import FileSource
from indexer.sources.formats import MAX_FILE_BYTES, MAX_PARSED_BYTES, SUFFIXES, File, holds_many, is_known
from winnow.core.errors import InvalidSource, WinnowError
from winnow.ports.source import Failure, SourceOptions

DRIVERS: Final[dict[str, str]] = {
    "s3": "winnow-search[s3]",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "file": "",
    "memory": "",
}
"""Schemes that are read, and the package that contains the driver."""

_MAX_OBJECT_BYTES: Final = max(MAX_FILE_BYTES, MAX_PARSED_BYTES)


class RemoteSource(FileSource):
    """All files under an address that have a known suffix, or one file. The label is the address.

    Raises:
        InvalidSource: the driver is not installed, or the address is malformed or carries credentials.
    """

    cache_folder = "remote"

    def __init__(self, spec: str, options: SourceOptions) -> None:
        scheme, slashes, rest = spec.partition("://")
        if not slashes:
            raise InvalidSource(f"{spec!r} lacks the slashes of an address: {scheme.partition(':')[0]}://bucket/prefix")
        if "@" in rest.split("/")[0]:
            raise InvalidSource(f"the address of a {scheme} source carries credentials; set them in the environment")
        super().__init__(spec.rstrip("/"), options)
        try:
            self._files, self._root = url_to_fs(spec, use_listings_cache=False, skip_instance_cache=True)
        except ImportError as error:
            package = DRIVERS[scheme.lower()]
            raise InvalidSource(f"{scheme}:// needs a driver: pip install '{package}' ({error})") from None

    async def count(self) -> int | None:
        """Unknown before the listing is read."""
        return None

    def list_files(self, failures: list[Failure], left_out: Counter[str]) -> Iterator[File]:
        """The files, folder by folder; one at a time is on this machine."""

        def fail(error: Exception) -> None:
            failures.append(Failure(self.label, "unreadable", f"cannot be listed: {_reason(error)}"))

        with tempfile.TemporaryDirectory(prefix="winnow-") as folder:
            for path, info in self._listed(fail, left_out):
                yield self._file(path, info, Path(folder))

    def _listed(
        self, on_error: Callable[[Exception], None], left_out: Counter[str]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Path and description of every file with a known suffix, sorted within each folder."""
        try:
            single = self._files.isfile(self._root)
            if not single and not self._files.exists(self._root):
                raise InvalidSource("nothing exists under this address")
            if single and not is_known(PurePosixPath(self._root)):
                suffix = PurePosixPath(self._root).suffix
                raise InvalidSource(
                    f"it is a file of the unknown type {suffix!r}; read are {', '.join(sorted(SUFFIXES))}"
                )
            if single:
                yield self._root, self._files.info(self._root)
                return
            for folder, folders, files in self._files.walk(self._root, detail=True, on_error=on_error):
                for hidden in [name for name in folders if name.startswith(".")]:
                    del folders[hidden]
                for name in sorted(files):
                    if name.startswith("."):
                        continue
                    if is_known(PurePosixPath(name)):
                        yield f"{folder}/{name}", files[name]
                    else:
                        left_out[PurePosixPath(name).suffix.lower() or "without a suffix"] += 1
        except Exception as error:  # noqa: BLE001 - drivers raise what their vendors' libraries raise
            on_error(error)

    def _file(self, path: str, info: Mapping[str, Any], folder: Path) -> File:
        relative = PurePosixPath(path.removeprefix(self._root).lstrip("/") or PurePosixPath(path).name)
        name = self.label if path == self._root else f"{self.label}/{relative}"
        etag = info.get("ETag") or info.get("etag") or info.get("LastModified") or info.get("mtime")
        stamp = f"{etag}:{info.get('size')}" if etag else ""

        def fetch() -> Path:
            size = info.get("size") or 0
            if size > _MAX_OBJECT_BYTES and not holds_many(relative):
                limit = _MAX_OBJECT_BYTES / 1024**2
                raise ReadError("too_large", f"the file is larger than {limit:g} MiB; split it")
            local = folder / f"object{relative.suffix}"
            try:
                self._files.get_file(path, str(local))
            except Exception as error:  # as above
                raise OSError(_reason(error)) from error
            return local

        return File(name, relative, fetch, stamp)


def _reason(error: Exception) -> str:
    if isinstance(error, WinnowError):
        return error.message
    return f"{type(error).__name__}: {error!s:.200}"
