"""What of a call's metadata is kept for as long as the call is.

A caller may send 8 KB of it, as hundreds of fields, on thousands of calls that it holds open. As Python's objects these
are several times as large, and lie between others that stay, so that their memory does not go back. What nothing here
asks for is dropped when the call comes. Few fields are left as they are: to look at each would cost every call.
"""

from rpc.transport.transport_port import Metadata

FEW_FIELDS = 16
NAMES = frozenset(
    (
        *("authorization", "idempotency-key", "x-actor", "x-correlation-id", "x-request-id", "error-details-bytes-max"),
        *("traceparent", "tracestate"),
    )
)


def kept(metadata: Metadata) -> Metadata:
    """The fields that are asked for, where there are many."""
    if len(metadata) <= FEW_FIELDS:
        return metadata
    return [field for field in metadata if field[0] in NAMES]
