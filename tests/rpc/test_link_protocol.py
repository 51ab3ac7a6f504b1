"""What goes over a link has a number: a change that the release of before would not understand needs the next one."""

import hashlib
from typing import Any

import msgspec
import pytest

from rpc.frontends import link_messages as say
from rpc.frontends.link_greeting import GREETING_BYTES, PROTOCOL, OtherProtocol, check_greeting, greeting

FORMS = {1: "da6f45ecfe6a98b7"}
"""Of each protocol, what its messages look like. If this fails, a message has changed. Where a side of before would
still understand all that it is told (a field at the end, with a default), write the new form here. Otherwise PROTOCOL
is to be one more, unless that has not been released."""


def form_of(kind: Any) -> str:
    """The same for two sets of messages that are written alike."""
    _, components = msgspec.json.schema_components([kind], ref_template="{name}")
    return hashlib.blake2b(msgspec.json.encode(_bare(components), order="sorted"), digest_size=8).hexdigest()


def _bare(schema: Any) -> Any:
    """Without what is for readers only."""
    if isinstance(schema, dict):
        return {key: _bare(value) for key, value in schema.items() if key not in ("description", "title")}
    return [_bare(one) for one in schema] if isinstance(schema, list) else schema


def test_messages_that_have_changed_have_another_number() -> None:
    assert form_of(say.FromFrontend | say.FromOwner) == FORMS[PROTOCOL]


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        (b"stockkeeper link 9 7.0.0", r"release 7\.0\.0, speaks protocol 9 of links, .*: upgrade this one\.$"),
        (b"stockkeeper link 0 0.3.0", r"release 0\.3\.0, speaks protocol 0 of links, .*: upgrade that one\.$"),
        (
            b"stockkeeper link 0.3.0",
            r"^The other side is no part .* old release: it says 'stockkeeper link 0\.3\.0'\.$",
        ),
        (b"\xff\x00PRI * HTTP/2.0", r"^The other side is no part of this program"),
    ],
)
def test_another_number_is_one_sentence(said: bytes, refused: str) -> None:
    with pytest.raises(OtherProtocol, match=refused):
        check_greeting(said.ljust(GREETING_BYTES))


def test_another_release_of_the_same_number_is_welcome() -> None:
    check_greeting(f"stockkeeper link {PROTOCOL} 99.1.2rc1".encode().ljust(GREETING_BYTES))
    check_greeting(greeting())
