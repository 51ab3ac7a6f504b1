"""What is remembered under idempotency keys: how a command is recognized and how its answer is kept."""

from collections.abc import Sequence
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from actors.commands import Command, CountedLine, DropStaged, Expire, Import, ImportStaged, StageLines
from actors.outcomes import Outcome
from actors.records import RequestKey, RequestRecord

_encoder = msgspec.json.Encoder()
_packed = msgspec.msgpack.Encoder()
_decoder = msgspec.json.Decoder(Outcome)


def request_key(command: Command) -> RequestKey | None:
    """The command's idempotency key, if it has one."""
    request_id: str = getattr(command, "request_id", "")
    if not request_id:
        return None
    match command:
        case Import():
            return RequestKey(import_scope({line.organization_id for line in command.lines}), request_id)
        case ImportStaged():
            return RequestKey(command.scope, request_id)
        case StageLines() | DropStaged():
            return None
    return RequestKey(command.organization_id, request_id)


def import_scope(organizations: set[str]) -> str:
    """The scope of an import's request id: its organization, or what stands for several.

    An id belongs to the organizations whose stock the import counts. So none can take an id away from another, or learn
    that the other has used it. No organization's id begins as the scope of several does, with a line break.
    """
    if len(organizations) == 1:
        return next(iter(organizations))
    return "\n" + blake2b("\n".join(sorted(organizations)).encode(), digest_size=16).hexdigest()


def fingerprint(command: Command) -> str:
    """Tells one command from another: the same command always has the same one, in every process."""
    kind = type(command).__name__.encode()
    if isinstance(command, ImportStaged):
        return command.digest
    if not isinstance(command, Expire | StageLines | DropStaged) and command.origin is not msgspec.UNSET:
        command = replace(command, origin=msgspec.UNSET)  # a retry may come by another way
    return blake2b(kind + msgspec.msgpack.encode(command), digest_size=16).hexdigest()


class LinesDigest:
    """The fingerprint of an import whose lines come in parts."""

    def __init__(self) -> None:
        self._hash = blake2b(b"Lines", digest_size=16)

    def __repr__(self) -> str:
        return f"<LinesDigest {self.text()}>"

    def add(self, lines: Sequence[CountedLine]) -> None:
        """Take in the next ones. However they are divided, the digest is the same."""
        for line in lines:
            self._hash.update(_packed.encode(line))

    def text(self) -> str:
        """The digest of all that was added."""
        return self._hash.hexdigest()


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
