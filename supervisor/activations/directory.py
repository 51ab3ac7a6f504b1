"""Activations by key: what is in memory now.

Two generations stand in for timestamps: what is used moves to the young one; a sweep drops whatever is still in
the old one, if it is quiet, and makes the young one old. So an activation unused for one to two sweep intervals
is passivated, and a directory that grows past its bound sweeps at once. A use costs one look-up.

The directory decides what goes; an actor never stops itself. Removal is "remove if it is still this one", so a
late wish to drop an activation cannot hit its successor.
"""

from itertools import islice
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
        self._generation_max = max(1, activations_max // 2)
        self._young: dict[K, A] = {}
        self._old: dict[K, A] = {}
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
        passivated = self.sweep() if len(self._young) >= self._generation_max else []
        self._young[key] = activation
        return passivated

    def remove(self, key: K, activation: A) -> None:
        """Drop this activation, unless another one has taken its place."""
        for generation in (self._young, self._old):
            if generation.get(key) is activation:
                del generation[key]

    def sweep(self) -> list[A]:
        """Passivate what was not used since the last sweep and is quiet. Returns it."""
        passivated = []
        for key, activation in self._old.items():
            if activation.is_quiet:
                passivated.append(activation)
            else:
                self._young[key] = activation
        self._old, self._young = self._young, {}
        self._passivated += len(passivated)
        return passivated

    def trim(self, looks_max: int) -> bool:
        """If there are more than the bound, passivate the quiet ones among the `looks_max` that were used least lately.

        Returns whether there are still more than the bound; all of them may be in use.
        """
        if not self.is_beyond_bound:
            return False
        if not self._old:
            self._old, self._young = self._young, {}
        for key in list(islice(self._old, looks_max)):
            activation = self._old.pop(key)
            if activation.is_quiet:
                self._passivated += 1
            else:
                self._young[key] = activation
        return self.is_beyond_bound

    def activations(self) -> list[A]:
        """All of them, least recently used generation first."""
        return [*self._old.values(), *self._young.values()]

    def statistics(self) -> DirectoryStatistics:
        return DirectoryStatistics(len(self), self._passivated)
