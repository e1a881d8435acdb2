"""A search of a measurement: not one of visitors, and repeated while the service is overloaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from winnow.cli.options import collection_path
from winnow.core.errors import Overloaded
from winnow.core.retry import REMOTE_CALL, retry

if TYPE_CHECKING:
    from winnow.cli.remote import Client


async def search_measured(client: Client, collection: str, body: Mapping[str, Any]) -> Any:
    """The answer to a search without texts, which analytics leave out. Raises as ``Client.call``."""
    plain = {"return_documents": False, "highlight": False, "analytics": False}
    path = f"{collection_path(collection)}/search"
    return await retry(lambda: client.call("POST", path, {**body, **plain}), REMOTE_CALL, again=_is_passing)


def _is_passing(error: Exception, _: int) -> bool:
    return isinstance(error, Overloaded)
