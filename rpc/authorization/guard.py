"""Lets callers do what their keys or tokens allow, and nothing else: before a message is read, before a method is
called, and for as long as it answers.

Only the log says why a call is refused: the caller learns that it has no valid key, or that the key does not allow it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from google.protobuf.descriptor import MethodDescriptor

from actors.unavailable import Unavailable
from rpc.authorization.callers import BadCredential, Caller
from rpc.authorization.held_requests import HeldRequests
from rpc.authorization.key_ring import KeyRing
from rpc.authorization.organizations import organizations_in
from rpc.authorization.scopes import scope_of
from rpc.authorization.token_settings import TokenSettings
from rpc.messages.descriptors import Message
from rpc.messages.problems import NotAllowed, NotAuthenticated
from rpc.transport.transport_port import Context

LOOK_EVERY_S = 1.0  # at the caller of an open stream, whose key may go and whose token may run out
_BEARER = "bearer "
_DOTS_OF_A_TOKEN = 2  # a key has none

log = logging.getLogger(__name__)


class GuardStatistics(NamedTuple):
    """Keys that are good now, tokens that were found good, and calls that were refused."""

    keys: int
    tokens: int
    refused: int


class Guard:
    """What the keys of a file and the tokens of an issuer allow.

    Args:
        keys_file: see `rpc.authorization.key_file`; empty: there are no keys.
        tokens: None: there are no tokens.

    Raises:
        KeyFileError: the file cannot be used.
        TokenError: the issuer's keys cannot be used.
    """

    def __init__(self, keys_file: str, tokens: TokenSettings | None = None) -> None:
        self._keys = KeyRing(keys_file) if keys_file else None
        self._tokens = None
        if tokens is not None:
            from rpc.authorization.tokens import Tokens  # it takes a fifth of a second, which others can do without

            self._tokens = Tokens(tokens)
        self._refused = 0

    def __repr__(self) -> str:
        return f"<Guard {self._keys or 'no keys'} {self._tokens or 'no tokens'}>"

    def statistics(self) -> GuardStatistics:
        keys = 0 if self._keys is None else self._keys.statistics()
        tokens = 0 if self._tokens is None else self._tokens.statistics().kept
        return GuardStatistics(keys, tokens, self._refused)

    def identify(self, path: str, context: Context) -> None:
        """Note in the context whose call it is, by what it came with alone: before its message is there.

        Args:
            path: of the method that it calls.

        Raises:
            NotAuthenticated: it has no key or token that is good.
            NotAllowed: that has no scope for the method.
            Unavailable: there are no keys yet to look at a token with.
        """
        context.caller = self._allowed(path, context).name

    def admit(self, path: str, context: Context, request: Message | None) -> None:
        """As `identify`, and the request names no organization but those of the key or token.

        Args:
            path: of the method.
            request: None: none has come.

        Raises:
            NotAuthenticated, Unavailable: see `identify`.
            NotAllowed: the key or token is not for that.
        """
        caller = self._allowed(path, context)
        for organization_id in () if request is None else organizations_in(request):
            if not caller.may_see(organization_id):
                raise self._refusal(f"it is not for organization {organization_id!r}", caller)
        context.caller = caller.name

    def may_act_for(self, context: Context, organization_id: str) -> bool:
        """Whether the call's key or token is for this organization."""
        try:
            return self._caller_of(context).may_see(organization_id)
        except (BadCredential, Unavailable):
            return False

    def method(self, path: str, method: MethodDescriptor, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        """The servicer's method, which ends when its caller's key or token does. Its first request was admitted."""
        if method.client_streaming:

            def stream(requests: AsyncIterator[Message], context: Context) -> Any:
                admit = partial(self.admit, path, context)
                return behaviour(HeldRequests(requests, context, admit, look_every_s=LOOK_EVERY_S), context)

            return stream
        if not method.server_streaming:
            return behaviour

        def answer(request: Message, context: Context) -> Any:
            return self._while_valid(path, behaviour(request, context), request, context)

        return answer

    async def _while_valid(
        self, path: str, responses: AsyncGenerator[Message, None], request: Message, context: Context
    ) -> AsyncGenerator[Message, None]:
        """The responses, for as long as the key or token is good: a watch may be open for hours."""
        look_at_s = monotonic() + LOOK_EVERY_S
        async with aclosing(responses):
            while True:
                coming = asyncio.ensure_future(anext(responses))
                try:
                    while True:
                        has_come = (await asyncio.wait([coming], timeout=max(look_at_s - monotonic(), 0)))[0]
                        if monotonic() >= look_at_s:  # also where there is always one more
                            self.admit(path, context, request)
                            look_at_s = monotonic() + LOOK_EVERY_S
                        if has_come:
                            break
                    response = coming.result()
                except StopAsyncIteration:
                    return
                finally:
                    coming.cancel()
                    await asyncio.wait([coming])
                yield response

    def _allowed(self, path: str, context: Context) -> Caller:
        """Raises `NotAuthenticated`, or `NotAllowed` by the scope."""
        try:
            caller = self._caller_of(context)
        except BadCredential as error:
            raise self._refusal(str(error)) from None
        if scope_of(path) not in caller.scopes:
            raise self._refusal(f"it has no scope {scope_of(path)}", caller)
        return caller

    def _caller_of(self, context: Context) -> Caller:
        given = [value for name, value in context.invocation_metadata() if name == "authorization"]
        if not given:
            raise BadCredential("there is no key")
        text = given[0] if isinstance(given[0], str) else ""
        if len(given) > 1 or text[: len(_BEARER)].lower() != _BEARER:
            raise BadCredential("the authorization is no single bearer token")
        credential = text[len(_BEARER) :].strip()
        finder = self._tokens if credential.count(".") == _DOTS_OF_A_TOKEN else self._keys
        if finder is None:
            raise BadCredential("keys or tokens of this kind are not known here")
        return finder.caller_of(credential)

    def _refusal(self, why: str, caller: Caller | None = None) -> Exception:
        self._refused += 1
        return NotAuthenticated(why) if caller is None else NotAllowed(why, caller.name)
