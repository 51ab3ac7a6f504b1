"""Activations by key: what is in memory now.

Two generations stand in for timestamps: what is used moves to the young one; a sweep drops whatever is still in
the old one, if it is quiet, and makes the young one old. So an activation unused for one to two sweep intervals
is passivated. A use costs one look-up. A directory that is full looks at a few of those used least lately with each
that is added, and a sweep goes in steps: 100,000 looks in one turn are a tenth of a second, and so is their memory when
it is given back.

The directory decides what goes; an actor never stops itself. Removal is "remove if it is still this one", so a
late wish to drop an activation cannot hit its successor.
"""

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from msgspec import Struct


class Activation(Protocol):
    """What a directory needs to know of what it holds."""

    @property
    def is_quiet(self) -> bool:
        """It is not in use, nothing in it is undecided, and the database has all that it knows."""
        ...


K = TypeVar("K")
A = TypeVar("A", bound=Activation)

LOOKS_AN_ADDITION = 4  # more than one, so that a directory that was full of what is in use shrinks again
LOOKS_A_TURN = 1_000  # about a millisecond


class DirectoryStatistics(Struct, frozen=True):
    """Counts since the start."""

    activations: int
    passivated: int


class Directory(Generic[K, A]):
    """A bounded map of activations.

    Args:
        activations_max: beyond this, quiet activations are dropped at once. Those in use are never dropped, so what
            is in use may exceed it; the bound on calls under way bounds that.
    """

    def __init__(self, activations_max: int) -> None:
        self._activations_max = activations_max
        self._young: dict[K, A] = {}
        self._old: dict[K, A] = {}
        # The old ones, the least recent last. To ask the dict for its first key again and again would be quadratic: it
        # walks over the places of those that were popped (10 us a reservation beside 20,000 orders).
        self._to_look_at: list[K] = []
        self._passivated = 0

    def __repr__(self) -> str:
        return f"<Directory young={len(self._young)} old={len(self._old)}>"

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    @property
    def is_beyond_bound(self) -> bool:
        """Whether there are more than `activations_max`, as there may be while they are in use."""
        return len(self) > self._activations_max

    def get(self, key: K) -> A | None:
        """The activation of this key, if there is one; counts as a use."""
        activation = self._young.get(key)
        if activation is None and self._old:
            activation = self._old.pop(key, None)
            if activation is not None:
                self._young[key] = activation
        return activation

    def add(self, key: K, activation: A) -> list[A]:
        """Register an activation. Returns what was passivated to make room."""
        assert key not in self._young
        assert key not in self._old
        is_full = len(self._young) + len(self._old) >= self._activations_max
        passivated = self.passivate(LOOKS_AN_ADDITION) if is_full else []
        self._young[key] = activation
        return passivated

    def remove(self, key: K, activation: A) -> None:
        """Drop this activation, unless another one has taken its place."""
        for generation in (self._young, self._old):
            if generation.get(key) is activation:
                del generation[key]

    def sweep(self, looks_a_turn: Callable[[], int] = lambda: LOOKS_A_TURN) -> Iterator[list[A]]:
        """Passivate what was not used since the last sweep and is quiet, a millisecond of it at each step.

        Others may have their turn between the steps.
        """
        generation = self._old
        while self._old is generation:
            yield self.passivate(looks_a_turn())

    def passivate(self, looks_max: int) -> list[A]:
        """Passivate the quiet ones among the `looks_max` that were used least lately. Returns them."""
        passivated = []
        looks = 0
        while looks < looks_max and self._to_look_at:
            key = self._to_look_at.pop()
            activation = self._old.pop(key, None)
            if activation is None:
                continue  # it was used again, or removed
            looks += 1
            if activation.is_quiet:
                passivated.append(activation)
            else:
                self._young[key] = activation
        if not self._old:
            self._old, self._young = self._young, {}
            self._to_look_at = [*reversed(self._old)]
        self._passivated += len(passivated)
        return passivated

    def compact(self) -> None:
        """Give back the room of what is gone. A sweep that is under way ends."""
        self._young, self._old = dict(self._young), dict(self._old)

    def activations(self) -> list[A]:
        """All of them, least recently used generation first."""
        return [*self._old.values(), *self._young.values()]

    def statistics(self) -> DirectoryStatistics:
        return DirectoryStatistics(len(self), self._passivated)
