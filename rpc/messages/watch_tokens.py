"""Resume tokens: how far a caller has heard of an organization's changes, in a form that callers pass back unread.

A token names the organization, the database whose LSNs it means, and a place. Its first bytes are a digest of the
rest, so that one that was cut, changed or made up is refused and not taken for another place; it is no secret, since a
caller may go on from any place of an organization that it may read. Its version stands first, for a form to come.
"""

import base64
import binascii
from hashlib import blake2b
from typing import Literal, NamedTuple

import msgspec

from actors.changes import Point

TOKEN_RULE = "must be a token of this organization's changes"
_CHARACTERS_MAX = 4_096
_DIGEST_BYTES = 9


class WatchToken(NamedTuple):
    """What is inside."""

    version: Literal[1]
    organization_id: str
    database_id: str
    lsn: int
    position: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(WatchToken).decode


def watch_token(organization_id: str, database_id: str, place: Point) -> str:
    """The token of this place.

    >>> token = watch_token("shop", "d", Point(7))
    >>> read_watch_token(token, "shop")[2:]
    ('d', 7, 2147483647)
    """
    body = _encode(WatchToken(1, organization_id, database_id, *place))
    return base64.urlsafe_b64encode(_digest(body) + body).decode("ascii").rstrip("=")


def read_watch_token(token: str, organization_id: str) -> WatchToken:
    """What is in a token.

    Raises:
        ValueError: it is no token of this organization's changes.
    """
    if len(token) > _CHARACTERS_MAX:
        raise ValueError("too long")
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    digest, body = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
    if _digest(body) != digest:
        raise ValueError("changed on the way")
    found = _decode(body)
    if found.organization_id != organization_id or found.position < 0:
        raise ValueError("of another organization")
    return found


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=_DIGEST_BYTES, person=b"watch").digest()
