"""PostgreSQL that fails over under two servers: three nodes that Patroni keeps, and the primary killed or cut off.

Every commit waits for a second node (`synchronous_mode_strict`), so nothing that was acknowledged may be lost. One
server reaches the nodes by the network on which they reach each other, the other one by a second network. Where the
primary is cut off from its cluster alone, that one goes on to reach it, and must not acknowledge what is lost with it.
"""

import asyncio
from dataclasses import replace

from stockkeeper_client import InventoryClient

from tests.patroni_cluster import PatroniCluster, patroni_cluster
from tests.system.servers import ServerProcess
from tests.torture.load import Load
from tests.torture.postgres_away import log_problems
from tests.torture.scenario import Database, Finding, is_serving, take_stock, until
from tests.torture.stillness import Stillness

WORKERS, PAUSE_S = 6, 0.05
ANSWERS = 60
DEADLINE_S = 240.0  # of a call: what ends there had no answer
PATIENCE_S = 480.0  # a busy machine's leases run out time and again
HOWS = ("kill -9", "a cut network", "kill -9", "a network cut from the cluster alone")
MAY_BE_LOST = '"acknowledged_may_be_lost"'


async def postgres_fails_over(database: Database, rounds: int, finding: Finding) -> None:
    """Kill the primary, cut its network, or cut it from the other nodes alone: another node is the primary then."""
    cluster_at = patroni_cluster(synchronous=True)
    cluster = await asyncio.to_thread(cluster_at.__enter__)
    try:
        await _fail_over(replace(database, given_url=cluster.url()), cluster, rounds, finding)
    finally:
        await asyncio.to_thread(cluster_at.__exit__, None, None, None)


async def _fail_over(database: Database, cluster: PatroniCluster, rounds: int, finding: Finding) -> None:
    load, stillness = Load(workers=WORKERS, pause_s=PAUSE_S), Stillness()
    servers = [
        await database.serve(url=cluster.url(side), log=f"server-{side}", options=["--standby"]) for side in (1, 0)
    ]
    took_s = dict.fromkeys(HOWS, 0.0)
    ports = f"ipv4:127.0.0.1:{servers[0].port},127.0.0.1", servers[1].port
    async with stillness.watched(), InventoryClient(*ports, timeout_s=DEADLINE_S, breaker=False) as client:
        await load.prepare(client)
        running = asyncio.create_task(load.run(client, goes_on=True))
        while finding.rounds < rounds:
            how = HOWS[finding.rounds % len(HOWS)]
            await _answered(load, ANSWERS)
            old = await asyncio.to_thread(cluster.until_primary)
            began_s = stillness.awake_s
            await asyncio.to_thread(_take_away, how, cluster, old)
            await asyncio.to_thread(cluster.until_primary, old)
            await _answered(load, ANSWERS)
            took_s[how] = max(took_s[how], stillness.awake_s - began_s)
            finding.rounds += 1
            if finding.rounds < rounds:
                await asyncio.to_thread(_give_back, how, cluster, old)
        await _answered(load, ANSWERS)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    serving = await _serving(servers)
    finding.problems += await take_stock(database, serving, load)
    for server in (*(one for one in servers if one is not serving), serving):
        if status := await server.terminate():
            finding.problems.append(f"a server ends with {status}")
        finding.problems += log_problems(server)
        if MAY_BE_LOST in server.log.read_text():
            finding.problems.append("a server says that what is acknowledged may be lost")
    served = ", ".join(f"{seconds:.0f} s after {how}" for how, seconds in took_s.items() if seconds)
    finding.notes.append(
        f"{load.acknowledged:,} answers acknowledged, {load.settled} asked again; {load.statuses.total()} calls failed"
        f" after all retries; served again within {served}{stillness.note}"
    )


def _take_away(how: str, cluster: PatroniCluster, node: int) -> None:
    match how:
        case "kill -9":
            cluster.kill(node)
        case "a cut network":
            cluster.network.cut(node)
        case _:
            cluster.network.cut(node, [0])


def _give_back(how: str, cluster: PatroniCluster, node: int) -> None:
    if how == "kill -9":
        cluster.start(node)
    else:
        cluster.network.join(node)
    cluster.until_whole()


async def _answered(load: Load, more: int) -> None:
    wanted = load.acknowledged + more

    def is_answered() -> bool:
        assert not load.unexplained, load.unexplained
        return load.acknowledged >= wanted

    await until(is_answered, f"{more} more answers", PATIENCE_S)


async def _serving(servers: list[ServerProcess]) -> ServerProcess:
    found = list[ServerProcess]()

    async def one_serves() -> bool:
        for server in servers:
            async with server.client() as client:
                if await is_serving(client):
                    found.append(server)
        return bool(found)

    await until(one_serves, "a server serves", PATIENCE_S)
    return found[0]
