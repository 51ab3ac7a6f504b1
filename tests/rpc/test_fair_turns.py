"""Whose large request is next, and how much of a limit one organization may have."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stream_pb2

from actors.unavailable import Unavailable
from rpc.fair_turns import (
    BEGUN_BYTES_MAX,
    BEGUN_BYTES_MAX_OF_ONE,
    TURN_BYTES,
    FairTurns,
    NoTurns,
    organization_of,
)
from rpc.in_flight import InFlightLimit
from rpc.messages import parsing
from rpc.pace import Pace

pytestmark = pytest.mark.anyio

WITHOUT_PAUSE = Pace(24, 48, 0.0)


def post(turns: FairTurns, organization: str, size: int, begin: Callable[[], object], source: str = "") -> None:
    """A request that ends as soon as it is begun."""

    def begin_and_end() -> None:
        turns.end(organization, size, source)
        begin()

    turns.post(organization, size, begin_and_end, source)


async def all_of(turns: FairTurns) -> None:
    async with asyncio.timeout(10):
        while turns.statistics().requests:  # noqa: ASYNC110 - it does not tell
            await asyncio.sleep(0)


async def test_an_organization_with_one_request_does_not_wait_for_the_hundred_of_another() -> None:
    turns, begun = FairTurns(), list[str]()
    for number in range(100):
        post(turns, "flood", TURN_BYTES, partial(begun.append, f"flood-{number}"))
    post(turns, "other", TURN_BYTES, partial(begun.append, "other"))
    await all_of(turns)
    assert begun.index("other") <= 2
    assert [one for one in begun if one != "other"] == [f"flood-{number}" for number in range(100)]


async def test_an_organization_does_not_wait_for_the_hundred_that_call_from_another_address() -> None:
    turns, begun = FairTurns(), list[str]()
    for number in range(100):
        post(turns, f"flood-{number}", TURN_BYTES, partial(begun.append, f"flood-{number}"), "there")
    post(turns, "other", TURN_BYTES, partial(begun.append, "other"), "here")
    await all_of(turns)
    assert begun.index("other") <= 2
    assert [one for one in begun if one != "other"] == [f"flood-{number}" for number in range(100)]
    assert (turns._queues, turns._organizations, turns._sources) == ({}, {}, {})


async def test_an_organization_has_no_more_turns_for_its_many_addresses() -> None:
    turns, begun = FairTurns(), list[str]()
    for number in range(100):
        post(turns, "flood", TURN_BYTES, partial(begun.append, "flood"), f"there-{number}")
    for _ in range(3):
        post(turns, "other", TURN_BYTES, partial(begun.append, "other"), "here")
    await all_of(turns)
    assert "".join(one[0] for one in begun[:8]).count("o") == 3


async def test_behind_a_proxy_the_organizations_have_turns_as_if_they_called_themselves() -> None:
    turns, begun = FairTurns(), list[str]()
    post(turns, "elsewhere", TURN_BYTES, partial(begun.append, "elsewhere"), "here")
    for number in range(100):
        post(turns, "flood", TURN_BYTES, partial(begun.append, f"flood-{number}"), "proxy")
    post(turns, "other", TURN_BYTES, partial(begun.append, "other"), "proxy")
    await all_of(turns)
    assert begun.index("other") <= 3


async def test_an_organization_that_comes_late_waits_for_none_that_had_its_share() -> None:
    turns, begun = FairTurns(pace=WITHOUT_PAUSE), list[str]()
    for number in range(60):
        post(turns, f"shop-{number % 3}", TURN_BYTES, partial(begun.append, "shop"), "proxy")
    while len(begun) < 30:  # noqa: ASYNC110 - it does not tell
        await asyncio.sleep(0)
    post(turns, "late", TURN_BYTES, partial(begun.append, "late"), "proxy")
    post(turns, "later", TURN_BYTES, partial(begun.append, "later"), "here")
    seen = len(begun)
    await all_of(turns)
    assert {"late", "later"} <= set(begun[seen : seen + 6])


async def test_in_company_one_request_of_an_address_is_under_way_whosever_it_is() -> None:
    turns, begun = FairTurns(pace=WITHOUT_PAUSE), list[str]()
    turns.post("other", 1, partial(begun.append, "other"), "here")
    for number in range(9):
        turns.post(f"flood-{number}", TURN_BYTES // 2, partial(begun.append, "flood"), "there")
    for _ in range(30):
        await asyncio.sleep(0)
    assert begun == ["other", "flood"]
    for number in range(9):
        turns.end(f"flood-{number}", TURN_BYTES // 2, "there")
        for _ in range(30):
            await asyncio.sleep(0)
    turns.end("other", 1, "here")
    assert begun[2:] == ["flood"] * 8
    assert (turns._organizations, turns._sources) == ({}, {})


async def test_no_address_fills_the_queue_by_many_organizations() -> None:
    turns = FairTurns(waiting_bytes_max=1_000)
    for number in range(9):
        post(turns, f"flood-{number}", 100, lambda: None, "there")
    with pytest.raises(Unavailable, match="Too many large requests"):
        post(turns, "one-more", 100, lambda: None, "there")
    post(turns, "other", 100, lambda: None, "here")
    await all_of(turns)
    assert turns.statistics().size_bytes == 0


@pytest.mark.parametrize("source", ["", "proxy"])
async def test_turns_are_dealt_by_size_and_not_by_number(source: str) -> None:
    turns, sizes = FairTurns(), {"small": TURN_BYTES // 8, "large": 2 * TURN_BYTES}
    given = {"small": 0, "large": 0}

    def begin(organization: str) -> None:
        given[organization] += sizes[organization]
        shares.append(dict(given))

    shares: list[dict[str, int]] = []
    for organization, size in sizes.items():
        for _ in range(24 * TURN_BYTES // size):
            post(turns, organization, size, partial(begin, organization), source)
    await all_of(turns)
    while_both_wait = [share for share in shares if max(share.values()) < 24 * TURN_BYTES]
    assert all(abs(share["small"] - share["large"]) <= 3 * TURN_BYTES for share in while_both_wait)


async def test_one_turn_of_the_loop_begins_no_more_than_a_turn_holds() -> None:
    turns, begun = FairTurns(), list[int]()
    for number in range(6):
        post(turns, "one", TURN_BYTES // 2, partial(begun.append, number))
    seen = []
    for _ in range(4):
        await asyncio.sleep(0)
        seen.append(len(begun))
    assert seen[:3] == [2, 4, 6]


async def test_a_request_that_fails_keeps_no_other_from_its_turn() -> None:
    def fail() -> None:
        raise KeyError("a bug")

    turns, begun = FairTurns(), list[str]()
    post(turns, "one", TURN_BYTES, fail)
    post(turns, "one", TURN_BYTES, partial(begun.append, "next"))
    await all_of(turns)
    assert begun == ["next"]


async def test_no_organization_fills_the_queue() -> None:
    turns = FairTurns(waiting_bytes_max=1_000)
    for _ in range(9):
        post(turns, "flood", 100, lambda: None)
    with pytest.raises(Unavailable, match="Too many large requests"):
        post(turns, "flood", 100, lambda: None)
    post(turns, "other", 100, lambda: None)
    await all_of(turns)
    assert turns.statistics().size_bytes == turns.statistics().begun_bytes == 0
    assert turns._queues == {}


async def test_a_waiter_that_gave_up_costs_a_turn_and_no_more() -> None:
    turns = FairTurns()
    waiting = [asyncio.create_task(turns.turn("one", BEGUN_BYTES_MAX_OF_ONE // 2)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await all_of(turns)
    assert [one.cancelled() for one in waiting] == [False, True, False]
    for _ in range(2):
        turns.end("one", BEGUN_BYTES_MAX_OF_ONE // 2)
    assert turns._queues == {}


async def test_few_of_an_organization_are_under_way_and_others_are_begun_meanwhile() -> None:
    turns, begun = FairTurns(pace=WITHOUT_PAUSE), list[str]()
    for number in range(9):
        turns.post("flood", BEGUN_BYTES_MAX_OF_ONE // 2, partial(begun.append, f"flood-{number}"))
    for _ in range(30):
        await asyncio.sleep(0)
    assert begun == ["flood-0", "flood-1"]
    turns.post("other", TURN_BYTES, partial(begun.append, "other"))
    for _ in range(30):
        await asyncio.sleep(0)
    assert begun[2:] == ["other"]
    turns.end("flood", BEGUN_BYTES_MAX_OF_ONE // 2)
    for _ in range(30):
        await asyncio.sleep(0)
    assert begun[3:] == [], "in company one is under way at a time"
    turns.end("flood", BEGUN_BYTES_MAX_OF_ONE // 2)
    for _ in range(30):
        await asyncio.sleep(0)
    assert begun[3:] == ["flood-2"]


async def test_few_are_under_way_whosever_they_are() -> None:
    turns, begun = FairTurns(pace=WITHOUT_PAUSE), list[int]()
    for number in range(99):
        turns.post(f"organization-{number}", TURN_BYTES, partial(begun.append, number))
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(begun) == -(-BEGUN_BYTES_MAX // TURN_BYTES)
    for number in range(99):
        turns.end(f"organization-{number}", TURN_BYTES)
        for _ in range(3):
            await asyncio.sleep(0)
    assert begun == list(range(99))
    assert turns._queues == {}


@pytest.mark.parametrize("company", [True, False])
async def test_after_a_large_request_others_have_the_loop_for_a_moment_if_there_are_others(company: bool) -> None:
    loop, begun = asyncio.get_running_loop(), list[float]()
    turns = FairTurns(pace=Pace(24, 48, 0.2))
    if company:
        post(turns, "other", TURN_BYTES, partial(begun.append, 0.0))
        await all_of(turns)
    turns.post("flood", TURN_BYTES, lambda: begun.append(loop.time()))
    turns.post("flood", TURN_BYTES, lambda: begun.append(loop.time()))
    async with asyncio.timeout(10):
        while len(begun) < 1 + company:  # noqa: ASYNC110 - it does not tell
            await asyncio.sleep(0)
        turns.end("flood", TURN_BYTES)
        while len(begun) < 2 + company:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0)
    assert (begun[-1] - begun[-2] >= 0.2) is company


async def test_a_waiter_that_is_cancelled_as_its_turn_comes_leaves_nothing_begun() -> None:
    turns = FairTurns()
    waiting = asyncio.create_task(turns.turn("one", TURN_BYTES))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert turns.statistics().begun_bytes == TURN_BYTES
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert turns._queues == {}


def test_the_organization_is_read_where_our_clients_write_it() -> None:
    request = pb.ReserveStockRequest(organization_id="org_1", order_id="o")
    assert organization_of(request.SerializeToString()) == "org_1"
    assert organization_of(pb.ReserveStockRequest(order_id="o").SerializeToString()) == ""
    assert organization_of(b"\n\xff\xff") == organization_of(b"") == organization_of(b"\n") == ""


def entered(limit: InFlightLimit, organization: str) -> int:
    """How many of an organization may enter."""
    count = 0
    with suppress(Unavailable):
        while True:
            limit.enter(organization)
            count += 1
    return count


def test_an_organization_that_wants_all_leaves_some_and_one_that_has_little_gets_it() -> None:
    limit = InFlightLimit(1_000, "calls")
    counts = {organization: entered(limit, organization) for organization in "abc"}
    assert counts["a"] == 900
    assert sum(counts.values()) < 1_000
    limit.enter("late")
    limit.leave("late")
    for organization, count in counts.items():
        for _ in range(count):
            limit.leave(organization)
    assert limit.under_way == 0
    assert limit._by_organization == {}


def test_what_is_of_no_organization_may_have_all() -> None:
    limit = InFlightLimit(3, "calls")
    for _ in range(3):
        limit.enter()
    for refused in (limit.enter, limit.check, partial(limit.enter, "a")):
        with pytest.raises(Unavailable):
            refused()
    assert limit.statistics() == (3, 3)
    for _ in range(3):
        limit.leave()


async def test_in_company_one_step_of_an_import_is_carried_out_at_a_time() -> None:
    turns, under_way, most = FairTurns(pace=WITHOUT_PAUSE), 0, list[int]()

    async def steps() -> None:
        nonlocal under_way
        for _ in range(5):
            async with turns.step("o"):
                under_way += 1
                most.append(under_way)
                await asyncio.sleep(0)
                under_way -= 1

    for organization in ("one", "other"):  # so that there are several
        post(turns, organization, TURN_BYTES, lambda: None)
    await all_of(turns)
    await asyncio.gather(*(steps() for _ in range(4)))
    assert (max(most), len(most)) == (1, 20)
    assert turns._queues == {}


async def test_a_step_that_fails_or_is_given_up_leaves_its_turn_to_the_next() -> None:
    turns = FairTurns()
    with pytest.raises(ValueError, match="wrong line"):
        async with turns.step("o"):
            raise ValueError("wrong line")

    async def for_ever() -> None:
        async with turns.step("o"):
            await asyncio.Event().wait()

    given_up = asyncio.create_task(for_ever())
    async with asyncio.timeout(10):
        while not turns.statistics().begun_bytes:  # noqa: ASYNC110 - it does not tell
            await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    assert (turns.statistics(), turns._queues) == ((0, 0, 0), {})


def test_without_turns_a_request_begins_at_once_and_needs_no_loop() -> None:
    turns, begun = NoTurns(), list[str]()
    turns.post("one", BEGUN_BYTES_MAX, partial(begun.append, "begun"))
    turns.end("one", BEGUN_BYTES_MAX)
    assert begun == ["begun"]


@pytest.mark.parametrize("more", [0, 1])
async def test_messages_that_come_together_are_parsed_in_turns_also_where_a_part_ends_with_the_message(
    more: int,
) -> None:
    turns = FairTurns()
    requests = [stream_pb2.StreamedRequest(sequence=10**18) for _ in range(4 * parsing.PART_FIELDS + more)]
    message = stream_pb2.ReserveStockRequests(requests=requests)
    raw = message.SerializeToString()
    assert len(raw) > parsing.UNCOUNTED_BYTES_MAX
    kind = stream_pb2.ReserveStockRequests
    parsed = [parsing.parse_in_turns(kind, raw, 2, turns.part) for _ in range(6)]
    assert await asyncio.gather(*parsed) == [message] * 6
    assert turns.statistics() == (0, 0, 0)


async def test_in_company_a_large_answer_is_made_after_the_small_ones() -> None:
    turns, given = FairTurns(pace=Pace(24, 48, 0.002)), list[str]()
    turns.answer(partial(given.append, "alone"))
    assert given == ["alone"]
    for organization in ("one", "other"):
        post(turns, organization, TURN_BYTES, lambda: None)
    turns.answer(partial(given.append, "large"))
    given.append("small")
    async with asyncio.timeout(10):
        while len(given) < 3:  # noqa: ASYNC110 - it does not tell
            await asyncio.sleep(0)
    assert given == ["alone", "small", "large"]


async def test_an_import_is_company() -> None:
    turns = FairTurns()
    for organization in ("one", "", "one"):
        async with turns.step(organization):
            assert not turns._company.has_several
    async with turns.step("other"):
        assert turns._company.has_several
