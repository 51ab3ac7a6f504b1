"""kill -9 of the server, at any moment of a mixed load."""

from tests.torture.load import Load
from tests.torture.scenario import HASTY, Database, Finding, acknowledged, take_stock, under_load, until


async def kill_the_server(database: Database, rounds: int, finding: Finding) -> None:
    """Kill a server under a mixed load, start it again, and repeat every question."""
    load = Load()
    server = await database.serve(HASTY)
    async with server.client() as client:
        await load.prepare(client)
    while finding.rounds < rounds:
        async with under_load(load, server):
            await acknowledged(load, 150 + 37 * (finding.rounds % 7))
            await server.kill()
        server = await database.serve(HASTY)
        finding.problems += await take_stock(database, server, load)
        finding.rounds += 1
    async with server.client() as client:
        await until(lambda: load.has_expired(client), "a reservation that expires")
    if (status := await server.terminate()) != 0:
        finding.problems.append(f"the last server ended with status {status}")
    finding.notes.append(
        f"{load.acknowledged:,} answers acknowledged, {load.settled} calls without one, {load.expired} expiries"
    )
