"""Whose stock a request is about: every `organization_id` in it, wherever it stands.

The places are found in the messages' descriptors, so that a new method is covered without a word about it.
"""

from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from rpc.messages.descriptors import Message

NAME = "organization_id"
_DEPTH_MAX = 4

Finder = Callable[[Any], Iterator[str]]


def organizations_in(message: Message) -> set[str]:
    """The organizations that the message names; an empty one where it leaves the field empty, or has none."""
    kind: Any = message.DESCRIPTOR  # generated code has a name of its own for its type
    finder = _finder(kind, _DEPTH_MAX)
    return {""} if finder is None else set(finder(message))


_finders: dict[tuple[str, int], Finder | None] = {}  # as many as there are kinds of messages


def _finder(kind: Descriptor, depth: int) -> Finder | None:
    key = (kind.full_name, depth)
    if key not in _finders:
        _finders[key] = _new_finder(kind, depth)
    return _finders[key]


def _new_finder(kind: Descriptor, depth: int) -> Finder | None:
    """What finds them in messages of a kind; None if these have no place for any."""
    own = kind.fields_by_name.get(NAME)
    inner = [(field, finder) for field in kind.fields if (finder := _finder_within(field, depth)) is not None]
    if own is None and not inner:
        return None

    def find(message: Any) -> Iterator[str]:
        if own is not None:
            yield getattr(message, NAME)
        for field, finder in inner:
            value = getattr(message, field.name)
            for one in value if field.is_repeated else (value,) if message.HasField(field.name) else ():
                yield from finder(one)

    return find


def _finder_within(field: FieldDescriptor, depth: int) -> Finder | None:
    return _finder(field.message_type, depth - 1) if depth and field.message_type is not None else None
