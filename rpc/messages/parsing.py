"""Bytes become messages here: what is no message is the caller's mistake, and is called so.

An empty line takes 2 bytes encoded but 60 parsed: 50 MB of them would take 1.4 GB, and hold the event loop for
6 s. Hence large messages have their fields counted before they are parsed.
"""

from typing import TypeVar, cast

from google.protobuf.message import DecodeError

from actors.bounds import IMPORT_LINES_MAX
from rpc.messages.descriptors import Message
from rpc.messages.rules import Invalid, Violation

FIELDS_MAX = IMPORT_LINES_MAX + 1_000  # no valid request has more fields at its top level
UNCOUNTED_BYTES_MAX = 64 * 1024  # too small to hold enough lines to matter

M = TypeVar("M", bound=Message)


def parse(kind: type[M], raw: bytes, levels: int = 1) -> M:
    """The message of this kind that `raw` encodes.

    Args:
        levels: how deep fields are counted: 1 at the top, 2 in what the top holds too.

    Raises:
        Invalid: it encodes none, or one with more than FIELDS_MAX fields.
    """
    if len(raw) > UNCOUNTED_BYTES_MAX and count_fields(raw, FIELDS_MAX + 1, levels) > FIELDS_MAX:
        raise Invalid([Violation("", f"The request has more than {FIELDS_MAX} fields")], "REQUEST_TOO_LARGE")
    try:
        return cast(M, kind.FromString(raw))
    except DecodeError:
        text = f"The request is not a valid {kind.DESCRIPTOR.name} message"
        raise Invalid([Violation("", text)], "MALFORMED_REQUEST") from None


def count_fields(raw: bytes, fields_max: int, levels: int = 1) -> int:
    """How many fields an encoded message has, down to `levels`.

    Counting ends at `fields_max`, and where the message is malformed. Below the top a text is counted as if it were a
    message: that is what the encoding cannot tell.
    """
    fields, position, end = 0, 0, len(raw)
    try:
        while position < end and fields < fields_max:
            tag, position = _varint(raw, position)
            wire_type = tag & 7
            fields += 1
            if wire_type == 0:  # a varint
                _, position = _varint(raw, position)
            elif wire_type == 1:  # 64 bits
                position += 8
            elif wire_type == 2:  # bytes, a string, a message
                length, position = _varint(raw, position)
                if levels > 1:
                    fields += count_fields(raw[position : position + length], fields_max - fields, levels - 1)
                position += length
            elif wire_type == 5:  # 32 bits
                position += 4
            # What is left, the ends of groups, has no value of its own.
    except IndexError:
        pass  # malformed: the parser will say so
    return fields


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
