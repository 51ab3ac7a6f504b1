"""What one organization has under way while others call."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from stockkeeper_client.v1.inventory_pb2 import GetStockInfoRequest, GetStockInfoResponse

from actors.reply import Reply
from rpc.call_answers import Deferred
from rpc.company import COMPANY_S, Company
from rpc.frame import Frame
from rpc.pace import CORE_PACE
from rpc.service_names import INVENTORY
from tests.rpc.test_frame import PATH, Said

pytestmark = pytest.mark.anyio


class Asked(Said):
    """A call of an organization."""

    def __init__(self, organization_id: str, host: str) -> None:
        super().__init__()
        self.organization_id = organization_id
        self.host = host

    def peer(self) -> str:
        return f"{self.host}:1"

    def receive(self, on_message: Any) -> None:
        on_message(GetStockInfoRequest(organization_id=self.organization_id).SerializeToString())


class Served:
    """A frame whose calls are begun and answered as the test says."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.frame = Frame(calls_max=1_000, company=Company(lambda: self.now_s))
        self.frame.add_service(INVENTORY, self)
        self.begun: list[tuple[str, Reply[Any]]] = []
        self.calls: list[Asked] = []

    def __getattr__(self, name: str) -> Any:
        def behave(request: GetStockInfoRequest, context: Any) -> Deferred:
            reply: Reply[Any] = Reply()
            self.begun.append((request.organization_id, reply))
            return Deferred(reply, lambda fact: GetStockInfoResponse())

        return behave

    def call(self, organization_id: str, times: int = 1, host: str = "here") -> None:
        for _ in range(times):
            self.calls.append(Asked(organization_id, host))
            self.frame.serve(PATH, self.calls[-1])  # type: ignore[arg-type]

    async def answer(self, number: int) -> None:
        self.begun[number][1].set(None)
        await asyncio.sleep(0)

    async def end(self) -> None:
        number = 0
        while number < len(self.begun):
            if not self.begun[number][1].is_done:
                await self.answer(number)
            number += 1

    @property
    def held(self) -> int:
        return self.frame.held.statistics().calls


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    one = Served()
    yield one
    await one.end()
    assert one.held == 0


async def test_alone_it_has_all_there_is(served: Served) -> None:
    served.call("flood", CORE_PACE.begun_of_one_max + 10)
    assert len(served.begun) == CORE_PACE.begun_of_one_max + 10
    assert served.held == 0


async def test_in_company_it_has_a_few_and_the_next_begins_when_one_is_answered(served: Served) -> None:
    served.call("other")
    served.call("flood", CORE_PACE.begun_of_one_max + 3)
    assert len(served.begun) == 1 + CORE_PACE.begun_of_one_max
    assert served.held == 3
    served.call("other", 2)
    assert [organization_id for organization_id, _ in served.begun[-2:]] == ["other"] * 2, "others go on at once"
    await served.answer(1)
    await served.answer(2)
    assert [organization_id for organization_id, _ in served.begun[-2:]] == ["flood"] * 2
    assert served.held == 1
    for number in range(3, 1 + CORE_PACE.begun_of_one_max):
        await served.answer(number)
    assert served.held == 0
    for number in (*range(1 + CORE_PACE.begun_of_one_max, len(served.begun)), 0):
        await served.answer(number)
    assert all(call.words == [b""] for call in served.calls)
    assert served.frame.statistics().calls_under_way == 0


async def test_one_that_gives_up_while_it_is_held_is_never_begun_and_takes_no_place(served: Served) -> None:
    served.call("other")
    served.call("flood", CORE_PACE.begun_of_one_max + 3)
    for call in served.calls[-3:-1]:
        call.over("gone")
    assert served.held == 1
    assert served.frame.statistics().calls_under_way == CORE_PACE.begun_of_one_max + 2
    await served.answer(1)
    assert len(served.begun) == 2 + CORE_PACE.begun_of_one_max
    assert served.held == 0
    served.call("flood")
    assert served.held == 1, "as many as may be are under way"


