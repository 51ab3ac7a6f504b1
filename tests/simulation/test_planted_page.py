"""The page of planted bugs speaks of all there are, and of no other; each of them replaces code that there is."""

import re
from pathlib import Path

from simulation.planted.bugs import BUGS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "planted-bugs.md"


def test_the_page_lists_every_planted_bug() -> None:
    listed = re.findall(r"^\| ([a-z0-9_]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed[1:]) == sorted(BUGS)  # the first is the heading


def test_every_planted_bug_replaces_something_that_is_there() -> None:
    missing = [
        (bug.name, attribute)
        for bug in BUGS.values()
        for target, attribute, _ in bug.patches()
        if not hasattr(target, attribute)
    ]
    assert missing == []
