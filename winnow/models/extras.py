"""Libraries that only some providers need, and that are installed with these."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from winnow.core.errors import InvalidSettings


@contextmanager
def needs_extra(extra: Literal["torch", "vllm"]) -> Iterator[None]:
    """Import what belongs to ``extra`` inside of this block.

    Raises:
        InvalidSettings: it is not installed; the message says how to install it.
    """
    try:
        yield
    except ImportError as error:
        raise InvalidSettings(
            f"the configured provider needs {error.name}: pip install 'winnow-search[{extra}]'"
        ) from error
