"""The page of metrics by itself: its bounds, and what is counted for it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from unittest import mock

import anyio
import pytest
from prometheus_client.metrics_core import Metric

from actors.queries import CountRows
from actors.reply import Reply
from actors.row_counts import CountKey, RowCount, RowCounts
from actors.unavailable import database_down
from stockkeeper.metrics import metrics_endpoint
from stockkeeper.metrics.census import OTHER, ROWS_A_PART, Census, bounded, census_metrics
from stockkeeper.metrics.metric_families import gauge
from stockkeeper.metrics.metrics_endpoint import REQUESTS_MAX, Families, Look, MetricsEndpoint
from stockkeeper.metrics.metrics_settings import MetricsSettings
from stockkeeper.metrics.process_metrics import turn_metrics
from stockkeeper.turn_watch import TurnStatistics
from tests.system.test_metrics import get

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def shown(look: Look) -> AsyncIterator[str]:
    endpoint = MetricsEndpoint(MetricsSettings(0, "127.0.0.1"), [look])
    [address] = await endpoint.start()
    try:
        yield f"http://{address}/metrics"
    finally:
        await endpoint.stop()


async def one_figure() -> Families:
    return lambda: [gauge("figure", "Of a test.", 7)]


async def test_the_page_is_at_its_path_alone_and_asks_anew_each_time() -> None:
    asked = 0

    async def look() -> Families:
        nonlocal asked
        asked += 1
        now = asked
        return lambda: [gauge("asked", "Times.", now)]

    async with shown(look) as url:
        for times in (1, 2):
            status, text = await asyncio.to_thread(get, url)
            assert (status, f"asked {times}.0" in text) == (200, True)
        for other in ("/", "/metrics/x", "/favicon.ico"):
            assert (await asyncio.to_thread(get, url.replace("/metrics", other)))[0] == 404
    assert asked == 2


async def test_a_loop_that_has_no_time_is_told_and_a_bug_is_no_page(caplog: pytest.LogCaptureFixture) -> None:
    gave_up = anyio.Event()

    async def busy() -> Families:
        try:
            await anyio.sleep_forever()
        finally:
            gave_up.set()
        raise AssertionError

    async def broken() -> Families:
        raise RuntimeError("a bug")

    with mock.patch.object(metrics_endpoint, "LOOK_TIMEOUT_S", 0.05):
        async with shown(busy) as url:
            assert (await asyncio.to_thread(get, url))[0] == 503
            with anyio.fail_after(20):
                await gave_up.wait()  # nothing goes on behind it
    async with shown(broken) as url:
        status, text = await asyncio.to_thread(get, url)
        assert (status, "bug" in text) == (500, False)
    assert [record.getMessage() for record in caplog.records] == ["metrics_failed"]


async def test_peers_that_say_nothing_take_a_bounded_number_of_threads() -> None:
    async with shown(one_figure) as url:
        host, _, port = url.split("/")[2].rpartition(":")
        silent = [socket.create_connection((host, int(port))) for _ in range(REQUESTS_MAX)]
        one_more = socket.create_connection((host, int(port)))
        one_more.settimeout(20)
        assert await asyncio.to_thread(one_more.recv, 1) == b""  # it is closed at once
        for one in (*silent, one_more):
            one.close()
        async with asyncio.timeout(20):
            while (await asyncio.to_thread(answers, url)) is not True:  # noqa: ASYNC110 - their threads end when they do
                await asyncio.sleep(0.02)


def answers(url: str) -> bool:
    try:
        return get(url)[0] == 200
    except OSError:
        return False


def test_front_ends_take_the_ports_that_follow() -> None:
    settings = MetricsSettings(9464, "::1", "/m")
    assert [settings.of_frontend(number) for number in (1, 2)] == [
        MetricsSettings(9465, "::1", "/m"),
        MetricsSettings(9466, "::1", "/m"),
    ]
    assert MetricsSettings(0).of_frontend(2).port == 0


def values(metrics: Iterable[Metric], name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for metric in metrics
        for sample in metric.samples
        if sample.name == name
    }


def test_turns_are_counted_by_the_methods_that_there_are() -> None:
    by_method = (("/s/m", 3), ("/made/up", 2), ("/made/up/too", 1), ("", 4))
    found = values(turn_metrics(TurnStatistics(10, 0.5, 1.5, by_method), ["/s/m"]), "stockkeeper_event_loop_held_total")
    assert found == {("",): 4, ("s/m",): 3, ("_OTHER",): 3}


# ---- the census ---------------------------------------------------------------------------------------------------


class Counted:
    """An inventory that knows nothing but counts, in parts."""

    def __init__(self) -> None:
        self.asked: list[CountRows] = []
        self.is_down = False
        self.active = 1

    def answer(self, query: Any) -> Reply[RowCounts]:
        self.asked.append(query)
        if self.is_down:
            raise database_down()
        reply: Reply[RowCounts] = Reply()
        key: CountKey | None = None if query.after else ("shop", "x", "y")
        name = "active" if query.counted == "reservations" else "critical"
        reply.set(RowCounts((RowCount("shop", name, self.active), RowCount("depot", name, 10)), key))
        return reply


async def test_a_census_adds_up_all_parts_and_an_outage_leaves_the_last_one() -> None:
    inventory: Any = Counted()
    census = Census(inventory, every_s=0.0, rest_s=0.0)
    assert list(census_metrics(census.statistics(), 0.0)) == []
    await census.count()
    first = census.statistics()
    assert first.reservations == {"active": 22, "confirmed": 0}
    assert first.low_rows == {("shop", "critical"): 2, ("depot", "critical"): 20}
    assert [(one.counted, one.after, one.rows_max) for one in inventory.asked] == [
        ("reservations", None, ROWS_A_PART),
        ("reservations", ("shop", "x", "y"), ROWS_A_PART),
        ("low_stock", None, ROWS_A_PART),
        ("low_stock", ("shop", "x", "y"), ROWS_A_PART),
    ]
    inventory.is_down = True
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(census.run)
        while len(inventory.asked) < 6:
            await anyio.lowlevel.checkpoint()
        assert census.statistics() == first
        inventory.is_down, inventory.active = False, 5
        while census.statistics() == first:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert census.statistics().reservations["active"] == 30
    assert first.counted_at_s is not None
    assert values(census_metrics(first, first.counted_at_s + 9), "stockkeeper_census_age_seconds") == {(): 9}


def test_a_few_organizations_are_named_and_all_others_are_one() -> None:
    counts = {(f"shop {n:02}", "critical"): n for n in range(1, 31)} | {
        ("shop 30", "warning"): 1,
        (OTHER, "critical"): 99,
    }
    found = bounded(counts, organizations_max=3)
    assert found == {
        ("shop 30", "critical"): 30,
        ("shop 30", "warning"): 1,
        ("shop 29", "critical"): 29,
        (OTHER, "critical"): 99 + sum(range(1, 29)),
    }
    assert sum(found.values()) == sum(counts.values())
