"""Who asked for a change stands in the journal with it, on every path; the service's own changes have none."""

import anyio
import pytest

from actors.basket_commands import ReserveBasket, Wish
from actors.commands import (
    Adjust,
    Adjustment,
    Announce,
    CallersCommand,
    Confirm,
    CountedLine,
    Deduct,
    Delete,
    DeliveryLine,
    Fulfill,
    Import,
    Line,
    Receive,
    Release,
    Reserve,
)
from actors.records import Origin
from actors.warehouse_commands import LevelsLine, SetLevels, SetSourcing, UpsertWarehouse
from rpc.messages.origins import attributed
from tests.core.conftest import ORGANIZATION, World, reserve

pytestmark = pytest.mark.anyio

ANA = Origin("ana", "checkout-7")
LINES = (Line("v", "w", 1),)


def commands(reservation: str) -> list[CallersCommand]:
    return [
        Import((CountedLine(ORGANIZATION, "v", "w", "", 20, 0, 0, 0, 0, 1),), "i"),
        Receive(ORGANIZATION, (DeliveryLine("v", "w", 5), DeliveryLine("u", "w", 1)), "r"),
        Announce(ORGANIZATION, LINES, "a"),
        Deduct(ORGANIZATION, (Line("u", "w", 1),), "d"),
        Adjust(ORGANIZATION, (Adjustment("v", "w", "delta", -1),), "j"),
        Delete(ORGANIZATION, "u", "w", "x"),
        UpsertWarehouse(ORGANIZATION, "w", "Main", None, None, None, "n"),
        SetLevels(ORGANIZATION, (LevelsLine("v", "w", 1, None, None),), "l"),
        SetSourcing(ORGANIZATION, "priority", "p"),
        ReserveBasket(ORGANIZATION, "order-3", (Wish("v", (), 1),), 15, False, False, "b"),
        Reserve(ORGANIZATION, "order", LINES, 15, "k"),
        Reserve(ORGANIZATION, "order-2", LINES, 15),
        Confirm(ORGANIZATION, reservation, "first"),
        Fulfill(ORGANIZATION, reservation, "f", ""),
    ]


async def test_each_change_of_a_caller_names_it(world: World) -> None:
    async with world.core() as core:
        await core.ask(commands("")[0])
        first = await reserve(core, "first", ("v", "w", 1))
        for command in commands(first.reservation_id)[1:]:
            begun = len(world.disk.transactions)
            await core.ask(attributed(command, ANA))
            assert [one.origin for one in world.disk.transactions[begun:]] == [ANA], command
        second = await reserve(core, "second", ("v", "w", 1))
        await core.ask(Release(ORGANIZATION, second.reservation_id, "x", origin=ANA))
    assert [one.origin for one in world.disk.transactions if one.kind == "release"] == [ANA]
    assert [one.origin for one in world.disk.transactions[:2]] == [None, None]


async def test_an_expiry_is_nobodys(world: World) -> None:
    async with world.core() as core:
        await core.ask(commands("")[0])
        await core.ask(Reserve(ORGANIZATION, "order", LINES, 1, "", ANA))
        world.time.now_s += 61
        with anyio.fail_after(30):
            while world.disk.transactions[-1].kind != "expire":  # noqa: ASYNC110 - the disk does not tell
                await anyio.sleep(0.001)
    assert world.disk.transactions[-1].origin is None
