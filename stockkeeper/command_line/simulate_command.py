"""`stockkeeper simulate`: runs the core in a world that a seed fixes."""

from typing import Annotated, Literal

from cyclopts import Parameter

from stockkeeper.command_line.parameters import whole

SEED_MAX = 2**53  # what JSON keeps exactly


def simulate(
    *,
    seed: Annotated[int | None, whole(0, SEED_MAX)] = None,
    seeds: str = "",
    fresh: Annotated[int, whole(0)] = 0,
    regressions: Annotated[bool, Parameter(negative="")] = False,
    every_step: Annotated[bool, Parameter(negative="")] = False,
    shrink: Annotated[bool, Parameter(negative="")] = False,
    jobs: Annotated[int, whole(1, 1_024)] = 1,
    backend: Literal["trio", "asyncio"] = "trio",
    disk: Literal["memory", "sqlite", "power-cut"] = "memory",
    clients: Annotated[int | None, whole(1)] = None,
    operations: Annotated[int | None, whole(1)] = None,
    options: str = "",
    salt: str = "",
    bug: str = "",
) -> int:
    """Run the core in a simulated world, fixed by a seed, and check every answer.

    Parameters
    ----------
    seed
        Run this one and print its trace hash.
    seeds
        Run a range, as 0..5000.
    fresh
        Run this many seeds from a random place, which is printed.
    regressions
        Run every seed that ever failed.
    every_step
        Crash at every step of a small version of the seed.
    shrink
        Make a failure small before it is told.
    jobs
        Processes for a range.
    backend
        What the core runs on.
    disk
        What it writes to.
    clients
        Override the seed's number of clients.
    operations
        Override the seed's number of operations of each client.
    options
        Override anything else, as JSON.
    salt
        Gives the same world another schedule.
    bug
        Plant this bug, to see that it is caught.
    """
    from simulation.command import simulate as run  # trio comes with the extra `simulation`

    return run(
        seed=seed,
        seeds=seeds,
        fresh=fresh,
        regressions=regressions,
        every_step=every_step,
        shrink=shrink,
        jobs=jobs,
        backend=backend,
        disk=disk,
        clients=clients,
        operations=operations,
        options=options,
        salt=salt,
        bug=bug,
    )
