"""An organization has 10,000 warehouses at most: whatever would make another one is refused as a whole."""

import pytest

from actors.commands import CountedLine, DeliveryLine, Import, Receive
from actors.outcomes import RequestIdReused
from actors.queries import ListWarehouses
from actors.warehouse_outcomes import TooManyWarehouses
from supervisor.activations import warehouse_registry
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, available, bring
from tests.core.test_goods import refusal_of
from tests.core.test_staged_imports import import_staged, staged
from tests.core.test_warehouses import upsert

pytestmark = pytest.mark.anyio

FULL = {("a", "w1"): 1, ("a", "w2"): 1}


@pytest.fixture(autouse=True)
def two_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warehouse_registry, "WAREHOUSES_MAX", 2)


def counts(*warehouses: str, organization: str = ORGANIZATION) -> tuple[CountedLine, ...]:
    named = enumerate(warehouses, 1)
    return tuple(CountedLine(organization, "a", one, f"of {one}", 5, 0, 0, 0, 0, number) for number, one in named)


async def warehouses_of(core: Supervisor, organization: str = ORGANIZATION) -> list[str]:
    page = await core.answer(ListWarehouses(organization)).wait()
    return [one.warehouse_id for one in page.warehouses]


async def test_what_would_make_one_too_many_is_refused_and_remembered(world: World) -> None:
    async with world.core() as core:
        await bring(core, FULL)
        one_more, two_more = TooManyWarehouses(ORGANIZATION, 3), TooManyWarehouses(ORGANIZATION, 4)
        assert await refusal_of(core, upsert("w3", "u-3")) == one_more
        delivery = Receive(ORGANIZATION, (DeliveryLine("a", "w1", 1), DeliveryLine("a", "w3", 1)), "d-1")
        assert await refusal_of(core, delivery) == one_more
        assert await refusal_of(core, Import(counts("w1", "w3", "w4"), "i-1")) == two_more
    async with world.core() as core:
        assert await available(core) == FULL
        assert await warehouses_of(core) == ["w1", "w2"]
        assert await refusal_of(core, Import(counts("w1", "w3", "w4"), "i-1")) == two_more
        assert await refusal_of(core, Import(counts("w1"), "i-1")) == RequestIdReused("i-1")


async def test_a_large_import_is_refused_before_its_lines_are_looked_at(world: World) -> None:
    async with world.core() as core:
        await bring(core, FULL)
        upload = await staged(core, counts("w1", "w3"), "upload")
        assert await refusal_of(core, upload.whole("i-1")) == TooManyWarehouses(ORGANIZATION, 3)
        await core.ask(upload.dropped())
        assert await available(core) == FULL
        await import_staged(core, counts("w1", "w2"), "i-2")
        assert await available(core) == {("a", "w1"): 5, ("a", "w2"): 5}


async def test_what_there_is_already_and_other_organizations_go_on(world: World) -> None:
    async with world.core() as core:
        await bring(core, FULL)
        await core.ask(upsert("w2", "u-1", is_active=False))
        await core.ask(Receive(ORGANIZATION, (DeliveryLine("b", "w1", 1), DeliveryLine("b", "w2", 1)), "d-1"))
        await core.ask(Import((*counts("w1", "w2"), *counts("w8", "w9", organization="org_2")), "i-1"))
        assert await warehouses_of(core, "org_2") == ["w8", "w9"]
