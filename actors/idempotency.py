"""What is remembered under idempotency keys: how a command is recognized and how its answer is kept."""

from hashlib import blake2b

import msgspec

from actors.commands import Command, Import
from actors.outcomes import Outcome
from actors.records import RequestKey, RequestRecord

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Outcome)


def request_key(command: Command) -> RequestKey | None:
    """The command's idempotency key, if it has one. An import may span organizations, so it has the empty scope."""
    request_id: str = getattr(command, "request_id", "")
    if not request_id:
        return None
    return RequestKey("" if isinstance(command, Import) else command.organization_id, request_id)


def fingerprint(command: Command) -> str:
    """Tells one command from another: the same command always has the same one, in every process."""
    kind = type(command).__name__.encode()
    return blake2b(kind + msgspec.msgpack.encode(command), digest_size=16).hexdigest()


def remember(command: Command, outcome: Outcome) -> RequestRecord | None:
    """The record that keeps this answer, or None for a command without an idempotency key."""
    key = request_key(command)
    if key is None:
        return None
    return RequestRecord(key.scope, key.request_id, fingerprint(command), _encoder.encode(outcome))


def recall(record: RequestRecord) -> Outcome:
    """The answer that was given."""
    outcome: Outcome = _decoder.decode(record.outcome)
    return outcome
