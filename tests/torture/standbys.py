"""Two servers of one database: one serves, the other stands by, and takes over however the first one goes."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from stockkeeper_client import InventoryClient

from tests.system.servers import ServerProcess
from tests.torture.cut_proxy import CutProxy
from tests.torture.load import Load
from tests.torture.postgres_away import log_problems, refusal_problems
from tests.torture.scenario import Database, Finding, acknowledged, is_serving, take_stock, under_load, until

SERVES_AGAIN_S = 5.0
FEW_ROUNDS = 3  # as `make test` has them, beside other tests that take the cores


@dataclass
class Pair:
    """Two servers, each with a way of its own to the database."""

    database: Database
    proxies: list[CutProxy] = field(default_factory=list)
    servers: list[ServerProcess] = field(default_factory=list)
    owner: int = 0  # the place of the one that serves
    starts: int = 0

    @property
    def serving(self) -> ServerProcess:
        return self.servers[self.owner]

    @property
    def other(self) -> ServerProcess:
        return self.servers[1 - self.owner]

    async def begin(self) -> None:
        assert self.database.postgres is not None
        for place in range(2):
            self.proxies.append(CutProxy(self.database.postgres.socket))
            await self.proxies[place].start()
            self.servers.append(await self.start(place))

    async def start(self, place: int, port: int = 0) -> ServerProcess:
        self.starts += 1
        url = self.proxies[place].url
        log = f"server-{place}-{self.starts}"
        return await self.database.serve(url=url, port=port, log=log, options=["--standby"])

    async def start_again(self, place: int) -> None:
        """A server that ended comes back to its address."""
        self.servers[place] = await self.start(place, self.servers[place].port)

    async def end(self) -> list[str]:
        """Stop the standby and then the owner, in order."""
        statuses = [await one.terminate() for one in (self.other, self.serving)]
        for proxy in self.proxies:
            await proxy.stop()
        return [f"the servers end with {statuses}"] if any(statuses) else []


async def serves(server: ServerProcess, expected: bool = True) -> bool:
    async with server.client() as client:
        return await is_serving(client, expected)


async def a_standby_takes_over(database: Database, rounds: int, finding: Finding) -> None:
    """Kill the owner, stop it, or cut its network, in turn: the standby serves, and the other never again by itself."""
    pair, load = Pair(database), Load()
    await pair.begin()
    async with pair.serving.client() as client:
        await load.prepare(client)
    took_s: dict[str, list[float]] = {}
    while finding.rounds < rounds:
        how = ("kill -9", "SIGSTOP", "a cut network")[finding.rounds % 3]
        finding.problems += await refusal_problems(pair.other)
        async with under_load(load, pair.serving, goes_on=True):
            await acknowledged(load, 100)
            begin_s = time.monotonic()
            await _take_away(how, pair)
            async with pair.other.client() as client:
                await until(lambda: is_serving(client), f"the standby serves after {how}")
                took_s.setdefault(how, []).append(time.monotonic() - begin_s)
                async with under_load(load, pair.other, goes_on=True):
                    await acknowledged(load, 100)
                    await _give_back(how, pair)  # it still has what its callers asked meanwhile
                    await acknowledged(load, 100)
        pair.owner = 1 - pair.owner
        finding.problems += await take_stock(database, pair.serving, load)
        finding.problems += log_problems(pair.other) + log_problems(pair.serving)
        finding.rounds += 1
    finding.problems += await pair.end()
    if rounds > FEW_ROUNDS:
        finding.problems += [
            f"the standby served only {max(times):.1f} s after {how}"
            for how, times in took_s.items()
            if max(times) > SERVES_AGAIN_S
        ]
    longest = ", ".join(f"{max(times):.1f} s after {how}" for how, times in took_s.items())
    finding.notes.append(
        f"{load.acknowledged:,} answers acknowledged, {load.settled} asked again; served again {longest}"
    )


async def _take_away(how: str, pair: Pair) -> None:
    match how:
        case "kill -9":
            await pair.serving.kill()
        case "SIGSTOP":
            pair.serving.process.send_signal(signal.SIGSTOP)
        case _:
            pair.proxies[pair.owner].cut()


async def _give_back(how: str, pair: Pair) -> None:
    """Let the old owner go on: it must stand by, and no call that it took may be answered as if it served."""
    old, waits = pair.serving, _waits(pair.serving)
    match how:
        case "kill -9":
            await pair.start_again(pair.owner)
            old, waits = pair.serving, 0
        case "SIGSTOP":
            old.process.send_signal(signal.SIGCONT)
        case _:
            pair.proxies[pair.owner].mend()
    await until(lambda: _waits(old) > waits, "the old owner stands by")
    await until(lambda: serves(old, False), "the old owner says NOT_SERVING")


def _waits(server: ServerProcess) -> int:
    """How often it has stood by."""
    return server.log.read_text().count('"standing_by"')


@asynccontextmanager
async def by_both_addresses(pair: Pair) -> AsyncIterator[InventoryClient]:
    """A client that knows both servers, and asks the one that says that it serves."""
    first, second = pair.servers
    address = f"ipv4:127.0.0.1:{first.port},127.0.0.1"
    async with InventoryClient(address, second.port, timeout_s=15, breaker=False) as client:
        yield client


async def servers_are_restarted_in_turn(database: Database, rounds: int, finding: Finding) -> None:
    """Restart both servers one after the other under load, by SIGTERM: no call fails but with UNAVAILABLE."""
    pair, load = Pair(database), Load()
    await pair.begin()
    async with pair.serving.client() as client:
        await load.prepare(client)
    gaps_s = []
    async with by_both_addresses(pair) as client:
        running = asyncio.create_task(load.run(client, goes_on=True))
        while finding.rounds < rounds:
            await acknowledged(load, 100)
            begin_s = time.monotonic()
            if status := await pair.serving.terminate():
                finding.problems.append(f"the owner ends with status {status}")
            await until(lambda: serves(pair.other), "the standby serves")
            await acknowledged(load, 1)
            gaps_s.append(time.monotonic() - begin_s)
            await pair.start_again(pair.owner)
            pair.owner = 1 - pair.owner
            await acknowledged(load, 100)
            finding.rounds += 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    finding.problems += await take_stock(database, pair.serving, load)
    finding.problems += [problem for server in pair.servers for problem in log_problems(server)]
    finding.problems += await pair.end()
    failed = "; ".join(f"{count} {status}" for status, count in sorted(load.statuses.items())) or "none"
    finding.notes.append(
        f"{load.acknowledged:,} answers acknowledged; calls that failed after all retries: {failed};"
        f" served again within {max(gaps_s):.1f} s"
    )
