"""The id by which others know what calls belong to: that of a web request, or of an event."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

NAME = "x-correlation-id"

_current: ContextVar[str] = ContextVar("stockkeeper_correlation_id", default="")


@contextmanager
def correlated(correlation_id: str) -> Iterator[None]:
    """Calls of all clients that are made in the block carry this id; the service's ledger, events and log have it.

    It belongs to the task or thread that opened the block, and to the tasks that are begun there. What goes over the
    one stream of `streaming=True` has no id of its own. Raises ValueError if gRPC cannot carry it.

    >>> with correlated("checkout-7"):
    ...     correlation_metadata()
    [('x-correlation-id', 'checkout-7')]
    """
    if not is_carried(correlation_id):
        raise ValueError(f"a correlation id must be printable ASCII, not {correlation_id!r}")
    token = _current.set(correlation_id)
    try:
        yield
    finally:
        _current.reset(token)


def is_carried(correlation_id: str) -> bool:
    """Whether a call's metadata can have it."""
    return bool(correlation_id) and correlation_id.isascii() and correlation_id.isprintable()


def correlation_metadata() -> list[tuple[str, str]]:
    """What a call carries that is made now."""
    correlation_id = _current.get()
    return [(NAME, correlation_id)] if correlation_id else []
