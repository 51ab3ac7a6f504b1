"""Who a command comes from: what the caller's metadata says, or a proxy's on the way, kept in the ledger.

Where callers need keys or tokens, the ledger has whose it was, which no metadata can change: "till", or "till/ana" if
the call's metadata says that the till did it for Ana.

The texts are cut rather than refused: a proxy that gives every call a long id must not make calls fail.
"""

from collections.abc import Iterable
from typing import TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from actors.bounds import ID_CHARACTERS_MAX
from actors.commands import CallersCommand
from actors.records import From, Origin
from rpc.transport.transport_port import Context

ACTOR = "x-actor"
CORRELATION_ID = "x-correlation-id"
REQUEST_ID = "x-request-id"  # in place of the other, as proxies set it
NAMES = frozenset((ACTOR, CORRELATION_ID, REQUEST_ID))

C = TypeVar("C", bound=CallersCommand)


def origin_of(metadata: Iterable[tuple[str, str | bytes]], caller: str = "", traceparent: str = "") -> From:
    """What a call's metadata says of its caller; unset if it says nothing. Of a name that is given twice, the first.

    Args:
        caller: whose key or token it came with; empty if none was asked for.
        traceparent: of the call's span; empty if it is not traced.
    """
    found: dict[str, str] = {}
    for name, value in metadata:
        if name in NAMES and value and isinstance(value, str):
            found.setdefault(name, value[:ID_CHARACTERS_MAX])
    if caller:
        found[ACTOR] = (f"{caller}/{found[ACTOR]}" if ACTOR in found else caller)[:ID_CHARACTERS_MAX]
    if not found and not traceparent:
        return UNSET
    return Origin(found.get(ACTOR, ""), found.get(CORRELATION_ID) or found.get(REQUEST_ID, ""), traceparent)


def origin_of_call(context: Context) -> From:
    """The same of a call whose request was checked, and which goes to the core now."""
    trace = None if context.watched is None else context.watched.trace
    traceparent = "" if trace is None else trace.checked()
    return origin_of(context.invocation_metadata(), context.caller, traceparent)


def attributed(command: C, origin: From) -> C:
    """The command, with who it comes from."""
    return command if origin is UNSET else replace(command, origin=origin)
