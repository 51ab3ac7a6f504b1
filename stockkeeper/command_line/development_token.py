"""Makes tokens for development, signed with a key of one's own: where there is no issuer yet.

The key is kept as a JSON Web Key Set, with its private half: any reader of the file can make tokens.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from stockkeeper.config import ConfigurationError

ISSUER = "stockkeeper-development"
AUDIENCE = "stockkeeper"
_ALGORITHM = "ES256"


def development_token(
    file: Path, subject: str, organizations: Sequence[str], scopes: Sequence[str], minutes: int
) -> str:
    """A token that is good for some minutes.

    Args:
        file: with the key; it is made if it is not there.

    Raises:
        ConfigurationError: the file has no key to sign with.
        OSError: it cannot be read or written.
    """
    key = _key_in(file) if file.exists() else _new_key(file)
    now = int(time.time())
    claims = {
        **{"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 60 * minutes},
        **{"organizations": list(organizations), "scope": " ".join(scopes)},
    }
    return jwt.encode({"alg": _ALGORITHM, "kid": key.kid}, claims, key)


def _key_in(file: Path) -> ECKey:
    try:
        keys = KeySet.import_key_set(json.loads(file.read_bytes())).keys
    except (ValueError, KeyError, TypeError, JoseError):
        keys = []
    for key in keys:
        if isinstance(key, ECKey) and key.is_private and key.curve_name == "P-256":
            return key
    raise ConfigurationError(f"The file {file} is no JSON Web Key Set with a private key that this command has made.")


def _new_key(file: Path) -> ECKey:
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": _ALGORITHM}, private=True, auto_kid=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        json.dump(KeySet([key]).as_dict(private=True), opened)
    return key
