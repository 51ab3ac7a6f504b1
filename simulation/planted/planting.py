"""How a bug is planted: the real code is patched while a run lasts, and nothing of it stays."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from msgspec import Struct

from simulation.faults import DiskKind
from simulation.planted.patch_watch import PatchWatch

Patches = list[tuple[object, str, Any]]


class Bug(Struct, frozen=True):
    """A way to go wrong.

    Args:
        name: in words, with underscores.
        breaks: the guarantees of which at least one must be found broken.
        what: what the code does wrong, for the table.
        patches: (object, attribute, replacement).
        disk: the disk that it shows on.
        relayed: whether it shows in worlds with relays alone.
        consumed: likewise, with a consumer.
        cells: likewise, with cells.
        raises: failures in the patches that are the bug itself; any other is a mistake of the bug's.
    """

    name: str
    breaks: tuple[str, ...]
    what: str
    patches: Callable[[], Patches]
    disk: DiskKind = "memory"
    relayed: bool = False
    consumed: bool = False
    cells: bool = False
    raises: tuple[type[Exception], ...] = ()

    @contextmanager
    def planted(self, watch: PatchWatch | None = None) -> Iterator[PatchWatch]:
        """The service has this bug within the block. What becomes of the patches is noted in `watch`."""
        watch = watch or PatchWatch(self.raises)
        with ExitStack() as stack:
            for target, attribute, replacement in self.patches():
                watched = watch.watched(f"{self.name}.{attribute}", replacement)
                stack.enter_context(mock.patch.object(target, attribute, watched))
            yield watch


BUGS: dict[str, Bug] = {}


def bug(
    what: str,
    *breaks: str,
    disk: DiskKind = "memory",
    relayed: bool = False,
    consumed: bool = False,
    cells: bool = False,
    raises: tuple[type[Exception], ...] = (),
) -> Callable[[Callable[[], Patches]], Callable[[], Patches]]:
    def register(patches: Callable[[], Patches]) -> Callable[[], Patches]:
        name = patches.__name__
        BUGS[name] = Bug(name, breaks, what, patches, disk, relayed, consumed, cells, raises)
        return patches

    return register
