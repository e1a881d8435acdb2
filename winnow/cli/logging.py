"""Log lines of a process: one line each on stderr, as key=value, as JSON, or as text for a terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any, Final, assert_never

import orjson
import structlog

from winnow.core.settings import Settings

CHATTY: Final = (
    *("alembic", "aiosqlite", "sqlalchemy", "asyncpg"),
    *("httpx", "httpx2", "httpcore", "httpcore2", "hpack", "h2", "urllib3", "multipart", "python_multipart"),
    *("asyncio", "uvicorn.error", "watchfiles"),
)
_FIRST: Final = ("timestamp", "level", "event")


def configure_logging(settings: Settings, *, quiet: bool = False) -> None:
    """Send log lines of the configured level and above to stderr.

    ``quiet`` is for commands that print their result: of the default level only warnings remain.
    """
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    if quiet and level == logging.INFO:
        level = logging.WARNING
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render = _rendering(settings)
    structlog.configure(  # not through the standard library: a line a request is on the hot path
        processors=[*shared, *render],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared], processors=[remove_meta, *render]
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    quiet_libraries()


def _rendering(settings: Settings) -> list[structlog.typing.Processor]:
    exceptions = structlog.processors.format_exc_info
    match settings.log_format:
        case "logfmt":
            return [exceptions, structlog.processors.LogfmtRenderer(key_order=list(_FIRST), bool_as_flag=False)]
        case "json":
            dumps = structlog.processors.JSONRenderer(serializer=_json)
            return [exceptions, dumps]
        case "text":
            return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        case unknown:
            assert_never(unknown)


def _json(entry: Mapping[str, Any], **_: Any) -> str:
    first = {key: entry[key] for key in _FIRST if key in entry}
    return orjson.dumps({**first, **entry}, default=str).decode()


def quiet_libraries() -> None:
    """Raise the level of libraries that log every step: of some also texts, queries and the headers with a key."""
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
