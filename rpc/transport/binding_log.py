"""What grpcio logs of things that any caller can cause, in one line each: callers could fill a disk with tracebacks."""

import logging

CAUSED_BY_CALLERS = (
    "Invalid encoding",  # metadata that is not UTF-8
    "ExecuteBatchError raised in core",  # grpc.aio: the caller left while the answer was written
    "'utf-8' codec can't decode",  # grpc.aio 1.85: a path that is not UTF-8
    "Unexpected [UnicodeDecodeError] raised by servicer method",  # grpc.aio 1.82: the same
)


class OneLineForCallers(logging.Filter):
    """Takes the traceback from what a caller caused. Other records pass as they are."""

    def filter(self, record: logging.LogRecord) -> bool:
        if str(record.msg).startswith(CAUSED_BY_CALLERS):
            record.exc_info = record.exc_text = None
        return True


_FILTER = OneLineForCallers()


def shorten_binding_log() -> None:
    """Have grpcio's log shortened in this process. It may be called many times."""
    logging.getLogger("grpc._cython.cygrpc").addFilter(_FILTER)
