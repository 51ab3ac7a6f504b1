"""What is remembered under idempotency keys: how a command is recognized and how its answer is kept."""

from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from actors.commands import Command, Expire, Import
from actors.outcomes import Outcome
from actors.records import RequestKey, RequestRecord

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Outcome)


def request_key(command: Command) -> RequestKey | None:
    """The command's idempotency key, if it has one."""
    request_id: str = getattr(command, "request_id", "")
    if not request_id:
        return None
    return RequestKey(import_scope(command) if isinstance(command, Import) else command.organization_id, request_id)


def import_scope(command: Import) -> str:
    """The scope of an import's request id: its organization, or what stands for several.

    An id belongs to the organizations whose stock the import counts. So none can take an id away from another, or learn
    that the other has used it. No organization's id begins as the scope of several does, with a line break.
    """
    organizations = {line.organization_id for line in command.lines}
    if len(organizations) == 1:
        return organizations.pop()
    return "\n" + blake2b("\n".join(sorted(organizations)).encode(), digest_size=16).hexdigest()


def fingerprint(command: Command) -> str:
    """Tells one command from another: the same command always has the same one, in every process."""
    kind = type(command).__name__.encode()
    if not isinstance(command, Expire) and command.origin is not msgspec.UNSET:
        command = replace(command, origin=msgspec.UNSET)  # a retry may come by another way
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
