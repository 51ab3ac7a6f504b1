"""Keeps the keys of tokens up to date: the last good ones stay where new ones cannot be had.

A file is looked at again when it has changed. A URL is fetched in a thread, every `REFRESH_S`, and sooner if a token
names a key that is not known. No call waits for that: one whose key is not there yet is refused, as an issuer shows a
new key before it signs with it. Only before the first fetch has succeeded are callers asked to come again.
"""

import asyncio
import logging
from time import monotonic
from typing import NamedTuple

from actors.unavailable import no_token_keys
from rpc.authorization.file_look import look_at
from rpc.authorization.jwks import KeySets, PublicKey, fetch, parse_keys, read_file
from rpc.authorization.token_settings import TokenError, TokenSettings

REFRESH_S = 300.0
RETRY_S = 10.0  # after a failure, and between two fetches that unknown keys ask for
LOOK_EVERY_S = 1.0  # at a file

log = logging.getLogger(__name__)


class TokenKeysStatistics(NamedTuple):
    keys: int
    version: int


class TokenKeys:
    """The keys of one set. It belongs to the running asyncio loop, if the set is fetched.

    Raises:
        TokenError: a file cannot be used.
    """

    def __init__(self, settings: TokenSettings) -> None:
        self._source = settings.jwks
        self._is_remote = settings.is_remote
        self._keys: KeySets = {}
        self._fetching: asyncio.Future[bytes] | None = None
        self._fetched_at_s = 0.0
        self.version = 0
        """Counts the changes: what was found good by older keys has to be looked at again."""
        self._seen = look_at(self._source)
        if self._is_remote:
            self._begin_fetch()
        else:
            self._keys = parse_keys(read_file(self._source), self._source)
            self._look_at_s = monotonic() + LOOK_EVERY_S

    def __repr__(self) -> str:
        return f"<TokenKeys {self._source} version={self.version}>"

    def statistics(self) -> TokenKeysStatistics:
        return TokenKeysStatistics(sum(map(len, self._keys.values())), self.version)

    def refresh(self) -> None:
        """Look whether it is time to read them again.

        Raises:
            Unavailable: there were none yet.
        """
        if monotonic() >= self._look_at_s:
            if self._is_remote:
                self._begin_fetch()
            else:
                self._look_at_s = monotonic() + LOOK_EVERY_S
                self._read_if_changed()
        if not self._keys:
            raise no_token_keys()

    def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The key of this id for this algorithm; without an id the only one there is for it."""
        if kid is not None and kid not in self._keys and self._is_remote:
            self._look_at_s = min(self._look_at_s, self._fetched_at_s + RETRY_S)
            self.refresh()
        listed = [key for keys in self._keys.values() for key in keys] if kid is None else self._keys.get(kid, ())
        fitting = [key for key in listed if _fits(key, algorithm)]
        return fitting[0] if len(fitting) == 1 else None

    def _read_if_changed(self) -> None:
        seen = look_at(self._source)
        if seen != self._seen:
            self._seen = seen
            try:
                self._take(read_file(self._source))
            except TokenError as error:
                log.error("token_keys_not_reloaded", extra={"reason": str(error)})

    def _begin_fetch(self) -> None:
        self._look_at_s = monotonic() + REFRESH_S
        if self._fetching is None:
            self._fetching = asyncio.get_running_loop().run_in_executor(None, fetch, self._source)
            self._fetching.add_done_callback(self._on_fetched)

    def _on_fetched(self, fetching: asyncio.Future[bytes]) -> None:
        self._fetching, self._fetched_at_s = None, monotonic()
        if fetching.cancelled():
            return
        try:
            self._take(fetching.result())
        except TokenError as error:
            self._look_at_s = monotonic() + RETRY_S
            log.error("token_keys_not_reloaded", extra={"reason": str(error)})

    def _take(self, content: bytes) -> None:
        keys = parse_keys(content, self._source)
        if keys != self._keys:
            self._keys = keys
            self.version += 1
            log.info("token_keys_reloaded", extra={"keys": sum(map(len, keys.values()))})


def _fits(key: PublicKey, algorithm: str) -> bool:
    kind = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}.get(algorithm[:2])
    return key.key_type == kind and key.alg in (None, algorithm)
