"""Lets callers do what their keys allow, and nothing else: before a method is called, and for as long as it answers.

Only the log says why a call is refused: the caller learns that it has no valid key, or that the key does not allow it.
"""

import asyncio
import hmac
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from google.protobuf.descriptor import MethodDescriptor

from rpc.authorization.key_file import Caller, KeyFileError, hash_of, read_keys
from rpc.authorization.organizations import organizations_in
from rpc.authorization.scopes import scope_of
from rpc.messages.descriptors import Message
from rpc.messages.problems import NotAllowed, NotAuthenticated
from rpc.transport.transport_port import Context

LOOK_EVERY_S = 1.0  # at the file; a key that was taken out is refused after so long at most
_BEARER = "bearer "

log = logging.getLogger(__name__)


class GuardStatistics(NamedTuple):
    """Keys that are good now, and calls that were refused for want of one or of what it allows."""

    keys: int
    refused: int


class Guard:
    """What the keys of a file allow. The file is read again when it has changed.

    Args:
        path: of the file; see `rpc.authorization.key_file`.

    Raises:
        KeyFileError: the file cannot be used.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen = _look(path)
        self._callers = read_keys(path)
        self._look_at_s = monotonic() + LOOK_EVERY_S
        self._refused = 0

    def __repr__(self) -> str:
        return f"<Guard {self._path} keys={len(self._callers)}>"

    def statistics(self) -> GuardStatistics:
        return GuardStatistics(len(self._callers), self._refused)

    def method(self, path: str, method: MethodDescriptor, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        """The servicer's method, behind the guard."""
        if method.client_streaming:

            def stream(requests: AsyncIterator[Message], context: Context) -> Any:
                self._admit(path, context, None)
                return behaviour(self._each(path, requests, context), context)

            return stream

        def answer(request: Message, context: Context) -> Any:
            self._admit(path, context, request)
            outcome = behaviour(request, context)
            return self._while_valid(path, outcome, request, context) if method.server_streaming else outcome

        return answer

    async def _each(
        self, path: str, requests: AsyncIterator[Message], context: Context
    ) -> AsyncGenerator[Message, None]:
        async for request in requests:
            self._admit(path, context, request)
            yield request

    async def _while_valid(
        self, path: str, responses: AsyncGenerator[Message, None], request: Message, context: Context
    ) -> AsyncGenerator[Message, None]:
        """The responses, for as long as the key is good: a watch may be open for hours."""
        async with aclosing(responses):
            while True:
                coming = asyncio.ensure_future(anext(responses))
                try:
                    while not (await asyncio.wait([coming], timeout=LOOK_EVERY_S))[0]:
                        self._admit(path, context, request)
                    response = coming.result()
                except StopAsyncIteration:
                    return
                finally:
                    coming.cancel()
                    await asyncio.wait([coming])
                yield response

    def _admit(self, path: str, context: Context, request: Message | None) -> None:
        """Raises `NotAuthenticated` or `NotAllowed`."""
        caller = self._caller_of(path, context)
        if scope_of(path) not in caller.scopes:
            raise self._refusal(path, f"the key has no scope {scope_of(path)}", caller)
        for organization_id in () if request is None else organizations_in(request):
            if not caller.may_see(organization_id):
                raise self._refusal(path, f"the key is not for organization {organization_id!r}", caller)

    def _caller_of(self, path: str, context: Context) -> Caller:
        given = [value for name, value in context.invocation_metadata() if name == "authorization"]
        if not given:
            raise self._refusal(path, "there is no key")
        text = given[0] if isinstance(given[0], str) else ""
        if len(given) > 1 or text[: len(_BEARER)].lower() != _BEARER:
            raise self._refusal(path, "the authorization is no single bearer token")
        digest = hash_of(text[len(_BEARER) :].strip())
        found = None
        for known, caller in self._current().items():  # all are compared, so that the time tells nothing
            if hmac.compare_digest(known, digest):
                found = caller
        if found is None:
            raise self._refusal(path, "the key is not known")
        return found

    def _refusal(self, path: str, why: str, caller: Caller | None = None) -> Exception:
        self._refused += 1
        values = {"method": path, "reason": why} | ({} if caller is None else {"key": caller.name})
        log.info("call_not_allowed", extra=values)
        return NotAuthenticated() if caller is None else NotAllowed()

    def _current(self) -> dict[str, Caller]:
        if monotonic() < self._look_at_s:
            return self._callers
        self._look_at_s = monotonic() + LOOK_EVERY_S
        seen = _look(self._path)
        if seen != self._seen:
            self._seen = seen
            try:
                self._callers = read_keys(self._path)
            except KeyFileError as error:
                log.error("keys_not_reloaded", extra={"reason": str(error)})
            else:
                log.info("keys_reloaded", extra={"keys": len(self._callers)})
        return self._callers


def _look(path: str) -> tuple[int, int, int]:
    try:
        found = Path(path).stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)
