"""Memory that was let go is given back some time after the process has grown, and not again and again."""

import gc
import weakref

import pytest

from stockkeeper.serving.memory_return import GROWN_BYTES, MemoryReturn, resident_bytes, trim

pytestmark = pytest.mark.anyio


class Process:
    """What a process holds."""

    def __init__(self, size: int, needed: int) -> None:
        self.size = size
        self.needed = needed

    def resident(self) -> int:
        return self.size * GROWN_BYTES

    def give_back(self) -> None:
        self.size = self.needed


async def looked(memory: MemoryReturn) -> bool:
    """Look once. Returns whether the library was told."""
    times = memory.statistics().times
    memory._look()
    if memory._working is not None:
        await memory._working
    return memory.statistics().times > times


async def test_it_is_told_when_the_process_has_grown() -> None:
    process = Process(100, 100)
    memory = MemoryReturn(process.resident, process.give_back, look_every_s=3_600)
    assert not await looked(memory)
    process.size = 109
    assert not await looked(memory)
    process.size = 130
    assert await looked(memory)
    assert process.size == 100
    assert not await looked(memory)
    process.size = process.needed = 50
    assert not await looked(memory)
    process.size = 60
    assert await looked(memory)


async def test_what_is_still_in_use_is_asked_for_again_and_less_and_less_often() -> None:
    process = Process(100, 150)
    memory = MemoryReturn(process.resident, process.give_back, look_every_s=3_600)
    process.size = 150
    told = [await looked(memory) for _ in range(15)]
    assert [number for number, was_told in enumerate(told) if was_told] == [0, 2, 6, 14]
    process.needed = 100
    again = [await looked(memory) for _ in range(20)]
    assert again.count(True) == 1
    assert process.size == 100


class _InACycle:
    """As grpc.aio leaves its calls."""

    def __init__(self) -> None:
        self.itself = self


async def test_young_garbage_is_freed_before() -> None:
    process = Process(100, 100)
    left: list[_InACycle | None] = []
    gc.disable()
    try:
        garbage = weakref.ref(_InACycle())
        memory = MemoryReturn(process.resident, lambda: left.append(garbage()), look_every_s=3_600)
        process.size = 130
        assert await looked(memory)
    finally:
        gc.enable()
    assert left == [None]


def test_this_machine_can_be_asked_and_told() -> None:
    assert resident_bytes() > 1_000_000
    trim()
