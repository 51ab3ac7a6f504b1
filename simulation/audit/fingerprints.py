"""Whether what is kept under an idempotency key is of a request, however the request came."""

from actors.commands import Command, Import
from actors.idempotency import LinesDigest, fingerprint


def is_of(kept: str, request: Command) -> bool:
    """A large import comes in parts, and is known by a digest of its lines."""
    if kept == fingerprint(request):
        return True
    if not isinstance(request, Import):
        return False
    digest = LinesDigest()
    digest.add(request.lines)
    return kept == digest.text()
