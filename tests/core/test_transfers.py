"""Transfers as the core sees them: shipped, received in parts, closed, cancelled; once, and durable."""

from typing import Any

import anyio
import pytest

from actors.bounds import INT32_MAX
from actors.commands import Announce, DeliveryLine, Line, Receive
from actors.outcomes import (
    Alternative,
    InsufficientStock,
    QuantityTooLarge,
    Refused,
    RequestIdReused,
    Shortage,
    StockNotFound,
    TooLargeRow,
)
from actors.queries import GetTransfer, ListTransfers
from actors.records import Delta
from actors.transfer_commands import ArrivedLine, CancelTransfer, ReceiveTransfer, ShippedLine, ShipTransfer
from actors.transfer_outcomes import (
    Excess,
    MoreThanSent,
    TransferCancelled,
    TransferExists,
    TransferIsClosed,
    TransferNotFound,
    TransferReceived,
    TransferShipped,
    WarehouseNotFound,
)
from actors.transfer_records import TransferLine, TransferRecord
from actors.turn import run
from actors.two_phase import Prepared
from actors.variant_stock import Pinned
from actors.views import TransferFound
from actors.warehouse_outcomes import ClosedRow, WarehouseInactive
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, bring, reserve
from tests.core.test_goods import figures, refusal_of
from tests.core.test_warehouses import close

pytestmark = pytest.mark.anyio


def ship(*lines: tuple[str, int], request_id: str = "s-1", transfer_id: str = "t1", **ends: str) -> ShipTransfer:
    sender, destination = ends.get("sender", "w1"), ends.get("destination", "w2")
    shipped = tuple(ShippedLine(*line) for line in lines)
    organization = ends.get("organization", ORGANIZATION)
    return ShipTransfer(organization, transfer_id, sender, destination, shipped, request_id, "why", "van 7")


def arrive(
    *lines: ArrivedLine, request_id: str = "r-1", transfer_id: str = "t1", close: bool = False
) -> ReceiveTransfer:
    return ReceiveTransfer(ORGANIZATION, transfer_id, lines, close, request_id, "unloaded", "note 8")


def cancel(request_id: str = "c-1", transfer_id: str = "t1", organization: str = ORGANIZATION) -> CancelTransfer:
    return CancelTransfer(organization, transfer_id, request_id, "van broke down")


async def transfer_of(core: Supervisor, command: Any) -> TransferRecord:
    fact = await core.ask(command)
    assert isinstance(fact, TransferShipped | TransferReceived | TransferCancelled)
    return fact.transfer


async def test_goods_leave_one_warehouse_and_are_in_transit_at_the_other(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("a", "w2"): 1, ("b", "w1"): 4})
        sent = await transfer_of(core, ship(("a", 3), ("b", 4), ("a", 1)))
        assert (sent.state, sent.lines) == ("in_transit", (TransferLine("a", 4), TransferLine("b", 4)))
        assert await figures(core, "a") == [(6, 0, 0, 0), (1, 0, 0, 4)]
        assert await figures(core, "b") == [(0, 0, 0, 0), (0, 0, 0, 4)]  # the row was made
        entry = world.disk.transactions[-1]
        assert (entry.kind, entry.reason, entry.reference, len(entry.changes)) == ("ship_transfer", "why", "van 7", 4)


async def test_it_is_received_in_parts_with_what_is_damaged_and_missing(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("b", "w1"): 4, ("c", "w2"): 0})
        await core.ask(ship(("a", 6), ("b", 4)))
        part = await transfer_of(core, arrive(ArrivedLine("a", 2, 1)))
        assert (part.state, part.lines) == ("in_transit", (TransferLine("a", 6, 2, 1), TransferLine("b", 4)))
        assert (await figures(core, "a"))[1] == (2, 0, 1, 3)
    async with world.core() as core:
        more = arrive(ArrivedLine("a", 1, 0, 1), ArrivedLine("b", 4), request_id="r-2")
        assert (await transfer_of(core, more)).state == "in_transit"
        over = await transfer_of(core, arrive(close=True, request_id="r-3"))
        assert (over.state, over.lines) == ("received", (TransferLine("a", 6, 3, 1, 2), TransferLine("b", 4, 4)))
        assert (await figures(core, "a"))[1] == (3, 0, 1, 0)
        assert over.ended_at_ms == world.disk.transactions[-1].at_ms
        assert await core.ask(more) == TransferReceived(await transfer_of(core, more))  # a retry changes nothing
        assert await refusal_of(core, arrive(request_id="r-2", close=True)) == RequestIdReused("r-2")
        for late in (arrive(ArrivedLine("a", 1), request_id="r-4"), cancel()):
            assert await refusal_of(core, late) == TransferIsClosed("t1", "received")


