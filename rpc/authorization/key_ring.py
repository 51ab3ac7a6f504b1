"""The preshared keys of a file, which is read again when it has changed."""

import hmac
import logging
from time import monotonic

from rpc.authorization.callers import BadCredential, Caller
from rpc.authorization.file_look import look_at
from rpc.authorization.key_file import KeyFileError, hash_of, read_keys

LOOK_EVERY_S = 1.0  # a key that was taken out is refused after so long at most

log = logging.getLogger(__name__)


class KeyRing:
    """Finds callers by their keys.

    Args:
        path: of the file; see `rpc.authorization.key_file`.

    Raises:
        KeyFileError: the file cannot be used.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen = look_at(path)
        self._callers = read_keys(path)
        self._look_at_s = monotonic() + LOOK_EVERY_S

    def __repr__(self) -> str:
        return f"<KeyRing {self._path} keys={len(self._callers)}>"

    def statistics(self) -> int:
        """How many keys are good now."""
        return len(self._callers)

    def caller_of(self, key: str) -> Caller:
        """Whose key it is.

        Raises:
            BadCredential: it is not known.
        """
        digest = hash_of(key)
        found = None
        for known, caller in self._current().items():  # all are compared, so that the time tells nothing
            if hmac.compare_digest(known, digest):
                found = caller
        if found is None:
            raise BadCredential("the key is not known")
        return found

    def _current(self) -> dict[str, Caller]:
        if monotonic() < self._look_at_s:
            return self._callers
        self._look_at_s = monotonic() + LOOK_EVERY_S
        seen = look_at(self._path)
        if seen != self._seen:
            self._seen = seen
            try:
                self._callers = read_keys(self._path)
            except KeyFileError as error:
                log.error("keys_not_reloaded", extra={"reason": str(error)})
            else:
                log.info("keys_reloaded", extra={"keys": len(self._callers)})
        return self._callers
