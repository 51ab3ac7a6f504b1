"""Sees before a server starts that its tokens can be checked."""

from urllib.parse import urlsplit

from rpc.authorization.token_settings import TokenError, TokenSettings
from rpc.transport.addresses import ListenError, is_loopback


def check_token_keys(settings: TokenSettings) -> None:
    """See that the keys can be used: those of a file now. A URL need not answer yet, but must be one to be trusted.

    Raises:
        TokenError: they cannot.
    """
    if settings.is_remote:
        _check_url(settings.jwks)
    else:
        from rpc.authorization.jwks import parse_keys, read_file

        parse_keys(read_file(settings.jwks), settings.jwks)


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    try:
        is_here = parts.scheme == "http" and is_loopback(parts.hostname or "")
    except ListenError:
        is_here = False
    if not parts.hostname or (parts.scheme != "https" and not is_here):  # others could put their keys in place of these
        raise TokenError(f"The keys of tokens must come from a file or by https, not from {parts.scheme}://.")