async def test_it_is_over_when_the_last_piece_is_accounted_for(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 3, ("a", "w2"): 0})
        await core.ask(ship(("a", 3)))
        assert (await transfer_of(core, arrive(ArrivedLine("a", 2, 0, 1)))).state == "received"


async def test_a_cancellation_gives_back_what_has_not_come(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("b", "w1"): 2, ("a", "w2"): 0})
        await core.ask(ship(("a", 6), ("b", 2)))
        await core.ask(arrive(ArrivedLine("a", 2, 1)))
        gone = await transfer_of(core, cancel())
        assert (gone.state, gone.lines) == ("cancelled", (TransferLine("a", 6, 2, 1), TransferLine("b", 2)))
        assert await figures(core, "a") == [(7, 0, 0, 0), (2, 0, 1, 0)]
        assert (await figures(core, "b"))[0] == (2, 0, 0, 0)
        assert await core.ask(cancel()) == TransferCancelled(gone)
        assert await refusal_of(core, cancel("c-2")) == TransferIsClosed("t1", "cancelled")


async def test_a_cancellation_leaves_alone_what_else_is_on_its_way(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("a", "w2"): 0})
        await core.ask(Announce(ORGANIZATION, (Line("a", "w2", 7),), "a-1"))
        await core.ask(ship(("a", 6)))
        await core.ask(arrive(ArrivedLine("a", 2)))
        await core.ask(cancel())
        assert await figures(core, "a") == [(8, 0, 0, 0), (2, 0, 0, 7)]


async def test_more_than_is_on_its_way_is_refused_and_all_of_it_named(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("b", "w1"): 2, ("a", "w2"): 0})
        await core.ask(ship(("a", 6), ("b", 2)))
        await core.ask(arrive(ArrivedLine("a", 4)))
        wrong = arrive(ArrivedLine("a", 2, 1), ArrivedLine("b", 2), ArrivedLine("c", 1), request_id="r-2")
        assert await refusal_of(core, wrong) == MoreThanSent("t1", (Excess("a", 6, 2, 3), Excess("c", 0, 0, 1)))
        assert (await figures(core, "b"))[1] == (0, 0, 0, 2)


async def test_a_shipment_that_cannot_be_made_is_refused(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 5, ("b", "w1"): 1, ("a", "w2"): INT32_MAX - 3, ("c", "w3"): 1})
        await reserve(core, "o1", ("a", "w1", 2))
        cases = {
            ship(("a", 1), destination="w9", sender="w8"): WarehouseNotFound(("w8", "w9")),
            ship(("a", 4), ("b", 1), destination="w3"): InsufficientStock(
                (Shortage("a", "w1", 4, 3, (Alternative("w2", INT32_MAX - 3),)),)
            ),
            ship(("d", 1), destination="w3"): StockNotFound("d", "w1"),
            ship(("a", 3), ("b", 1)): None,
            ship(("b", 1), sender="w1", destination="w3", organization="org_2"): WarehouseNotFound(("w1", "w3")),
        }
        for number, (command, refusal) in enumerate(cases.items()):
            if refusal is not None:
                assert await refusal_of(core, ship_again(command, f"x-{number}")) == refusal
        await core.ask(Receive(ORGANIZATION, (DeliveryLine("a", "w2", 2),), "d-1"))
        too_large = QuantityTooLarge((TooLargeRow("a", "w2", INT32_MAX + 1),))
        assert await refusal_of(core, ship(("a", 2), request_id="x-8")) == too_large
        await close(core, "w3")
        closed = WarehouseInactive((ClosedRow("a", "w3"),))
        assert await refusal_of(core, ship(("a", 1), destination="w3", request_id="x-9")) == closed
        assert await figures(core, "a") == [(3, 2, 0, 0), (INT32_MAX - 1, 0, 0, 0)]
        assert await refusal_of(core, cancel()) == TransferNotFound("t1")
        await close(core, "w1")
        await core.ask(ship(("a", 1), request_id="x-10"))  # a closed warehouse may be emptied
        assert await refusal_of(core, ship(("b", 1), request_id="x-11")) == TransferExists("t1")
        assert await refusal_of(core, cancel("c-9", organization="org_2")) == TransferNotFound("t1")


