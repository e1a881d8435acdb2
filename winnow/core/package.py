"""The installed package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def winnow_version() -> str:
    """The version of Winnow, or ``0+source`` in a checkout that is not installed."""
    try:
        return version("winnow-search")
    except PackageNotFoundError:
        return "0+source"
