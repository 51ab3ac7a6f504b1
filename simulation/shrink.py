"""Make a failure small: fewer faults, fewer clients, fewer operations, as long as the same guarantee is broken.

A smaller world has another schedule, so each candidate gets a few salts before the search drops it.
"""

from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from simulation.faults import RATES, Options
from simulation.runner import Result

SALTS = ("", "a", "b", "c")

Run = Callable[[Options, str], Result]


class Shrunk(Struct, frozen=True):
    """The smallest failure, the salt that it fails with, and how many runs it took to find."""

    result: Result
    salt: str
    runs: int


class Shrinker:
    """Looks for the smallest failing options.

    Args:
        run: runs options with a salt.
        guarantee: must still be broken.
        runs_max: bounds the search.
        progress: called with every smaller failure.
    """

    def __init__(self, run: Run, guarantee: str, runs_max: int, progress: Callable[[Result], None]) -> None:
        self._run = run
        self._guarantee = guarantee
        self._runs_max = runs_max
        self._progress = progress
        self._runs = 0

    def __repr__(self) -> str:
        return f"<Shrinker of {self._guarantee} runs={self._runs} of {self._runs_max}>"

    def shrink(self, failing: Result) -> Shrunk:
        """The smallest failure that `runs_max` runs find."""
        best, salt = failing, ""
        for stage in (_without_faults, _fewer_clients, _fewer_operations, _without_operations, _smaller_shop):
            best, salt = self._stage(stage, best, salt)
        return Shrunk(best, salt, self._runs)

    def _stage(self, stage: Callable[[Result], Iterator[Options]], best: Result, salt: str) -> tuple[Result, str]:
        while self._runs < self._runs_max:
            for candidate in stage(best):
                found = self._try(candidate)
                if found is not None:
                    best, salt = found
                    self._progress(best)
                    break
            else:
                return best, salt
        return best, salt

    def _try(self, options: Options) -> tuple[Result, str] | None:
        for salt in SALTS:
            if self._runs >= self._runs_max:
                return None
            self._runs += 1
            result = self._run(options, salt)
            if any(violation.guarantee == self._guarantee for violation in result.violations):
                return result, salt
        return None


def _without_faults(best: Result) -> Iterator[Options]:
    options = best.options
    for name in RATES:
        if getattr(options, name):
            yield replace(options, **{name: 0.0})
    if options.stall:
        yield replace(options, stall="")
    for name in ("wall_jumps", "second_owners", "keep_s", "hurry", "rounds_s"):
        if getattr(options, name):
            yield replace(options, **{name: 0})
    for step in options.crash_steps:
        yield replace(options, crash_steps=tuple(other for other in options.crash_steps if other != step))


def _fewer_clients(best: Result) -> Iterator[Options]:
    clients = best.options.clients
    for fewer in sorted({clients // 2, clients - 1}):
        if 0 < fewer < clients:
            yield replace(best.options, clients=fewer)


def _fewer_operations(best: Result) -> Iterator[Options]:
    operations = best.options.operations
    for fewer in sorted({operations // 2, operations * 3 // 4, operations - 1}):
        if 0 < fewer < operations:
            yield replace(best.options, operations=fewer)


def _without_operations(best: Result) -> Iterator[Options]:
    """Delta debugging (Zeller and Hildebrandt, 2002), in pieces that get smaller."""
    options = best.options
    left = [
        (client, number)
        for client in range(options.clients)
        for number in range(options.operations)
        if (client, number) not in options.skipped
    ]
    size = max(1, len(left) // 2)
    while size:
        for begin in range(0, len(left), size):
            yield replace(options, skipped=(*options.skipped, *left[begin : begin + size]))
        size //= 2


def _smaller_shop(best: Result) -> Iterator[Options]:
    for name in ("organizations", "variants", "warehouses", "pieces"):
        if getattr(best.options, name) > 1:
            yield replace(best.options, **{name: getattr(best.options, name) - 1})
