"""Durable reservations a second against no-op calls on the same gRPC stack: `python -m bench.throughput`.

One client process drives one server process with closed-loop callers; both share the machine, so the ratio says more
than the figures. Rounds alternate, medians are reported. Writes `bench/results/throughput.json`.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path

import grpc
import psutil
from inventory import InventoryClient
from inventory.v1 import inventory_pb2 as pb
from inventory.v1.inventory_pb2_grpc import InventoryServiceStub

from bench.machine import describe
from bench.startup import RESULTS, Server, start

CALLERS = 64
ROUND_S = 4.0
ROUNDS = 3
NOOP = """
import asyncio, grpc
from inventory.v1 import inventory_pb2 as pb

async def main():
    server = grpc.aio.server()
    answer = pb.ReserveStockResponse(success=True).SerializeToString()
    async def noop(request, context):
        return answer
    handler = grpc.unary_unary_rpc_method_handler(noop)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
        "inventory.v1.InventoryService", {"ReserveStock": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print("noop listens on 127.0.0.1:%d now" % port, flush=True)
    await server.wait_for_termination()

asyncio.run(main())
"""

Workload = Callable[[InventoryServiceStub, int], Awaitable[object]]


async def start_noop() -> Server:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", NOOP, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    return Server(process, int(line.split(" listens on ")[1].split(" ")[0].rpartition(":")[2]), 0.0)


async def drive(server: Server, workload: Workload, orders: Iterator[int]) -> dict[str, float]:
    """Closed-loop callers for a round. Returns calls a second, latencies, and the server's CPU a thousand calls."""
    latencies: list[float] = []
    process = psutil.Process(server.process.pid)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = InventoryServiceStub(channel)
        await workload(stub, next(orders))
        cpu, begin = sum(process.cpu_times()[:2]), time.perf_counter()

        async def caller() -> None:
            while (sent := time.perf_counter()) - begin < ROUND_S:
                await workload(stub, next(orders))
                latencies.append(time.perf_counter() - sent)

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        elapsed = time.perf_counter() - begin
        cpu = sum(process.cpu_times()[:2]) - cpu
    latencies.sort()
    return {
        "calls_per_s": len(latencies) / elapsed,
        "p50_ms": latencies[len(latencies) // 2] * 1_000,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1_000,
        "server_cpu_s_per_1000": cpu / len(latencies) * 1_000,
    }


def reserve(variants: int) -> Workload:
    """An order of two lines; hot: of the same four rows, spread: of many."""

    async def call(stub: InventoryServiceStub, number: int) -> None:
        items = [
            pb.ReservationItem(
                variant_id=f"v{(number * 7919 + line * 104_729) % variants}", warehouse_id="w1", quantity=1
            )
            for line in range(2)
        ]
        request = pb.ReserveStockRequest(organization_id="org_1", order_id=f"order-{number}", items=items)
        answer = await stub.ReserveStock(request)
        assert answer.success

    return call


async def check(stub: InventoryServiceStub, number: int) -> None:
    """A question about one row."""
    request = pb.CheckAvailabilityRequest(
        organization_id="org_1", variant_id=f"v{number % 10_000}", warehouse_id="w1", quantity=1
    )
    assert (await stub.CheckAvailability(request)).available


async def main() -> None:
    orders = count()
    with tempfile.TemporaryDirectory() as directory:
        noop, server = await start_noop(), await start(Path(directory) / "stock.db")
        async with InventoryClient("127.0.0.1", server.port, breaker=False) as client:
            lines = [
                {"organization_id": "org_1", "variant_id": f"v{n}", "warehouse_id": "w1", "total_quantity": 100_000_000}
                for n in range(10_000)
            ]
            await client.stock.import_stock(lines)
        systems: dict[str, tuple[Server, Workload]] = {
            "noop": (noop, reserve(10_000)),
            "reserve_spread": (server, reserve(10_000)),
            "reserve_hot": (server, reserve(4)),
            "check": (server, check),
        }
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in systems}
        for _ in range(ROUNDS):
            for name, (target, workload) in systems.items():
                rounds[name].append(await drive(target, workload, orders))
        await server.stop()
        await noop.stop()
    medians = {
        name: {figure: round(statistics.median(one[figure] for one in each), 3) for figure in each[0]}
        for name, each in rounds.items()
    }
    ceiling = medians["noop"]["calls_per_s"]
    ratios = {name: round(one["calls_per_s"] / ceiling, 3) for name, one in medians.items()}
    result = {"machine": describe(), "callers": CALLERS, "medians": medians, "ratio_to_noop": ratios}
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=2)
    (RESULTS / "throughput.json").write_text(text + "\n")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    asyncio.run(main())
