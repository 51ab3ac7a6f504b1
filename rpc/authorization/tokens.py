"""Finds callers by their bearer tokens (JWT), signed by an issuer that the server trusts.

joserfc checks the signature and the claims. What it is asked is fixed here: which algorithms, keys of the server's own
set alone (a `jwk`, `jku` or `x5u` inside of a token is not looked at), no critical extensions. A shared key is in no
set, so that a public key cannot be taken for one.

A token that was found good is kept until it runs out or the keys change, by its digest: the next call with it costs a
look into a dictionary and not a signature.
"""

import time
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

from joserfc import jwt
from joserfc.errors import BadSignatureError, ClaimError, ExpiredTokenError, SecurityWarning, UnsupportedAlgorithmError
from joserfc.jws import JWSRegistry

from actors.bounds import ID_CHARACTERS_MAX
from rpc.authorization.callers import BadCredential, Caller
from rpc.authorization.jwks import PublicKey
from rpc.authorization.key_file import hash_of
from rpc.authorization.scopes import Scope
from rpc.authorization.token_keys import TokenKeys
from rpc.authorization.token_settings import TokenSettings

TOKEN_CHARACTERS_MAX = 8 * 1024
KEPT_MAX = 10_000
KEPT_S_MAX = 24 * 3_600.0
_SCOPES: frozenset[Scope] = frozenset(get_args(Scope))


class Known(NamedTuple):
    """A token that was found good."""

    caller: Caller
    expires_at_s: float
    keys_version: int


class TokensStatistics(NamedTuple):
    """Tokens that are kept, and keys that they may be signed with."""

    kept: int
    keys: int


class Tokens:
    """What the tokens of one issuer allow.

    Args:
        clock: the time in seconds, as the issuer's clock tells it too.

    Raises:
        TokenError: the issuer's keys are in a file that cannot be used.
    """

    def __init__(self, settings: TokenSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._keys = TokenKeys(settings)
        self._kept: OrderedDict[str, Known] = OrderedDict()
        if "EdDSA" in settings.algorithms:  # it has another name by now, which few issuers use yet
            warnings.filterwarnings("ignore", "EdDSA", SecurityWarning)
        self._registry = JWSRegistry(algorithms=settings.algorithms, strict_check_header=False)
        self._registry.max_header_length = 2_048
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(clock()),
            leeway=settings.leeway_s,
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    def __repr__(self) -> str:
        return f"<Tokens of {self._settings.issuer} kept={len(self._kept)} {self._keys}>"

    def statistics(self) -> TokensStatistics:
        return TokensStatistics(len(self._kept), self._keys.statistics().keys)

    def caller_of(self, token: str) -> Caller:
        """Whose token it is.

        Raises:
            BadCredential: it is not good.
            Unavailable: there are no keys yet to check it with.
        """
        self._keys.refresh()
        digest = hash_of(token)
        known = self._kept.get(digest)
        if known is None or known.keys_version != self._keys.version or known.expires_at_s <= self._clock():
            self._kept.pop(digest, None)
            known = self._kept[digest] = self._known(token)
            if len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        self._kept.move_to_end(digest)
        return known.caller

    def _known(self, token: str) -> Known:
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise BadCredential("the token is too long")
        try:
            read = jwt.decode(token, self._key_of, self._settings.algorithms, self._registry)
            self._claims.validate(read.claims)
            expires_at_s = min(read.claims["exp"] + self._settings.leeway_s, self._clock() + KEPT_S_MAX)
            return Known(self._caller(read.claims), expires_at_s, self._keys.version)
        except BadCredential:
            raise
        except ExpiredTokenError:
            raise BadCredential("the token has expired") from None
        except ClaimError as error:
            raise BadCredential(f"the token's claim {error.claim} is not as it must be") from None
        except BadSignatureError:
            raise BadCredential("the token's signature is not good") from None
        except UnsupportedAlgorithmError:
            raise BadCredential("the token's algorithm is not allowed") from None
        except Exception as error:  # noqa: BLE001 - whatever a stranger's bytes do to a parser, they are no token
            raise BadCredential(f"the token cannot be read: {type(error).__name__}") from None

    def _key_of(self, signed: Any) -> PublicKey:
        headers = signed.headers()
        if "crit" in headers:
            raise BadCredential("the token has critical extensions")
        kid = headers.get("kid") or None
        key = self._keys.find(kid, headers["alg"])
        if key is None:
            raise BadCredential("the token's key is not known" if kid else "the token does not say which key it has")
        return key

    def _caller(self, claims: dict[str, Any]) -> Caller:
        subject = claims["sub"]
        if not subject.strip() or not subject.isprintable():
            raise BadCredential("the token's subject cannot be written down")
        scopes = _texts(claims, self._settings.scopes_claim, by_spaces=True)
        organizations = _texts(claims, self._settings.organizations_claim, by_spaces=False)
        return Caller(subject[:ID_CHARACTERS_MAX], organizations, _SCOPES & scopes)


def _texts(claims: dict[str, Any], name: str, *, by_spaces: bool) -> frozenset[Any]:
    """What a claim lists; nothing if it is not there."""
    value = claims.get(name, [])
    if isinstance(value, str):
        value = value.split() if by_spaces else [value]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadCredential(f"the token's claim {name} is neither a text nor a list of texts")
    return frozenset(value)
