"""Each process that runs tests begins with its share of the long ones."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import dealt


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
@pytest.mark.parametrize("long", [range(0), range(5, 12), range(20)])
def test_all_tests_are_dealt_once_and_the_long_ones_lie_first_in_each_part(processes: int, long: range) -> None:
    items: Any = [
        SimpleNamespace(number=number, get_closest_marker=lambda _, number=number: number in long or None)
        for number in range(20)
    ]
    dealt_out: Any = dealt(items, processes)
    order = [item.number for item in dealt_out]
    assert sorted(order) == list(range(20))
    begin = 0
    for process in range(processes):  # as `--dist worksteal` parts them
        end = begin + (20 - begin) // (processes - process)
        are_long = [number in long for number in order[begin:end]]
        assert are_long == sorted(are_long, reverse=True)
        assert abs(sum(are_long) - len(long) / processes) < 1
        begin = end
