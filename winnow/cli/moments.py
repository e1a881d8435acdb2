"""Times on the command line: a span as ``90d``, a moment as a span from now or a date."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from winnow.core.errors import InvalidInput

_SPAN: Final = re.compile(r"(\d{1,6})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def span(text: str, option: str) -> timedelta:
    """A length of time: a number with s, m, h, d or w. Raises ``InvalidInput`` that names the option."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise InvalidInput(f"{option} {text!r} is not a time: use a number with s, m, h, d or w, as 24h")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def moment(text: str, option: str, *, past: bool = False) -> datetime:
    """A moment: a span from now (with ``past`` before now), or a date and time in ISO 8601; in UTC without a zone.

    Raises:
        InvalidInput: neither; names the option.
    """
    now = datetime.now(UTC)
    if _SPAN.fullmatch(text.strip()):
        return now - span(text, option) if past else now + span(text, option)
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidInput(f"{option} {text!r} is neither a time as 24h nor a date as 2027-01-31") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
