"""Logging: one line an event on stderr, for people on a terminal and as JSON elsewhere.

The program's own modules log at the level that the operator chose; libraries only what is a warning to them: at debug,
the driver of SQLite alone writes ten lines a call. Events have names (`storage_failed`) and values, so that a search
finds them. Lines of the standard library's loggers look the same; their `extra` becomes values.
"""

import logging
import os
import sys
from typing import Literal, TextIO

import structlog

from rpc.line_budget import LineBudget

OURS = ("stockkeeper", "actors", "cells", "storage", "supervisor", "rpc", "events")


BURST_LINES, LINES_A_SECOND = 200, 20.0  # more than calls have: see `rpc.call_log`

LogFormat = Literal["auto", "json", "console"]


def configure_logging(level: str = "info", log_format: LogFormat = "auto") -> None:
    """Set up the log of this process.

    Args:
        level: debug, info, warning or error; what libraries say is logged from warning on.
        log_format: json or console; auto is console where stderr is a terminal.

    Example:
        >>> configure_logging("info")
        >>> structlog.get_logger("stockkeeper").info("started", port=50053)
    """
    numeric = logging.getLevelNamesMapping()[level.upper()]
    both: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = BoundedHandler(log_format)
    handler.addFilter(_is_news)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*both, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(log_format)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(numeric, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(numeric)
    structlog.configure(
        processors=[*both, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def configured_level() -> str:
    """The level that `configure_logging` was given."""
    return logging.getLevelName(logging.getLogger(OURS[0]).level).lower()


def configured_format() -> LogFormat:
    """The format that `configure_logging` was given."""
    found = [one.log_format for one in logging.getLogger().handlers if isinstance(one, BoundedHandler)]
    return found[0] if found else "auto"


def _rendering(log_format: LogFormat) -> list[structlog.typing.Processor]:
    is_terminal = sys.stderr.isatty()
    if log_format == "console" or (log_format == "auto" and is_terminal):
        has_colors = is_terminal and not os.environ.get("NO_COLOR")
        plain = structlog.dev.plain_traceback  # shows no locals
        return [structlog.dev.ConsoleRenderer(colors=has_colors, exception_formatter=plain)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _is_news(record: logging.LogRecord) -> bool:
    """Not that the pool cannot close a connection which is lost: that is told where the connection was needed."""
    is_lost = record.exc_info and isinstance(record.exc_info[1], OSError)
    return not (is_lost and record.name.startswith("sqlalchemy.pool"))


class BoundedHandler(logging.StreamHandler[TextIO]):
    """Writes to stderr, and of each event no more lines than its budget allows. How many were left out is told with the
    next one that is written, as `more_like_this`.
    """

    def __init__(self, log_format: LogFormat) -> None:
        super().__init__(sys.stderr)
        self.log_format = log_format
        self._lines = LineBudget(BURST_LINES, LINES_A_SECOND)

    def __repr__(self) -> str:
        return f"<BoundedHandler {self.log_format} {self._lines}>"

    def emit(self, record: logging.LogRecord) -> None:
        left_out = self._lines.take(_event_of(record))
        if left_out is None:
            return
        if left_out and isinstance(record.msg, dict):
            record.msg = {**record.msg, "more_like_this": left_out}
        elif left_out:
            record.more_like_this = left_out
        super().emit(record)


def _event_of(record: logging.LogRecord) -> str:
    event = record.msg.get("event") if isinstance(record.msg, dict) else record.msg
    return f"{record.levelname} {event}"