def ship_again(command: ShipTransfer, request_id: str) -> ShipTransfer:
    lines = [(line.variant_id, line.quantity) for line in command.lines]
    ends = {"sender": command.from_warehouse_id, "destination": command.to_warehouse_id}
    return ship(*lines, request_id=request_id, organization=command.organization_id, **ends)


async def test_what_a_delivery_drew_down_is_not_missed(world: World) -> None:
    """The goods came, and were booked as a delivery: then the transfer is received too."""
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("a", "w2"): 0})
        await core.ask(ship(("a", 6)))
        await core.ask(Receive(ORGANIZATION, (DeliveryLine("a", "w2", 4, from_in_transit=True),), "d-1"))
        await core.ask(arrive(ArrivedLine("a", 3)))
        assert (await figures(core, "a"))[1] == (7, 0, 0, 0)
        await core.ask(cancel())
        assert await figures(core, "a") == [(7, 0, 0, 0), (7, 0, 0, 0)]


@pytest.mark.parametrize("closed", ["w1", "w2"])
async def test_a_warehouse_is_closed_while_a_shipment_waits_for_a_rival(world: World, closed: str) -> None:
    answers: list[Any] = []

    async def send(core: Supervisor) -> None:
        try:
            answers.append(await core.ask(ship(("a", 4))))
        except Refused as refused:
            answers.append(refused.refusal)

    async with world.core() as core:
        await bring(core, {("a", "w1"): 5, ("a", "w2"): 1})
        inner = core._core
        assert inner is not None
        with Pinned(await run(inner.stock.load(ORGANIZATION, {"a": None}))) as variants:
            rival = await run(inner._coordinator.prepare([(variants["a"].rows["w1"], Delta(-3))]))
            assert isinstance(rival, Prepared)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send, core)
                await anyio.wait_all_tasks_blocked()
                await close(core, closed)
                assert answers == []
                rival.abort()
        if closed == "w2":
            assert answers == [WarehouseInactive((ClosedRow("a", "w2"),))]
            assert await figures(core, "a") == [(5, 0, 0, 0), (1, 0, 0, 0)]
        else:  # a closed warehouse may be emptied
            assert isinstance(answers[0], TransferShipped)
            assert await figures(core, "a") == [(1, 0, 0, 0), (1, 0, 0, 4)]


async def test_receipts_and_a_cancellation_at_once_give_every_piece_once(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("a", "w2"): 0})
        await core.ask(ship(("a", 10)))

        async def ask(command: Any) -> None:
            try:
                await core.ask(command)
            except Refused as refused:
                assert isinstance(refused.refusal, TransferIsClosed | MoreThanSent)

        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(ask, arrive(ArrivedLine("a", 3), request_id=f"r-{number}"))
            tasks.start_soon(ask, cancel())
        [(there, *_), (here, *_)] = await figures(core, "a")
        assert there + here == 10


async def test_transfers_are_found_and_listed_newest_first_and_to_their_organization_alone(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("a", "w2"): 5, ("a", "w3"): 5})
        for number, (sender, destination) in enumerate((("w1", "w2"), ("w2", "w3"), ("w1", "w3"))):
            world.time.now_s += 1
            made = await transfer_of(
                core, ship(("a", 1), request_id=f"s-{number}", transfer_id="", sender=sender, destination=destination)
            )
            assert made.transfer_id.startswith("id-")
        await core.ask(cancel(transfer_id=made.transfer_id))
        page = await core.answer(ListTransfers(ORGANIZATION)).wait()
        third, second, first = page.transfers
        assert (third.state, third.transfer_id, page.next_mark) == ("cancelled", made.transfer_id, None)
        assert await core.answer(GetTransfer(ORGANIZATION, first.transfer_id)).wait() == TransferFound(first)
        assert await core.answer(GetTransfer("org_2", first.transfer_id)).wait() == TransferFound(None)
        assert (await core.answer(ListTransfers("org_2")).wait()).transfers == ()
        page = await core.answer(ListTransfers(ORGANIZATION, limit=2)).wait()
        assert (page.transfers, page.next_mark) == ((third, second), (second.shipped_at_ms, second.transfer_id))
        page = await core.answer(ListTransfers(ORGANIZATION, before=page.next_mark, limit=2)).wait()
        assert (page.transfers, page.next_mark) == ((first,), None)
        page = await core.answer(ListTransfers(ORGANIZATION, "in_transit", "w2")).wait()
        assert page.transfers == (second, first)
