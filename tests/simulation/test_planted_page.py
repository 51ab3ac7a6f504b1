"""The page of planted bugs speaks of all there are, and of no other."""

import re
from pathlib import Path

from simulation.planted.bugs import BUGS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "planted-bugs.md"


def test_the_page_lists_every_planted_bug() -> None:
    listed = re.findall(r"^\| ([a-z0-9_]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed[1:]) == sorted(BUGS)  # the first is the heading
