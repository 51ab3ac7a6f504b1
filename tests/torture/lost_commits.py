"""A COMMIT that has landed and looks failed, since its answer is lost on the way."""

import grpc
from stockkeeper_client import InventoryClient, Item
from stockkeeper_client.errors import error_details

from tests.system.servers import ORGANIZATION, line
from tests.torture.load import Load
from tests.torture.proxy import CommitProxy
from tests.torture.scenario import Database, Finding, acknowledged, is_serving, take_stock, under_load, until

PIECES = 1_000


async def commits_lose_their_answer(database: Database, rounds: int, finding: Finding) -> None:
    """Lose the answer to a lone reservation's COMMIT, then to batches under load: a retry must find what has landed."""
    assert database.postgres is not None
    proxy = CommitProxy(database.postgres.socket)
    port = await proxy.start()
    through = f"postgresql+asyncpg://postgres@127.0.0.1:{port}/postgres?sslmode=disable"
    load = Load()
    server = await database.serve(url=through)
    async with InventoryClient("127.0.0.1", server.port, timeout_s=15, retry=None, breaker=False) as client:
        await load.prepare(client)
        await client.stock.import_stock([line("alone", PIECES)])
        landed = 0
        while finding.rounds < rounds:
            if finding.rounds % 5 == 4:
                async with under_load(load, server, goes_on=True):
                    await acknowledged(load, 50)
                    await _lose_one(proxy, client)
                    await acknowledged(load, 50)
                finding.problems += await take_stock(database, server, load)
            else:
                finding.problems += await _lose_a_lone_one(proxy, client, f"alone-{landed}", landed)
                landed += 1
            finding.rounds += 1
    await server.terminate()
    await proxy.stop()
    finding.problems += await database.audit()
    finding.notes.append(f"{landed} lone reservations, {load.acknowledged:,} answers acknowledged under load")


async def _lose_one(proxy: CommitProxy, client: InventoryClient) -> None:
    lost = proxy.lost
    proxy.lose = 1
    await until(lambda: proxy.lost > lost, "a COMMIT")
    await until(lambda: is_serving(client), "health says SERVING again")


async def _lose_a_lone_one(proxy: CommitProxy, client: InventoryClient, order_id: str, before: int) -> list[str]:
    proxy.lose = 1
    items: list[Item] = [{"variant_id": "alone", "quantity": 1}]
    try:
        await client.reserve_stock(ORGANIZATION, order_id, items)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE or not error_details(error).retry_delay_s:
            return [f"{order_id} ends with {error.code().name}: {error.details()}"]
    else:
        return [f"{order_id} was answered although its COMMIT was not"]
    await until(lambda: is_serving(client), "health says SERVING again")
    found = [r.reservation_id async for r in client.stock.list_reservations(ORGANIZATION, order_id=order_id)]
    again = await client.reserve_stock(ORGANIZATION, order_id, items)
    [row] = (await client.get_stock_info(ORGANIZATION, "alone")).stock_info
    problems = []
    if found != [again.reservation_id]:
        problems.append(f"{order_id}: {found} landed, and the retry is answered {again.reservation_id}")
    if (row.reserved_quantity, row.available_quantity) != (before + 1, PIECES - before - 1):
        problems.append(f"{order_id}: {row.reserved_quantity} pieces are reserved after {before + 1} reservations")
    return problems
