"""The page of planted bugs speaks of all there are, and of no other."""

import re
from pathlib import Path

from simulation.planted.bugs import BUGS, SEEDS_MAX

PAGE = Path(__file__).resolve().parents[2] / "docs" / "planted-bugs.md"


def test_the_page_lists_every_planted_bug_and_says_of_each_that_it_is_caught() -> None:
    rows = re.findall(r"^\| ([a-z0-9_]+) \| .* \| (\d+) \| \d+ of \d+ \| .*[a-z].* \|$", PAGE.read_text(), re.MULTILINE)
    assert [name for name, _ in rows] == list(BUGS)
    assert [name for name, seeds in rows if not 0 < int(seeds) <= SEEDS_MAX] == []
