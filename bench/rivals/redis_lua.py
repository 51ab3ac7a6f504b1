"""Redis and one Lua script an order; with `--coalesce` orders that come together go in one pipeline.

Without it each call awaits its own reply, as a client of redis is mostly used; then every reply wakes the loop.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import redis
import redis.asyncio
from stockkeeper_client.v1 import inventory_pb2 as pb

from bench.rivals.frame import InsufficientStock, answer, expiry, new_id, run, serve, wanted
from bench.rivals.frame import arguments as read_arguments

# KEYS: the order, the reservation, then the stock rows. ARGV: reservation id, order id, expiry, then the quantities,
# then variants and warehouses for the items. Everything is checked before anything is changed.
SCRIPT = """
local known = redis.call('GET', KEYS[1])
if known then
    local reservation = 'reservation:' .. known
    return {known, redis.call('HGET', reservation, 'items'), redis.call('HGET', reservation, 'until')}
end
local count = #KEYS - 2
local before = {}
for i = 1, count do
    before[i] = tonumber(redis.call('HGET', KEYS[i + 2], 'available') or '-1')
    if before[i] < tonumber(ARGV[i + 3]) then
        return {'', KEYS[i + 2], ''}
    end
end
local items = {}
for i = 1, count do
    local quantity = tonumber(ARGV[i + 3])
    redis.call('HINCRBY', KEYS[i + 2], 'available', -quantity)
    redis.call('HINCRBY', KEYS[i + 2], 'reserved', quantity)
    items[i] = {ARGV[count + 3 + i], ARGV[2 * count + 3 + i], quantity, before[i]}
end
local encoded = cjson.encode(items)
redis.call('SET', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], 'order', ARGV[2], 'state', 'active', 'until', ARGV[3], 'items', encoded)
return {ARGV[1], encoded, ARGV[3]}
"""
Evaluate = Callable[[Sequence[str], Sequence[str | int]], Awaitable[Any]]


def stock_key(organization_id: str, variant_id: str, warehouse_id: str) -> str:
    return f"stock:{organization_id}:{warehouse_id}:{variant_id}"


class Coalesced:
    """Gathers orders in one turn of the event loop, and while no pipeline is free: one write, one reply and one sync
    for many orders.

    Args:
        pipelines_max: how many may be under way.
    """

    def __init__(self, client: Any, sha: str, pipelines_max: int) -> None:
        self._client = client
        self._sha = sha
        self._free = pipelines_max
        self._is_due = False
        self._gathered: list[tuple[Sequence[str], Sequence[str | int], asyncio.Future[Any]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Coalesced gathered={len(self._gathered)} free={self._free} tasks={len(self._tasks)}>"

    async def evaluate(self, keys: Sequence[str], values: Sequence[str | int]) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._gathered.append((keys, values, future))
        if self._free and not self._is_due:
            self._is_due = True
            loop.call_soon(self._start)
        return await future

    def _start(self) -> None:
        self._is_due = False
        self._free -= 1
        task = asyncio.get_running_loop().create_task(self._run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        while self._gathered:
            gathered, self._gathered = self._gathered, []
            try:
                pipeline = self._client.pipeline(transaction=False)
                for keys, values, _ in gathered:
                    pipeline.evalsha(self._sha, len(keys), *keys, *values)
                replies = await pipeline.execute(raise_on_error=False)
            except redis.RedisError as error:
                replies = [error] * len(gathered)
            for (_, _, future), reply in zip(gathered, replies, strict=True):
                if future.cancelled():
                    continue
                if isinstance(reply, Exception):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)
        self._free += 1


async def main() -> None:
    coalesce = "--coalesce" in sys.argv
    if coalesce:
        sys.argv.remove("--coalesce")
    options = read_arguments()
    pool = redis.asyncio.BlockingConnectionPool.from_url(options.url, max_connections=options.pool, timeout=None)
    client = redis.asyncio.Redis(connection_pool=pool)
    sha = await client.script_load(SCRIPT)
    evaluate: Evaluate
    if coalesce:
        evaluate = Coalesced(client, sha, options.pool).evaluate
    else:

        async def evaluate(keys: Sequence[str], values: Sequence[str | int]) -> Any:
            return await client.evalsha(sha, len(keys), *keys, *values)

    async def reserve(request: pb.ReserveStockRequest) -> pb.ReserveStockResponse:
        lines, organization_id, reservation_id = wanted(request), request.organization_id, new_id()
        rows = [stock_key(organization_id, *key) for key, _ in lines]
        keys = [f"order:{organization_id}:{request.order_id}", f"reservation:{reservation_id}", *rows]
        values: list[str | int] = [reservation_id, request.order_id, expiry(request).isoformat()]
        values += [quantity for _, quantity in lines]
        values += [variant_id for (variant_id, _), _ in lines]
        values += [warehouse_id for (_, warehouse_id), _ in lines]
        found, items, until = await evaluate(keys, values)
        if not found:
            raise InsufficientStock(items.decode())
        return answer(found.decode(), datetime.fromisoformat(until.decode()), json.loads(items))

    await serve("redis", reserve)


def make(url: str, organization_id: str, warehouse_id: str, variants: Sequence[str], pieces: int) -> None:
    """Set the pieces of each variant."""
    with redis.Redis.from_url(url) as client:
        pipeline = client.pipeline(transaction=False)
        for variant_id in variants:
            key = stock_key(organization_id, variant_id, warehouse_id)
            pipeline.hset(key, mapping={"available": pieces, "reserved": 0})
        pipeline.execute()


def held(url: str) -> tuple[int, int, Counter[str]]:
    """Reservations, their items, and the reserved pieces of each variant."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        reserved: Counter[str] = Counter()
        for key in client.scan_iter("stock:*", count=1_000):
            if pieces := int(client.hget(key, "reserved")):
                reserved[key.rpartition(":")[2]] = pieces
        reservations = items = 0
        for key in client.scan_iter("reservation:*", count=1_000):
            reservations += 1
            items += sum(item[2] for item in json.loads(client.hget(key, "items")))
        return reservations, items, reserved


if __name__ == "__main__":
    run(main())
