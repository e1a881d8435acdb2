"""Files that are kept as they were uploaded, before and after they are attached to collections.

A principal sees a file of its own tenant if it sees every collection that the uploader saw, and if the file was not
uploaded with another user's token. So a file is seen by the key that replaces the uploader's, and by no narrower one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Final

from winnow.core.clock import utc_now
from winnow.core.errors import InvalidInput
from winnow.core.ids import new_id
from winnow.core.missing import missing_file, withheld
from winnow.core.principal import Principal, Scope
from winnow.core.text import has_unprintable
from winnow.operations.resources import Resources
from winnow.ports import Catalog, KeptFile

MAX_NAME_CHARS: Final = 255
LONGEST_SECONDS: Final = 30 * 24 * 3600
SHORTEST_SECONDS: Final = 3600
READERS: Final[tuple[Scope, ...]] = ("documents:read", "documents:write")
"""Who may look whether a file is there: also who uploads it."""
_PAGE: Final = 100


async def keep_file(
    resources: Resources,
    principal: Principal,
    filename: str,
    content: AsyncIterator[bytes],
    *,
    size: int,
    purpose: str,
    content_type: str,
    expires_in: int | None = None,
) -> KeptFile:
    """Store a file of ``size`` bytes; it is on stable storage on return, and deleted after ``expires_in`` seconds.

    Raises:
        Forbidden: the principal may not write documents.
        InvalidInput: the file is empty, or its name or its time is not usable.
        StorageFull: there is no room for it.
    """
    principal.require("documents:write")
    if not filename or len(filename) > MAX_NAME_CHARS or has_unprintable(filename):
        message = f"a file has a name of 1 to {MAX_NAME_CHARS} characters, none of them a control character"
        raise InvalidInput(message, location=("file",))
    if not size:
        raise InvalidInput(f"the file {filename!r} is empty", location=("file",))
    if expires_in is not None and not SHORTEST_SECONDS <= expires_in <= LONGEST_SECONDS:
        message = f"a file is kept for {SHORTEST_SECONDS} to {LONGEST_SECONDS} seconds, or for ever"
        raise InvalidInput(message, location=("expires_after", "seconds"))
    now = utc_now()
    file = KeptFile(
        id=f"file-{new_id('')[1:]}",
        filename=filename,
        size=size,
        purpose=purpose,
        content_type=content_type,
        tenant=principal.tenant or "",
        collections=principal.collections,
        owner=_owner(principal),
        created_at=now,
        expires_at=None if expires_in is None else now + timedelta(seconds=expires_in),
    )
    return await resources.catalog.files.keep(file, content)


async def see_file(
    catalog: Catalog, principal: Principal, file_id: str, *scopes: Scope, tenant: str | None = None
) -> KeptFile:
    """One file that the principal sees. Raises ``Forbidden`` without one of the scopes, and ``FileNotFound``."""
    principal.require(*(scopes or READERS))
    file = await catalog.files.get(file_id)
    if not sees_file(principal, file) or (tenant is not None and file.tenant != tenant):
        raise withheld(missing_file(file_id))
    return file


async def see_files(
    catalog: Catalog,
    principal: Principal,
    *,
    after: str = "",
    descending: bool = False,
    limit: int,
    purpose: str | None = None,
) -> Sequence[KeptFile]:
    """Files that the principal sees, by id, which is by time; those beyond ``after``."""
    principal.require("documents:read")
    found: list[KeptFile] = []
    while len(found) < limit:
        page = await catalog.files.list(
            tenant=principal.tenant or "", after=after, descending=descending, limit=_PAGE, purpose=purpose
        )
        found += [file for file in page if sees_file(principal, file)]
        if len(page) < _PAGE:
            break
        after = page[-1].id
    return found[:limit]


def sees_file(principal: Principal, file: KeptFile) -> bool:
    """Whether the principal sees a file."""
    return (
        file.tenant == (principal.tenant or "")
        and (principal.kind != "token" or file.owner == _owner(principal))
        and all(principal.sees(pattern) for pattern in file.collections)
    )


def _owner(principal: Principal) -> str:
    return principal.subject if principal.kind == "token" else ""
