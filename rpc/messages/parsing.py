"""Bytes become messages here: what is no message is the caller's mistake, and is called so.

An empty line takes 2 bytes encoded but 60 parsed: 50 MB of them would take 1.4 GB, and hold the event loop for
6 s. Hence large messages have their fields counted before they are parsed. A message of a stream may have more
than can be counted without holding up other callers. It is cut between fields (an encoded message may be: its parts add
up to the whole), and each part is counted and parsed in a turn of its own.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar

from anyio.lowlevel import checkpoint
from google.protobuf.message import DecodeError

from actors.bounds import IMPORT_MESSAGE_LINES_MAX, LINES_MAX
from rpc.messages.descriptors import Message
from rpc.messages.rules import Invalid, Violation

CALL_FIELDS_MAX = 10 * LINES_MAX  # no valid request of a call has more, its lines' fields counted too
STREAM_FIELDS_MAX = (
    IMPORT_MESSAGE_LINES_MAX + 1_000
)  # no valid message of a stream has more, at the levels where it is counted
PART_FIELDS = 2_000  # about 2 ms of work, then others are served
UNCOUNTED_BYTES_MAX = 64 * 1024  # too small to hold enough lines to matter
CALL_LEVELS = 2  # the request's fields and those of its lines

M = TypeVar("M", bound=Message)

Nested: TypeAlias = "Mapping[int, Nested]"  # by the numbers of the fields that are messages


def parse(kind: type[M], raw: bytes) -> M:
    """The request of a call, in one turn.

    Raises:
        Invalid: `raw` encodes no message of this kind, or one with more than CALL_FIELDS_MAX fields.
    """
    if len(raw) > UNCOUNTED_BYTES_MAX:
        _check_count(count_fields(raw, CALL_FIELDS_MAX + 1, _nested(kind.DESCRIPTOR, CALL_LEVELS)), CALL_FIELDS_MAX)
    try:
        return kind.FromString(raw)  # type: ignore[return-value]  # of the kind
    except DecodeError:
        raise _malformed(kind) from None


async def _others_first(size_bytes: int) -> None:
    await checkpoint()


async def parse_in_turns(
    kind: type[M], raw: bytes, levels: int, turn: Callable[[int], Awaitable[None]] = _others_first
) -> M:
    """A message of a stream, with others' turns between its parts. Cancelling it loses the message.

    Args:
        levels: how deep fields are counted: 1 at the top, 2 in what the top holds too.
        turn: waits for the turn of a part of that many bytes.

    Raises:
        Invalid: `raw` encodes no message of this kind, or one with more than STREAM_FIELDS_MAX fields, or one of its
            parts has more than a call may have.
    """
    message = kind()
    if len(raw) <= UNCOUNTED_BYTES_MAX:
        return _merged(message, raw)
    await turn(UNCOUNTED_BYTES_MAX)  # many may have come together
    fields = 0
    for part, part_fields in _parts(raw, _nested(kind.DESCRIPTOR, levels)):
        fields += part_fields
        _check_count(fields, STREAM_FIELDS_MAX)
        _merged(message, part)
        await turn(len(part))
    return message


def count_fields(raw: bytes, fields_max: int, nested: Nested) -> int:
    """How many fields an encoded message has. Counting ends at `fields_max`, and where the message is malformed."""
    fields = 0
    for _, _, more in _fields(raw, fields_max, nested):
        fields += more
        if fields >= fields_max:
            break
    return fields


def _nested(descriptor: Any, levels: int) -> Nested:
    """Which fields of a message are messages, whose fields count too, down to `levels`."""
    if levels <= 1:
        return {}
    fields = ((field.number, field.message_type) for field in descriptor.fields)
    return {number: _nested(message, levels - 1) for number, message in fields if message is not None}


def _parts(raw: bytes, nested: Nested) -> Iterator[tuple[bytes, int]]:
    """The message cut between its fields, with the number of fields of each part."""
    begin, end, fields = 0, 0, 0
    for _, end, more in _fields(raw, CALL_FIELDS_MAX + 1, nested):
        _check_count(more, CALL_FIELDS_MAX)
        fields += more
        if fields >= PART_FIELDS:
            yield raw[begin:end], fields
            begin, fields = end, 0
    if begin < len(raw):
        yield raw[begin:], fields  # with what is malformed: the parser says so


def _fields(raw: bytes, fields_max: int, nested: Nested) -> Iterator[tuple[int, int, int]]:
    """Each field of the top: where it begins and ends, and how many fields it is with those in it.

    It ends where the message is malformed. Of one field at most `fields_max` are counted.
    """
    position, end = 0, len(raw)
    try:
        while position < end:
            begin, fields = position, 1
            tag, position = _varint(raw, position)
            wire_type = tag & 7
            if wire_type == 0:  # a varint
                _, position = _varint(raw, position)
            elif wire_type == 1:  # 64 bits
                position += 8
            elif wire_type == 2:  # bytes, a string, a message
                length, position = _varint(raw, position)
                inner = nested.get(tag >> 3)
                if inner is not None:
                    fields += count_fields(raw[position : position + length], fields_max, inner)
                position += length
            elif wire_type == 5:  # 32 bits
                position += 4
            # What is left, the ends of groups, has no value of its own.
            yield begin, position, fields
    except IndexError:
        pass


def _merged(message: M, part: bytes) -> M:
    try:
        message.MergeFromString(part)
    except DecodeError:
        raise _malformed(type(message)) from None
    return message


def _malformed(kind: type[M]) -> Invalid:
    text = f"The request is not a valid {kind.DESCRIPTOR.name} message"
    return Invalid([Violation("", text)], "MALFORMED_REQUEST")


def _check_count(fields: int, fields_max: int) -> None:
    if fields > fields_max:
        raise Invalid([Violation("", f"The request has more than {fields_max} fields")], "REQUEST_TOO_LARGE")


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    """The number at `position` and where the next thing begins.

    Raises:
        IndexError: it is truncated, or longer than a 64-bit number can be.
    """
    value = 0
    for shift in range(0, 70, 7):
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise IndexError
