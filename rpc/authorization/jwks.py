"""The keys that tokens are signed with: a JSON Web Key Set, read from a file or fetched from its issuer.

What is read is bounded in size and in time. No redirection is followed: it could lead out of https.
"""

import json
import time
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, build_opener

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from rpc.authorization.token_settings import TokenError

BYTES_MAX = 256 * 1024
KEYS_MAX = 100
FETCH_TIMEOUT_S = 5.0
_PART_BYTES = 16 * 1024
_RSA_BITS_MIN = 2_048

PublicKey = RSAKey | ECKey | OKPKey
KeySets = Mapping[str | None, tuple[PublicKey, ...]]
"""The keys by their ids. Two may have one id, for two algorithms."""


def read_file(path: str) -> bytes:
    """The file's content.

    Raises:
        TokenError: it cannot be read, or is too large.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise TokenError(f"The file {path} cannot be read: {error.strerror}.") from None
    return _bounded(content, path)


def fetch(url: str) -> bytes:
    """What the issuer gives. It blocks for `FETCH_TIMEOUT_S` and one more wait for a part at most.

    Raises:
        TokenError: it gives nothing, or too much.
    """
    ends_s = time.monotonic() + FETCH_TIMEOUT_S
    content = b""
    try:
        with _opener(url).open(url, timeout=FETCH_TIMEOUT_S) as response:
            while part := response.read1(_PART_BYTES):
                content += part
                _bounded(content, url)
                if time.monotonic() > ends_s:
                    raise TimeoutError("it takes too long")
    except (OSError, HTTPException, ValueError) as error:
        why = error.reason if isinstance(error, URLError) else error
        raise TokenError(f"The keys cannot be fetched from {url}: {why}.") from None
    return content


def parse_keys(content: bytes, source: str) -> KeySets:
    """The keys that signatures may be checked with. Others are passed over: shared ones, weak ones, those for
    encryption, and kinds that are not known here.

    Raises:
        TokenError: it is no set of keys, or has none that is of use.
    """
    try:
        listed = json.loads(content)["keys"]
        if not isinstance(listed, list) or len(listed) > KEYS_MAX:
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise TokenError(f"{source} is no JSON Web Key Set of at most {KEYS_MAX} keys.") from None
    keys = [key for one in listed if (key := _usable(one)) is not None]
    if not keys:
        raise TokenError(f"{source} has no public key for signatures: RSA of {_RSA_BITS_MIN} bits, EC or OKP.")
    return {kid: tuple(key for key in keys if key.kid == kid) for kid in {key.kid for key in keys}}


def _usable(one: Any) -> PublicKey | None:
    if not isinstance(one, dict) or one.get("kty") not in ("RSA", "EC", "OKP") or one.get("use", "sig") != "sig":
        return None
    if "verify" not in one.get("key_ops", ["verify"]) or (one["kty"] == "RSA" and _is_weak(one)):
        return None
    try:
        key = import_key(one)
    except (JoseError, ValueError, TypeError, KeyError):
        return None  # a kind that this version does not know must not take the others away
    assert isinstance(key, RSAKey | ECKey | OKPKey), key
    return key


def _is_weak(key: dict[str, Any]) -> bool:
    return len(str(key.get("n", "")).rstrip("=")) * 6 < _RSA_BITS_MIN


def _bounded(content: bytes, source: str) -> bytes:
    if len(content) > BYTES_MAX:
        raise TokenError(f"{source} is larger than {BYTES_MAX} bytes.")
    return content


class _NoRedirection(HTTPRedirectHandler):
    """Raises HTTPError instead."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _opener(url: str) -> OpenerDirector:
    by_no_proxy = [ProxyHandler({})] if urlsplit(url).scheme == "http" else []  # that is this machine alone
    return build_opener(_NoRedirection, *by_no_proxy)
