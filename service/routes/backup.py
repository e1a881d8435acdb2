"""``/v1/backup``: a complete copy of an embedded installation as one stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import iterate_in_threadpool

from service.deps import ResourcesDep
from service.door import Door
from service.errors import UNSUPPORTED_MEDIA_TYPE
from service.wire import require_json
from winnow.core.errors import Conflict, InvalidSettings, StorageFull, UpstreamUnavailable
from winnow.operations.archive import files_of, pack
from winnow.operations.backup import copied
from winnow.operations.resources import Resources

router = Door("/v1", tag="operations")
SIZE_HEADER: Final = "X-Winnow-Backup-Bytes"


@router.post(
    "/backup",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"application/x-tar": {"schema": {"type": "string", "format": "binary"}, "example": "…"}},
            "headers": {SIZE_HEADER: {"description": "bytes of all files in it", "schema": {"type": "integer"}}},
        },
        **router.problems(UNSUPPORTED_MEDIA_TYPE, Conflict, StorageFull, UpstreamUnavailable, InvalidSettings),
    },
)
async def make_backup(request: Request, resources: ResourcesDep) -> StreamingResponse:
    """A consistent copy of catalog and vectors as a tar, the manifest last. Searches and uploads go on meanwhile.

    Installations on servers are backed up with the servers' own tools. Send `Content-Type: application/json`.
    """
    require_json(request)
    pieces = _pieces(resources)
    size = await anext(pieces)  # the copy is complete: errors up to here are still answered with a status
    return StreamingResponse(pieces, media_type="application/x-tar", headers={SIZE_HEADER: size.decode()})


async def _pieces(resources: Resources) -> AsyncGenerator[bytes, None]:
    """Yield the size of all files in digits, then the tar. The copy is removed at the end or when the client leaves."""
    async with copied(resources) as folder:
        size = sum((folder / name).stat().st_size for name in files_of(folder))
        yield str(size).encode()
        async for piece in iterate_in_threadpool(pack(folder)):
            yield piece
