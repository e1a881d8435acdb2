"""Times on the command line: a span as ``90d``, a moment as a span from now or a date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from winnow.core.errors import InvalidInput
from winnow.core.spans import parse_span


def span(text: str, option: str) -> timedelta:
    """A length of time: a number with s, m, h, d or w. Raises ``InvalidInput`` that names the option."""
    found = parse_span(text)
    if found is None:
        raise InvalidInput(f"{option} {text!r} is not a time: use a number with s, m, h, d or w, as 24h")
    return found


def moment(text: str, option: str, *, past: bool = False) -> datetime:
    """A moment: a span from now (with ``past`` before now), or a date and time in ISO 8601; in UTC without a zone.

    Raises:
        InvalidInput: neither; names the option.
    """
    now = datetime.now(UTC)
    if (length := parse_span(text)) is not None:
        return now - length if past else now + length
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidInput(f"{option} {text!r} is neither a time as 24h nor a date as 2027-01-31") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
