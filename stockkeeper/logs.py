"""Logging: one line an event on stderr, for people on a terminal and as JSON elsewhere.

The program's own modules log at the level that the operator chose; libraries only what is a warning to them: at debug,
the driver of SQLite alone writes ten lines a call. Events have names (`storage_failed`) and values, so that a search
finds them. Lines of the standard library's loggers look the same; their `extra` becomes values.
"""

import logging
import os
import sys

import structlog

OURS = ("stockkeeper", "actors", "storage", "supervisor", "rpc", "events")


def configure_logging(level: str = "info") -> None:
    """Set up the log of this process.

    Args:
        level: debug, info, warning or error; what libraries say is logged from warning on.

    Example:
        >>> configure_logging("info")
        >>> structlog.get_logger("stockkeeper").info("started", port=50053)
    """
    numeric = logging.getLevelNamesMapping()[level.upper()]
    both: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*both, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering()],
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


def _rendering() -> list[structlog.typing.Processor]:
    if sys.stderr.isatty():
        has_colors = not os.environ.get("NO_COLOR")
        plain = structlog.dev.plain_traceback  # shows no locals
        return [structlog.dev.ConsoleRenderer(colors=has_colors, exception_formatter=plain)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
