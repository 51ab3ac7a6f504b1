"""Quantities are digits and nothing else. What `int` accepts beside them (`1_000`, ` 5`, `²`, `0x10`) was meant as
something else, and is refused with what was read.
"""

from actors.bounds import INT32_MAX

_DIGITS_MAX = 18  # more than any bound here has; `int` itself refuses more than 4,300


def whole_number(text: str, minimum: int = 0, maximum: int = INT32_MAX) -> int:
    """The number that the digits say: `whole_number("12")` is 12.

    Raises:
        ValueError: it is none, or out of range. The text says what was read.
    """
    if text.isascii() and text.isdecimal() and len(text.lstrip("0")) <= _DIGITS_MAX:
        number = int(text)
        if minimum <= number <= maximum:
            return number
    raise ValueError(f"must be a whole number from {minimum:,} to {maximum:,} in digits alone, not {text!r}")
