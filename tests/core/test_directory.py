"""What a directory lets go, and how much of it at a time."""

from collections.abc import Callable

import pytest
from msgspec import Struct

from supervisor.activations.directory import LOOKS_A_TURN, LOOKS_AN_ADDITION, Directory


class FakeActivation(Struct):
    is_quiet: bool = True


def directory_of(count: int, bound: int) -> Directory[int, FakeActivation]:
    directory: Directory[int, FakeActivation] = Directory(bound)
    for key in range(count):
        directory.add(key, FakeActivation())
    return directory


def test_a_full_directory_looks_at_a_few_with_each_that_is_added_and_stays_full_at_most() -> None:
    directory: Directory[int, FakeActivation] = Directory(100)
    sizes = []
    for key in range(1_000):
        assert len(directory.add(key, FakeActivation())) <= LOOKS_AN_ADDITION
        sizes.append(len(directory))
    assert max(sizes) <= 101
    assert min(sizes[100:]) >= 25


def test_what_is_used_again_and_again_stays() -> None:
    directory = directory_of(1, 100)
    for key in range(1, 1_000):
        directory.add(key, FakeActivation())
        assert directory.get(0) is not None


def test_what_was_used_again_does_not_spare_the_others_the_look() -> None:
    directory = directory_of(100, 100)
    for key in range(100, 101):
        directory.add(key, FakeActivation())
    for key in range(90):
        directory.get(key)
    for key in range(200, 210):
        directory.add(key, FakeActivation())
        assert len(directory) <= 100


def test_those_used_least_lately_go_first() -> None:
    directory = directory_of(100, 100)
    went = [key for key in range(100) for _ in directory.add(1_000 + key, FakeActivation())]
    assert len(went) >= 97
    assert all(directory.get(key) is None for key in range(90))


def test_what_is_in_use_is_never_dropped_and_the_directory_shrinks_when_it_is_not() -> None:
    directory: Directory[int, FakeActivation] = Directory(100)
    busy = [FakeActivation(is_quiet=False) for _ in range(300)]
    for key, activation in enumerate(busy):
        assert directory.add(key, activation) == []
    assert len(directory) == 300
    for activation in busy:
        activation.is_quiet = True
    for key in range(300, 400):
        directory.add(key, FakeActivation())
    assert len(directory) <= 101


def a_sweep(directory: Directory[int, FakeActivation]) -> list[int]:
    return [len(part) for part in directory.sweep()]


def test_a_sweep_drops_what_was_not_used_since_the_last_in_small_steps() -> None:
    many = 10 * LOOKS_A_TURN
    directory = directory_of(many, 2 * many)
    assert sum(a_sweep(directory)) == 0
    for key in range(LOOKS_A_TURN):
        directory.get(key)
    steps = a_sweep(directory)
    assert sum(steps) == many - LOOKS_A_TURN
    assert max(steps) <= LOOKS_A_TURN
    assert len(directory) == LOOKS_A_TURN


def remove(directory: Directory[int, FakeActivation], key: int) -> None:
    activation = directory.get(key)
    assert activation is not None
    directory.remove(key, activation)


@pytest.mark.parametrize("meanwhile", [Directory.get, remove])
def test_others_may_use_and_remove_between_the_steps_of_a_sweep(meanwhile: Callable[..., object]) -> None:
    directory = directory_of(3 * LOOKS_A_TURN, 10 * LOOKS_A_TURN)
    a_sweep(directory)
    for number, _ in enumerate(directory.sweep()):
        if number < 2:
            meanwhile(directory, 3 * LOOKS_A_TURN - 1 - number)
        directory.add(100_000 + number, FakeActivation())
    assert all(directory.get(100_000 + number) is not None for number in range(3))
