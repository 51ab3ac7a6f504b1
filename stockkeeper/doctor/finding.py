"""What a look has found."""

from typing import Literal

from msgspec import Struct

Level = Literal["ok", "advice", "problem"]


class Finding(Struct, frozen=True):
    """One thing that was looked at.

    Args:
        name: of what was looked at.
        level: `ok`; `advice`: it runs, and could be safer; `problem`: it does not run, or may lose something.
        found: a sentence without its full stop.
        advice: what to do, in sentences; empty where nothing need be done.
    """

    name: str
    level: Level
    found: str
    advice: str = ""


def ok(name: str, found: str) -> Finding:
    return Finding(name, "ok", found)


def advise(name: str, found: str, advice: str) -> Finding:
    return Finding(name, "advice", found, advice)


def problem(name: str, found: str, advice: str) -> Finding:
    return Finding(name, "problem", found, advice)
