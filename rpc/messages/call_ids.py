"""What the log says of a call: the ids that its request names, and the name that its caller gives. Nothing else of
either is told, so that no secret can be: a key or a token is in other fields.
"""

from typing import Any, NamedTuple

from actors.records import From
from rpc.messages.origins import origin_of
from rpc.messages.validation import IDEMPOTENCY_KEY
from rpc.transport.transport_port import Context

TOLD_CHARACTERS_MAX = 128


class CallIds(NamedTuple):
    """Which order a request is about; the texts are empty where it names none."""

    organization_id: str = ""
    order_id: str = ""
    reservation_id: str = ""
    request_id: str = ""

    def told(self, context: Context) -> dict[str, str]:
        """By their names, with what the caller says of itself; what is empty is left out."""
        fields = {name: value for name, value in context.invocation_metadata() if isinstance(value, str)}
        origin = origin_of(context.invocation_metadata(), context.caller)
        return self.told_of(origin, fields.get(IDEMPOTENCY_KEY, ""))

    def told_of(self, origin: From, idempotency_key: str = "") -> dict[str, str]:
        """The same, where it is known already who the caller is."""
        found = self._asdict()
        found["request_id"] = self.request_id or idempotency_key
        if origin:
            found |= {"correlation_id": origin.correlation_id, "actor": origin.actor}
        return {name: printable(text) for name, text in found.items() if text}


def ids_of(request: Any) -> CallIds:
    """Those of a request; of None there are none."""
    if isinstance(request, CallIds):
        return request
    return CallIds(*(str(getattr(request, name, ""))[:TOLD_CHARACTERS_MAX] for name in CallIds._fields))


def printable(text: str) -> str:
    """As much of a caller's text as a line of the log takes, without what would begin another line."""
    cut = text[:TOLD_CHARACTERS_MAX]
    return cut if cut.isprintable() else ascii(cut)[1:-1]