async def test_it_is_alone_again_after_a_while(served: Served) -> None:
    served.call("other")
    served.call("flood", CORE_PACE.begun_of_one_max)
    served.now_s += COMPANY_S
    served.call("flood", 5)
    assert served.held == 0
    served.call("other")
    served.call("flood", 5)
    assert served.held == 5


async def test_what_is_held_keeps_its_order_when_its_organization_is_alone_again(served: Served) -> None:
    served.call("other")
    served.call("flood", CORE_PACE.begun_of_one_max + 1)
    served.now_s += COMPANY_S
    served.call("flood")
    assert served.held == 2


def in_company(served: Served) -> None:
    """Both addresses have called. While one organization calls alone, nothing is counted by addresses."""
    served.call("other")
    served.call("first", host="there")
    served.call("other")


async def test_in_company_an_address_has_a_few_whatever_its_organizations_which_have_turns(served: Served) -> None:
    in_company(served)
    for number in range(CORE_PACE.begun_of_source_max):
        served.call(f"flood-{number}", host="there")
    served.call("flood-0", 3, host="there")
    served.call("late", host="there")
    assert len(served.begun) == 3 + CORE_PACE.begun_of_source_max
    assert served.held == 4
    served.call("other")
    assert served.begun[-1][0] == "other", "it goes on at once"
    for number in (3, 4):
        await served.answer(number)
    assert [organization_id for organization_id, _ in served.begun[-2:]] == ["flood-0", "late"]
    assert served.held == 2


async def test_behind_a_proxy_no_organization_waits_for_another(served: Served) -> None:
    served.call("other", host="proxy")
    served.call("flood", CORE_PACE.begun_of_one_max + 3, host="proxy")
    for number in range(2 * CORE_PACE.begun_of_one_max):
        served.call(f"shop-{number}", host="proxy")
    assert served.held == 3
    assert len(served.begun) == 1 + 3 * CORE_PACE.begun_of_one_max
    await served.answer(1)
    assert served.begun[-1][0] == "flood", "however many the others have"


async def test_an_organization_has_no_more_for_its_many_addresses(served: Served) -> None:
    served.call("other")
    for number in range(CORE_PACE.begun_of_one_max + 2):
        served.call("flood", host=f"there-{number}")
    assert served.held == 2
    await served.answer(1)
    assert (served.held, served.begun[-1][0]) == (1, "flood")


async def test_one_that_gives_up_while_its_address_waits_leaves_its_turn(served: Served) -> None:
    served.call("other")
    for number in range(CORE_PACE.begun_of_source_max + 2):
        served.call(f"flood-{number}", host="there")
    served.calls[-2].over("gone")
    await served.answer(1)
    assert (served.held, served.begun[-1][0]) == (0, f"flood-{CORE_PACE.begun_of_source_max + 1}")


async def test_when_an_address_is_alone_again_what_it_holds_is_begun_in_steps(served: Served) -> None:
    in_company(served)
    most = CORE_PACE.begun_of_source_max
    for number in range(4 * most):
        served.call(f"flood-{number}", host="there")
    assert served.held == 3 * most
    served.now_s += COMPANY_S
    await served.answer(3)
    assert served.held == 2 * most, "others have the event loop in between"
    for _ in range(3):
        await asyncio.sleep(0)
    assert served.held == 0


async def test_a_call_that_waits_for_the_requests_of_a_stream_begins_when_these_are_done(served: Served) -> None:
    held = served.frame.held
    served.call("other")
    for _ in range(CORE_PACE.begun_of_one_max):
        held.enter("streaming", "here:")
    served.call("streaming")
    assert served.held == 1
    for _ in range(CORE_PACE.begun_of_one_max):
        held.leave("streaming", "here:")
    await asyncio.sleep(0)
    assert (served.held, served.begun[-1][0]) == (0, "streaming")
