"""What front-ends take off the owner of the database, and what they cost: `python -m bench.frontends`.

Server CPU for 1,000 durable reservations of two lines, of the owner and of the front-ends apart. The clients
share the machine with them: on few cores the calls a second say little, and the CPU says how many a core can
carry. Rounds alternate, medians are reported. Writes `bench/results/frontends.json`.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import grpc
import psutil
from stockkeeper_client import InventoryClient
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub

from bench.machine import describe

RESULTS = Path(__file__).parent / "results"
CONNECTIONS = 8
CALLERS = 64
ROUND_S = 4.0
ROUNDS = 3
VARIANTS = 10_000
PROCESSES = (0, 1, 2)


class Server:
    """A running server: the process that owns the database, and its front-ends."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port
        self.owner = psutil.Process(process.pid)
        self.frontends = self.owner.children()

    def __repr__(self) -> str:
        return f"<Server pid={self.process.pid} port={self.port} frontends={len(self.frontends)}>"

    def cpu_s(self) -> tuple[float, float]:
        """CPU time so far, in seconds: the owner's, and that of all front-ends."""
        return sum(self.owner.cpu_times()[:2]), sum(sum(one.cpu_times()[:2]) for one in self.frontends)


async def start(database: Path, frontends: int) -> Server:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stockkeeper", "serve", "--port", "0", "--frontends", str(frontends)),
        *("--database-url", f"sqlite+aiosqlite:///{database}"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    server = Server(process, int(line.split(" listens on ")[1].split(" ")[0].rpartition(":")[2]))
    async with InventoryClient("127.0.0.1", server.port, breaker=False) as client:
        await client.stock.import_stock(
            [
                {"organization_id": "org_1", "variant_id": f"v{n}", "warehouse_id": "w1", "total_quantity": 100_000_000}
                for n in range(VARIANTS)
            ]
        )
    return server


def an_order(number: int) -> pb.ReserveStockRequest:
    items = [
        pb.ReservationItem(variant_id=f"v{(number * 7919 + line * 104_729) % VARIANTS}", warehouse_id="w1", quantity=1)
        for line in range(2)
    ]
    return pb.ReserveStockRequest(organization_id="org_1", order_id=f"order-{number}", items=items)


async def drive(server: Server, orders: Iterator[int]) -> dict[str, float]:
    """Closed-loop callers for a round, over connections that the kernel deals out to the front-ends."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options) for _ in range(CONNECTIONS)]
    await asyncio.gather(*(channel.channel_ready() for channel in channels))
    stubs = [InventoryServiceStub(channel) for channel in channels]
    calls = 0
    (owner, frontends), begin = server.cpu_s(), time.perf_counter()

    async def caller(stub: InventoryServiceStub) -> None:
        nonlocal calls
        while time.perf_counter() - begin < ROUND_S:
            assert (await stub.ReserveStock(an_order(next(orders)))).success
            calls += 1

    await asyncio.gather(*(caller(stubs[number % CONNECTIONS]) for number in range(CALLERS)))
    elapsed = time.perf_counter() - begin
    owner_after, frontends_after = server.cpu_s()
    for channel in channels:
        await channel.close()
    return {
        "reservations_per_s": calls / elapsed,
        "owner_cpu_s_per_1000": (owner_after - owner) / calls * 1_000,
        "frontends_cpu_s_per_1000": (frontends_after - frontends) / calls * 1_000,
    }


async def main() -> None:
    orders = count()
    rounds: dict[int, list[dict[str, float]]] = {processes: [] for processes in PROCESSES}
    with tempfile.TemporaryDirectory() as directory:
        servers = {processes: await start(Path(directory) / f"{processes}.db", processes) for processes in PROCESSES}
        for _ in range(ROUNDS):
            for processes, server in servers.items():
                rounds[processes].append(await drive(server, orders))
        for server in servers.values():
            server.process.terminate()
            await server.process.wait()
    medians = {
        f"frontends_{processes}": {
            figure: round(statistics.median(one[figure] for one in each), 3) for figure in each[0]
        }
        for processes, each in rounds.items()
    }
    text = json.dumps({"machine": describe(), "callers": CALLERS, "medians": medians}, indent=2)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "frontends.json").write_text(text + "\n")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    asyncio.run(main())
