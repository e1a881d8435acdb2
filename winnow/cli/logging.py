"""Log lines of a process: one line each on stderr, key=value."""

from __future__ import annotations

import logging
import sys

import structlog

from winnow.core.settings import Settings


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
    render = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])
    structlog.configure(  # not through the standard library: a line a request is on the hot path
        processors=[*shared, structlog.processors.format_exc_info, render],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[remove_meta, structlog.processors.format_exc_info, render]
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("alembic", "aiosqlite", "httpx", "httpcore", "asyncio", "watchfiles"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
