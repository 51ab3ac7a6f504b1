"""The key or token that calls carry, as it is at the time of each call."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import grpc

from stockkeeper_client.channel import is_on_this_machine

LOOK_EVERY_S = 1.0

GivesToken = Callable[[], str]


class TokenFile:
    """Gives what a file has, and looks once a second whether it has changed: for a token that another program renews.

    While the file is away or empty, the last token that it had is given. Raises OSError if there never was one, and
    ValueError if it was empty.

    >>> TokenFile("missing.jwt")()
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'missing.jwt'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._token = ""
        self._look_at_s = 0.0

    def __repr__(self) -> str:
        return f"<TokenFile {self._path}>"

    def statistics(self) -> bool:
        """Whether it has a token."""
        return bool(self._token)

    def __call__(self) -> str:
        if time.monotonic() >= self._look_at_s:
            self._look()
        return self._token

    def _look(self) -> None:
        try:
            token = self._path.read_text(encoding="utf-8").strip()
        except OSError:
            if not self._token:
                raise
            token = ""
        if not token and not self._token:
            raise ValueError(f"{self._path} has no token")
        self._token = token or self._token
        self._look_at_s = time.monotonic() + LOOK_EVERY_S


def token_source(
    token: str | GivesToken | None,
    target: str,
    credentials: grpc.ChannelCredentials | None,
    *,
    over_plaintext: bool,
) -> GivesToken | None:
    """What gives the token. Raises ValueError if everybody on the way could read it."""
    if token is None:
        return None
    if credentials is None and not over_plaintext and not is_on_this_machine(target):
        raise ValueError(
            f"a token is not sent to {target} without TLS: give credentials, or say token_over_plaintext=True"
        )
    return token if callable(token) else lambda: token
