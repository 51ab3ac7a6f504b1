"""Calls that come faster than they are served: turns by address, connections beyond the bound, real calls in it."""

import asyncio
import logging
from types import SimpleNamespace
from typing import cast

import grpc
import grpc.aio
import pytest
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub

from rpc.transport.core_listener import CoreListener
from rpc.transport.crowd import Crowd, Reception
from rpc.transport.transport_port import Metadata
from tests.rpc.transport.answers import QUESTION, Answers, code_of, listening, until

pytestmark = pytest.mark.anyio

ONE, OTHER = "ipv4:127.0.0.2", "ipv4:127.0.0.1"


def crowd_of(calls_max: int = 1_000, connections_max: int = 100) -> Crowd[int]:
    return Crowd(calls_max, connections_max)


def test_addresses_have_turns() -> None:
    crowd = crowd_of()
    for number in range(6):
        assert crowd.add(f"{ONE}:1", number) is Reception.GIVEN
    crowd.add(f"{OTHER}:1", 100)
    assert [crowd.take() for _ in range(4)] == [0, 100, 1, 2]
    crowd.add(f"{OTHER}:1", 101)
    assert [crowd.take() for _ in range(4)] == [3, 101, 4, 5]
    assert not crowd


def test_connections_of_an_address_have_turns() -> None:
    crowd = crowd_of()
    for number in range(4):
        crowd.add(f"{ONE}:1", number)
    crowd.add(f"{ONE}:2", 100)
    assert [crowd.take() for _ in range(3)] == [0, 100, 1]
    crowd.add(f"{ONE}:2", 101)
    assert [crowd.take() for _ in range(3)] == [2, 101, 3]
    assert crowd.statistics() == (0, 0)


def test_an_address_does_not_get_all_places() -> None:
    crowd = crowd_of(calls_max=100)
    places = [crowd.add(f"{ONE}:1", number) for number in range(100)]
    assert places.count(Reception.GIVEN) == 90
    assert crowd.add(f"{OTHER}:1", 100) is Reception.GIVEN
    assert crowd.statistics() == (91, 10)


def test_connections_beyond_the_bound_are_told_while_calls_of_the_others_stand() -> None:
    crowd = crowd_of(connections_max=2)
    for peer in (f"{ONE}:1", f"{ONE}:2", f"{ONE}:1", f"{OTHER}:3"):
        assert crowd.add(peer, 0) is Reception.GIVEN
    assert crowd.add(f"{ONE}:3", 0) is Reception.SURPLUS_CONNECTION
    assert crowd.add(f"{ONE}:2", 0) is Reception.GIVEN
    while crowd:
        crowd.take()
    assert crowd.add(f"{ONE}:3", 0) is Reception.GIVEN


async def test_a_call_that_stands_in_a_crowd_is_served_after_one_of_each_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served: list[str] = []
    monkeypatch.setattr(CoreListener, "_serve", lambda self, arrived: served.append(arrived.details))
    async with listening(Answers(), "core") as one:
        listener = cast(CoreListener, one.listener)
        for number in range(1_000):
            give_place(listener, f"{ONE}:{number % 10}", f"flood {number}")
        give_place(listener, f"{OTHER}:1", "bystander")
        listener._is_crowded = True
        listener._take_burst()
        assert served[:3] == ["flood 0", "bystander", "flood 1"]
        await until(lambda: len(served) == 1_001)
        await until(lambda: not listener._is_crowded)


def give_place(listener: CoreListener, peer: str, name: str, metadata: Metadata = ()) -> None:
    call = SimpleNamespace(peer=peer.encode)
    listener._give_place(SimpleNamespace(call=call, invocation_metadata=metadata, call_details=name))


async def test_a_call_stands_with_the_fields_alone_that_are_asked_for() -> None:
    async with listening(Answers(), "core") as one:
        listener = cast(CoreListener, one.listener)
        fields = [("x-request-id", "r"), *((f"x-{number}", "m" * 100) for number in range(60))]
        give_place(listener, f"{ONE}:1", "much metadata", fields)
        assert listener._crowd.take().metadata == [("x-request-id", "r")]


async def test_calls_of_a_crowd_are_answered_and_those_of_a_surplus_connection_cut_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rpc.transport.core_listener")
    serve_crowd = CoreListener._serve_crowd
    async with listening(Answers(), "core") as one:
        listener = cast(CoreListener, one.listener)
        listener._connections.stop()
        listener._crowd = Crowd(10, connections_max=1)
        monkeypatch.setattr(CoreListener, "_serve_crowd", lambda self, ends_s: None)
        listener._is_crowded = True
        standing = asyncio.ensure_future(code_of(one.inventory.GetStockInfo(QUESTION)))
        await until(lambda: listener._crowd)
        options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(str(one.address), options=options) as another:
            assert await code_of(InventoryServiceStub(another).GetStockInfo(QUESTION)) is grpc.StatusCode.UNAVAILABLE
        await until(lambda: listener._cutting is None)
        monkeypatch.setattr(CoreListener, "_serve_crowd", serve_crowd)
        assert await standing is grpc.StatusCode.OK
    assert [record.connections for record in caplog.records if record.msg == "connections_cut_off"] == [1]  # type: ignore[attr-defined]


async def test_a_call_without_a_place_is_told_that_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(Answers(), "core") as one:
        listener = cast(CoreListener, one.listener)
        listener._crowd = Crowd(1, connections_max=10)
        give_place(listener, f"{OTHER}:1", "the only place")
        monkeypatch.setattr(CoreListener, "_serve", lambda self, event: None)
        monkeypatch.setattr(CoreListener, "_serve_crowd", lambda self, ends_s: None)
        listener._is_crowded = True
        call = one.inventory.GetStockInfo(QUESTION)
        assert await code_of(call) is grpc.StatusCode.UNAVAILABLE
        assert await call.details() == "Too many calls are under way, try again."
        monkeypatch.undo()
        listener._crowd.take()


async def test_a_crowd_that_stands_at_the_end_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    serve_crowd = CoreListener._serve_crowd
    async with listening(Answers(), "core") as one:
        listener = cast(CoreListener, one.listener)
        monkeypatch.setattr(CoreListener, "_serve_crowd", lambda self, ends_s: None)
        listener._is_crowded = True
        standing = asyncio.ensure_future(code_of(one.inventory.GetStockInfo(QUESTION)))
        await until(lambda: listener._crowd)
        closing = asyncio.create_task(listener.close(10))
        await until(lambda: not listener._requested)
        listener._on_shutdown(None)  # the core's own word of its end may come earlier than its last calls
        assert not listener._has_ended.is_set()
        monkeypatch.setattr(CoreListener, "_serve_crowd", serve_crowd)
        assert await standing is grpc.StatusCode.OK
        await closing
