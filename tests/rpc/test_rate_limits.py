"""How often an organization may ask: a bucket for each, which fills evenly."""

import pytest

from actors.commands import Confirm, CountedLine, Import
from actors.queries import GetActivity, GetStock, ReadChanges
from actors.unavailable import Unavailable
from rpc.rate_limits import RateLimits
from tests.rpc.fake_inventory import FakeInventory

pytestmark = pytest.mark.anyio


class Watch:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def limits(watch: Watch) -> RateLimits:
    return RateLimits(FakeInventory(), 6, watch)


def asked(limits: RateLimits, times: int, organization_id: str = "shop") -> int:
    """How many of these questions are answered."""
    for number in range(times):
        try:
            limits._count(organization_id)
        except Unavailable:
            return number
    return times


def test_a_minutes_worth_may_come_at_once_and_then_comes_evenly(limits: RateLimits, watch: Watch) -> None:
    assert asked(limits, 10) == 6
    watch.now_s += 9.9
    assert asked(limits, 10) == 0
    watch.now_s += 0.2
    assert asked(limits, 10) == 1
    watch.now_s += 3_600
    assert asked(limits, 10) == 6
    assert limits.statistics().turned_away == 4


def test_organizations_have_buckets_of_their_own_and_full_ones_are_forgotten(limits: RateLimits, watch: Watch) -> None:
    for number in range(100):
        assert asked(limits, 10, f"shop{number}") == 6
    watch.now_s += 61
    assert asked(limits, 1, "another") == 1
    assert limits.statistics().organizations == 1


def test_the_refusal_says_when_to_come_again(limits: RateLimits, watch: Watch) -> None:
    asked(limits, 6)
    with pytest.raises(Unavailable) as refused:
        limits._count("shop")
    assert refused.value.reason == "RATE_LIMITED"
    watch.now_s += refused.value.retry_after_ms / 1_000
    assert asked(limits, 1) == 1


async def test_commands_queries_and_imports_count_and_watches_do_not(limits: RateLimits) -> None:
    lines = tuple(CountedLine(shop, "v", "w", "", 1, 0, 0, 0, 0, 1) for shop in ("shop", "other", "other"))
    limits.submit(Confirm("shop", "r", "o"))
    limits.answer(GetStock("shop", "v"))
    limits._count_command(Import(lines, "i"))
    for _ in range(20):
        limits.answer(ReadChanges("shop"))
        limits.answer(GetActivity(""))
    assert asked(limits, 10) == 3
    assert asked(limits, 10, "other") == 5
