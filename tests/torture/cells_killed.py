"""Three cells on one Postgres and two routers, under load, while parts of it are killed and organizations are moved."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from random import Random

from tests.torture.cell_tree import CellTree
from tests.torture.load import Load
from tests.torture.postgres_away import FALLS, log_problems
from tests.torture.scenario import Database, Finding, until
from tests.torture.stillness import Stillness

ORGANIZATIONS = [f"shop-{number}" for number in range(6)]  # some in each cell
WORKERS, PAUSE_S = 2, 0.2
KILLS = ("an owner, a router and Postgres", "an owner", "a router", "Postgres", "the move")
ANSWERS = 3  # of each organization, until a kill is over
MOVE_S = 2.0  # a move takes about as long
FULL_ROUNDS, UNDER_LOAD_S = 90, 600.0  # as many take at least that long
DEADLINE_S = 150.0  # of a call: what ends there had no answer


async def cells_survive_kills(database: Database, rounds: int, finding: Finding) -> None:
    """Kill an owner, a router, all of Postgres, or the program that moves, while it moves an organization.

    The first round kills the three at once.
    """
    tree = await CellTree.start(database)
    loads = [Load(one, one, WORKERS, PAUSE_S) for one in ORGANIZATIONS]
    took_s, stillness = dict.fromkeys(KILLS, 0.0), Stillness()
    async with stillness.watched(), _under_loads(tree, loads):
        begun_s, least_s = stillness.awake_s, UNDER_LOAD_S if rounds >= FULL_ROUNDS else 0.0
        while finding.rounds < rounds or stillness.awake_s - begun_s < least_s:
            killed = KILLS[finding.rounds % len(KILLS)]
            organization_id = ORGANIZATIONS[finding.rounds % len(ORGANIZATIONS)]
            moving = await tree.begin_move(organization_id)
            await asyncio.sleep(Random(finding.rounds).uniform(0, MOVE_S))
            killed_s = stillness.awake_s
            await _kill(killed, finding.rounds, tree, moving, database)
            await _answered([one for one in loads if one.name != organization_id])  # that one waits for its move
            took_s[killed] = max(took_s[killed], stillness.awake_s - killed_s)
            await tree.end_move(organization_id, moving)
            await tree.settle()
            await _answered(loads)
            finding.rounds += 1
        under_load_s = stillness.awake_s - begun_s
    await _take_stock(tree, loads, finding)
    served = ", ".join(f"{seconds:.1f} s after {killed}" for killed, seconds in took_s.items() if seconds)
    failed = sum(load.statuses.total() for load in loads)
    finding.notes.append(
        f"{under_load_s:.0f} s under load; {sum(load.acknowledged for load in loads):,} answers acknowledged,"
        f" {failed} calls UNAVAILABLE after all retries, {sum(load.settled for load in loads)} asked again;"
        f" {finding.rounds} moves in {tree.tries} tries; the others were served again within {served}{stillness.note}"
    )


@asynccontextmanager
async def _under_loads(tree: CellTree, loads: Sequence[Load]) -> AsyncIterator[None]:
    """Each organization has a client of its own; a call that does not end within its deadline is a problem."""
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        running = []
        for load in loads:
            client = await stack.enter_async_context(tree.server.client(timeout_s=DEADLINE_S))
            await load.prepare(client)
            running.append(tasks.create_task(load.run(client, goes_on=True)))
        try:
            yield
        finally:
            for one in running:
                one.cancel()


async def _kill(what: str, number: int, tree: CellTree, moving: asyncio.subprocess.Process, database: Database) -> None:
    turn = number // len(KILLS)
    owner, router = tree.owners[turn % len(tree.owners)], tree.routers[turn % len(tree.routers)]
    if "an owner" in what:
        owner.kill()
    if "a router" in what:
        router.kill()
    if "Postgres" in what:
        assert database.postgres is not None
        await asyncio.to_thread(FALLS[turn % len(FALLS)], database.postgres)
        await asyncio.to_thread(database.postgres.start)
    if "the move" in what:
        with suppress(ProcessLookupError):  # it was done
            moving.kill()


async def _answered(loads: Sequence[Load]) -> None:
    wanted = [load.acknowledged + ANSWERS for load in loads]

    def are_answered() -> bool:
        assert not (found := [one for load in loads for one in load.unexplained]), found
        return all(load.acknowledged >= one for load, one in zip(loads, wanted, strict=True))

    await until(are_answered, "more answers for every organization", 2 * DEADLINE_S)


async def _take_stock(tree: CellTree, loads: Sequence[Load], finding: Finding) -> None:
    async with tree.server.client(timeout_s=DEADLINE_S) as client:
        for load in loads:
            await load.settle(client)
            finding.problems += [f"{load.name}: {one}" for one in await load.problems(client)]
    finding.problems += log_problems(tree.server)
    if status := await tree.server.terminate():
        finding.problems.append(f"the tree ends with {status}")
    finding.problems += await tree.problems()
