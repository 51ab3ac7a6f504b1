"""Organizations whose ids a careless program takes for each other, each with rows and orders of the same names."""

import asyncio
from itertools import product

import grpc
from stockkeeper_client import InventoryClient, Item, StockLine

from tests.system.servers import line
from tests.torture.scenario import Database, Finding

ORGANIZATIONS = (
    *("a", "A", "á", "a\u0301", "Á", "à", "ａ", "а", "ª", "aa", "a-a", "a_a", "a%a", "a.a", "a/a", "a\\a", "a:a"),
    *("a,a", "a;a", "a|a", "a a", "a  a", "a'a", 'a"a', "a`a", "a''a", "%", "_", "*", "?", "[a]", "a--", "$1", ":1"),
    *("a'; DROP TABLE stock; --", "{a}", "0", "00", "1", "1.0", "1e0", "null", "NULL", "ß", "ss", "SS"),
)
VARIANTS = ("v", "V", "v%", "v_", "v'", "v/w", "v\\")
WAREHOUSES = ("w", "W", "w/v")
PIECES = 100


async def tricky_organizations_stay_apart(database: Database, rounds: int, finding: Finding) -> None:
    """46 organizations with 21 rows of the same names each: each sees its own, and no order of another."""
    server = await database.serve()
    rows = list(product(VARIANTS, WAREHOUSES))
    lines: list[StockLine] = [
        line(variant, PIECES + place, warehouse, organization)
        for place, organization in enumerate(ORGANIZATIONS)
        for variant, warehouse in rows
    ]
    async with server.client(timeout_s=60) as client:
        await client.stock.import_stock(lines, request_id="one")
        while finding.rounds < rounds:
            order = f"order-{finding.rounds}"
            made = await asyncio.gather(
                *(_reserve(client, one, place, order) for place, one in enumerate(ORGANIZATIONS))
            )
            finding.problems += [problem for place in range(len(made)) for problem in await _seen(client, place, made)]
            finding.rounds += 1
    assert await server.terminate() == 0
    finding.problems += await database.audit()
    finding.notes.append(f"{len(ORGANIZATIONS)} organizations × {len(rows)} rows")


async def _reserve(client: InventoryClient, organization: str, place: int, order: str) -> str:
    """An order of one piece of the row that is the organization's turn, under the same ids as all others."""
    variant, warehouse = VARIANTS[place % len(VARIANTS)], WAREHOUSES[place % len(WAREHOUSES)]
    items: list[Item] = [{"variant_id": variant, "warehouse_id": warehouse, "quantity": 1}]
    await client.stock.receive_stock(
        organization,
        [{"variant_id": variant, "warehouse_id": warehouse, "quantity": 1}],
        request_id=f"delivery-{order}",
    )
    reserved = await client.reserve_stock(organization, order, items, idempotency_key=order)
    assert reserved.reserved_items[0].warehouse_id == warehouse, reserved
    return reserved.reservation_id


async def _seen(client: InventoryClient, place: int, made: list[str]) -> list[str]:
    organization, other = ORGANIZATIONS[place], ORGANIZATIONS[place - 1]
    problems = []
    found = [row async for row in client.stock.list_stock(organization)]
    names = {(row.variant_id, row.warehouse_id) for row in found}
    if len(found) != len(names) or names != set(product(VARIANTS, WAREHOUSES)):
        problems.append(f"{organization!r} sees {len(found)} rows: {names}")
    if {row.available_quantity for row in found} != {PIECES + place}:
        problems.append(f"{organization!r} has other figures than its own: {found}")
    reservations = {one.reservation_id async for one in client.stock.list_reservations(organization)}
    if made[place] not in reservations or reservations & (set(made) - {made[place]}):
        problems.append(f"{organization!r} sees reservations {reservations}")
    try:
        await client.stock.get_reservation(organization, made[place - 1])
        problems.append(f"{organization!r} sees a reservation of {other!r}")
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            problems.append(f"{organization!r} asks for a reservation of {other!r}: {error.code().name}")
    return problems
