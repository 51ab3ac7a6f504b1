"""An issuer of tokens, as a server under test trusts one."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from joserfc.jws import JWSRegistry

from rpc.authorization.token_settings import TokenSettings

ISSUER, AUDIENCE = "https://issuer.example", "stock"
EC = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
RSA = RSAKey.generate_key(2_048, {"kid": "rsa", "use": "sig"})
STRANGER = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
"""Says that it is the issuer's."""


def jwks(*keys: Any) -> str:
    return json.dumps(KeySet(list(keys or (EC, RSA))).as_dict(private=False))


def settings(file: Path, **other: Any) -> TokenSettings:
    """Trusts the issuer, whose keys are put into the file."""
    file.write_text(jwks())
    return TokenSettings(**{"jwks": str(file), "issuer": ISSUER, "audience": AUDIENCE, "leeway_s": 0, **other})


def token(
    key: ECKey | RSAKey = EC, *, header: Mapping[str, Any] | None = None, without: str = "", **claims: Any
) -> str:
    """A token, good for an hour unless the claims say otherwise."""
    every = {
        **{"iss": ISSUER, "aud": AUDIENCE, "sub": "ana", "exp": int(time.time()) + 3_600},
        **{"organizations": ["shop"], "scope": "inventory.stock.read", **claims},
    }
    every.pop(without, None)
    said = {"alg": "ES256" if isinstance(key, ECKey) else "RS256", "kid": key.kid, **(header or {})}
    registry = JWSRegistry(algorithms=[said["alg"]], strict_check_header=False)
    return jwt.encode(said, every, key, registry=registry)
