"""The rules that single values keep, and the exception that says which values did not.

A check here costs a fraction of a microsecond where the value is good: `str.isprintable` accepts almost every
real id in one call to C, and only what it turns down is looked at character by character.
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from actors.bounds import ID_CHARACTERS_MAX, INT32_MAX, NOTE_CHARACTERS_MAX

ID_RULE = f"must have 1 to {ID_CHARACTERS_MAX} characters and no control characters"
NEW_ID_RULE = f"must have 1 to {ID_CHARACTERS_MAX} characters, none of them invisible, and no blank at either end"
OPTIONAL_ID_RULE = f"must be empty, or have at most {ID_CHARACTERS_MAX} characters and no control characters"
NOTE_RULE = f"must have at most {NOTE_CHARACTERS_MAX} characters and no control characters"
INSTANT_RULE = "must be empty, or a time such as 2026-01-31T12:00:00Z"
QUANTITY_RULE = f"must be 1 to {INT32_MAX}"
FIGURE_RULE = f"must be 0 to {INT32_MAX}"


class Violation(NamedTuple):
    """A field of a request, as a path like `items[3].quantity`, and the rule that it breaks."""

    field: str
    description: str


class Invalid(Exception):
    """The request is wrong in itself, whatever the state of the inventory. It carries every violation found.

    Args:
        violations: at least one.
        reason: one word in capitals for machines.
    """

    def __init__(self, violations: Sequence[Violation], reason: str = "INVALID_REQUEST") -> None:
        assert violations
        super().__init__(violations)
        self.violations = violations
        self.reason = reason


def is_id(text: str) -> bool:
    """Whether it is 1 to 128 characters without control characters."""
    return 0 < len(text) <= ID_CHARACTERS_MAX and (text.isprintable() or _is_clean(text))


def is_new_id(text: str) -> bool:
    """Whether a row may be made under this id, which does not look like another: no blanks at its ends, and nothing
    that is not seen.

    Only what makes rows asks this: whatever was made under an older rule can still be named.
    """
    return is_id(text) and text == text.strip() and (text.isascii() or not any(map(_is_invisible, text)))


def is_note(text: str) -> bool:
    """Whether it is at most 512 characters, possibly none, without control characters."""
    return len(text) <= NOTE_CHARACTERS_MAX and (text.isprintable() or _is_clean(text))


def read_instant(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 time.

    Raises:
        ValueError: it is none.
    """
    if not _RFC_3339.fullmatch(text):
        raise ValueError(text)
    at = datetime.fromisoformat(text)
    return (at - _EPOCH) // timedelta(milliseconds=1)


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Letters, marks and symbols that are blank or not drawn at all (Unicode's Default_Ignorable_Code_Point, and Braille's
# blank); all other invisible characters have a category of their own.
_NOT_DRAWN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def _is_invisible(character: str) -> bool:
    is_blank = character != " " and unicodedata.category(character) in ("Cf", "Zs", "Zl", "Zp")
    return is_blank or _NOT_DRAWN.match(character) is not None


def _is_clean(text: str) -> bool:
    # Surrogates (Cs) cannot arrive as UTF-8, but as JSON inside a page token they can, and no database takes them.
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
