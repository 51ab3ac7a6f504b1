"""Logging: one line an event on stderr, for people on a terminal and as JSON elsewhere."""

import logging
import sys

import structlog


def configure_logging(level: str = "info") -> None:
    """Set up the log of this process.

    Args:
        level: debug, info, warning or error.
    """
    numeric = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=numeric, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it announces itself at every start
    renderer: structlog.typing.Processor
    if sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer()
        tracebacks: list[structlog.typing.Processor] = []
    else:
        renderer = structlog.processors.JSONRenderer()
        tracebacks = [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *tracebacks,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
