"""Where log lines go and what they look like: standard error, as readable text or as JSON, never with a secret."""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import Processor

    from clv.settings import Settings

_NOISY = ("httpx2", "httpcore2", "faust", "mode", "aiokafka", "kafka", "alembic", "sqlalchemy", "asyncio", "skl2onnx")
_TELL_RECORDS = ("aiokafka.conn", "sqlalchemy")
"""Below INFO these write out whole records and rows, customers' ids in them: that is in no log, whatever its level."""
_URL_PASSWORD = re.compile(r"(://[^:/@\s]*):[^@/\s]+@")
_SECRET_KEYS = re.compile(r"password|secret|token|api_key", re.IGNORECASE)


def configure(settings: Settings) -> None:
    """Send our log lines and the libraries' to standard error, as ``CLV_LOG_FORMAT`` and ``CLV_LOG_LEVEL`` say.

    Libraries speak from WARNING up; at level debug they say everything but what records and rows hold. Calling it again
    replaces what was set.
    """
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.PositionalArgumentsFormatter(), _name_library],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(settings.log_format)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _NOISY:
        # kafka-python warns of its own event loop's hiccups, and below that prints its settings, passwords included.
        floor = logging.ERROR if name == "kafka" else level if level <= logging.DEBUG else logging.WARNING
        logging.getLogger(name).setLevel(max(level, floor))
    for name in _TELL_RECORDS:
        logging.getLogger(name).setLevel(max(level, logging.INFO if level <= logging.DEBUG else logging.WARNING))


def hide_secrets(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Blank values under secret-looking names, and passwords inside URLs, wherever they stand in the line.

    Examples
    --------
    >>> hide_secrets(None, "info", {"event": "at postgresql://me:pw@db/clv", "kafka_password": "pw"})
    {'event': 'at postgresql://me:***@db/clv', 'kafka_password': '***'}
    """
    for key, value in event.items():
        if _SECRET_KEYS.search(key):
            event[key] = "***"
        elif isinstance(value, str):
            event[key] = _URL_PASSWORD.sub(r"\1:***@", value)
    return event


def _name_library(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Cut a library's logger to its first part: ``aiokafka.consumer.fetcher`` tells a reader nothing more."""
    event["logger"] = str(event.get("logger", "")).partition(".")[0]
    return event


def _rendering(log_format: str) -> list[Processor]:
    if log_format == "json":
        return [structlog.processors.format_exc_info, hide_secrets, structlog.processors.JSONRenderer()]
    return [
        structlog.processors.format_exc_info,
        hide_secrets,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0, sort_keys=False),
    ]
