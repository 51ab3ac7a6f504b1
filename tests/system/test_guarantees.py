"""The guarantees over a real socket, with concurrent clients, against the real program on a real SQLite file."""

import asyncio
import random
import sys
from pathlib import Path

import grpc
import pytest
from stockkeeper_client import Item, error_details

from tests.system.servers import ORGANIZATION, ROOT, audit, figures, line, running_server

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True, params=["0", "2"], ids=["one-process", "front-ends"])
def frontends(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every server of this file, with gRPC in its own process and in others."""
    monkeypatch.setenv("GRPC_FRONTENDS", request.param)


BUYER = """
import asyncio, sys
import grpc
from stockkeeper_client import InventoryClient

async def main(port, name):
    sold = 0
    async with InventoryClient("127.0.0.1", port, timeout_s=30, breaker=False) as client:
        async def buy(number):
            nonlocal sold
            try:
                await client.reserve_stock("org_1", f"{name}-{number}", [{"variant_id": "hot", "quantity": 1}])
                sold += 1
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                    raise
        await asyncio.gather(*(buy(number) for number in range(100)))
    print(sold)

asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
"""


async def test_g1_a_hot_row_is_sold_from_many_processes_to_exactly_zero(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line("hot", 250)])

        async def buyer(name: str) -> int:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", BUYER, str(server.port), name), stdout=asyncio.subprocess.PIPE, cwd=ROOT
            )
            out, _ = await process.communicate()
            assert process.returncode == 0
            return int(out)

        sold = await asyncio.gather(*(buyer(f"buyer{number}") for number in range(5)))
        assert sum(sold) == 250
        assert await figures(client) == {("hot", "w1"): (0, 250)}
    audit(tmp_path / "stock.db")


async def test_g2_g5_opposed_orders_leave_every_row_as_it_began(tmp_path: Path) -> None:
    rows = {(f"v{n}", w): (8, 0) for n in range(6) for w in ("w1", "w2")}
    seed = random.Random(7)
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line(variant, total, w) for (variant, w), (total, _) in rows.items()])

        async def order(number: int) -> None:
            chosen = seed.sample(sorted(rows), seed.randint(1, 5))
            items: list[Item] = [
                {"variant_id": v, "warehouse_id": w if number % 2 else "", "quantity": 1 + number % 3}
                for v, w in chosen
            ]
            try:
                reserved = await client.reserve_stock(ORGANIZATION, f"o{number}", items)
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
                assert error_details(error).reason == "INSUFFICIENT_STOCK"
                return
            assert len(reserved.reserved_items) == len(items)
            await client.release_reservation(ORGANIZATION, reserved.reservation_id, "test")

        await asyncio.gather(*(order(number) for number in range(400)))
        assert await figures(client) == rows
    audit(tmp_path / "stock.db")


async def test_g5_orders_that_fit_together_are_never_refused(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line("a", 200), line("b", 200)])
        orders = [
            client.reserve_stock(
                ORGANIZATION, f"o{n}", [{"variant_id": v, "quantity": 1} for v in ("ab" if n % 2 else "ba")]
            )
            for n in range(200)
        ]
        await asyncio.gather(*orders)
        assert await figures(client) == {("a", "w1"): (0, 200), ("b", "w1"): (0, 200)}


async def test_g6_fifty_concurrent_tries_of_one_order_make_one_reservation_also_after_a_restart(
    tmp_path: Path,
) -> None:
    items: list[Item] = [{"variant_id": "a", "quantity": 2}]
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line("a", 100)])
        answers = await asyncio.gather(*(client.reserve_stock(ORGANIZATION, "o1", items) for _ in range(50)))
        assert all(answer == answers[0] for answer in answers)
        confirmed = await client.confirm_reservation(ORGANIZATION, answers[0].reservation_id, "o1")
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        assert await client.reserve_stock(ORGANIZATION, "o1", items) == answers[0]
        assert await client.confirm_reservation(ORGANIZATION, answers[0].reservation_id, "o1") == confirmed
        assert await figures(client) == {("a", "w1"): (98, 2)}


async def test_g6_a_remembered_refusal_is_given_again_after_stock_came_and_after_a_restart(tmp_path: Path) -> None:
    items: list[Item] = [{"variant_id": "a", "quantity": 2}]
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line("a", 1)])
        with pytest.raises(grpc.aio.AioRpcError) as first:
            await client.reserve_stock(ORGANIZATION, "o1", items, idempotency_key="k1")
        await client.stock.receive_stock(
            ORGANIZATION, [{"variant_id": "a", "warehouse_id": "w1", "quantity": 5}], request_id="d1"
        )
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        with pytest.raises(grpc.aio.AioRpcError) as again:
            await client.reserve_stock(ORGANIZATION, "o1", items, idempotency_key="k1")
        assert again.value.details() == first.value.details() == "Insufficient stock for variant a"
        await client.stock.receive_stock(
            ORGANIZATION, [{"variant_id": "a", "warehouse_id": "w1", "quantity": 5}], request_id="d1"
        )
        await client.reserve_stock(ORGANIZATION, "o1", items)
        assert await figures(client) == {("a", "w1"): (4, 2)}


async def test_g2_two_lines_on_one_row_are_summed_and_an_order_of_592_lines_works(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line(f"v{n}", 5) for n in range(592)])
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "v0", "quantity": 3}] * 2)
        details = error_details(refused.value)
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "6" in details.precondition_violations[0].description
        items: list[Item] = [{"variant_id": f"v{n}", "quantity": 1 + n % 5} for n in range(592)]
        reserved = await client.reserve_stock(ORGANIZATION, "o2", items)
        assert len(reserved.reserved_items) == 592
        released = await client.release_reservation(ORGANIZATION, reserved.reservation_id, "test")
        assert (released.items_released, released.total_quantity_released) == (592, sum(1 + n % 5 for n in range(592)))
        assert set((await figures(client)).values()) == {(5, 0)}


async def test_g10_a_client_that_gives_up_at_any_instant_leaves_no_hold(tmp_path: Path) -> None:
    seed = random.Random(3)
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line("a", 10), line("b", 10)])
        items: list[Item] = [{"variant_id": v, "quantity": 10} for v in "ab"]
        for number in range(150):
            call = asyncio.create_task(client.reserve_stock(ORGANIZATION, f"o{number}", items))
            for _ in range(seed.randint(0, 12)):
                await asyncio.sleep(0)
            if number % 3 == 0:
                await asyncio.sleep(seed.random() / 200)  # far enough to be on the wire, or decided
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            reserved = await client.reserve_stock(ORGANIZATION, f"o{number}", items)
            await client.release_reservation(ORGANIZATION, reserved.reservation_id, "test")
        assert await figures(client) == {("a", "w1"): (10, 0), ("b", "w1"): (10, 0)}
    audit(tmp_path / "stock.db")


async def test_g10_calls_under_way_at_a_shutdown_are_answered(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client(timeout_s=10) as client:
        await client.stock.import_stock([line("a", 1_000)])
        calls = [
            asyncio.create_task(client.reserve_stock(ORGANIZATION, f"o{n}", [{"variant_id": "a", "quantity": 1}]))
            for n in range(300)
        ]
        await asyncio.sleep(0.02)
        assert await server.terminate() == 0
        answers = await asyncio.gather(*calls, return_exceptions=True)
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        assert all(
            isinstance(failure, grpc.aio.AioRpcError) and failure.code() is grpc.StatusCode.UNAVAILABLE
            for failure in failures
        ), failures
        acknowledged = [answer for answer in answers if not isinstance(answer, BaseException)]
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        found = {r.reservation_id async for r in client.stock.list_reservations(ORGANIZATION)}
        assert {answer.reservation_id for answer in acknowledged} <= found


async def test_g11_organizations_never_see_each_other(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line("a", 5), line("a", 7, organization_id="org_2")])
        reserved = await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "a", "quantity": 5}])
        await client.reserve_stock("org_2", "o1", [{"variant_id": "a", "quantity": 7}])
        for call in (
            client.confirm_reservation("org_2", reserved.reservation_id, "o1"),
            client.release_reservation("org_2", reserved.reservation_id, "mine"),
            client.stock.fulfill_reservation("org_2", reserved.reservation_id),
            client.stock.extend_reservation("org_2", reserved.reservation_id),
            client.stock.amend_reservation("org_2", reserved.reservation_id, [{"variant_id": "a", "quantity": 1}]),
            client.stock.reacquire_reservation("org_2", reserved.reservation_id),
            client.stock.get_reservation("org_2", reserved.reservation_id),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        assert not (await client.get_stock_info("org_3", "a")).stock_info
        assert [r.order_id async for r in client.stock.list_reservations("org_3")] == []
        assert await figures(client) == {("a", "w1"): (0, 5)}
        assert await figures(client, "org_2") == {("a", "w1"): (0, 7)}
