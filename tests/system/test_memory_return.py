"""Memory that was let go is given back some time after the process has grown, and not again and again."""

import asyncio

import pytest

from stockkeeper.serving.memory_return import GROWN_BYTES, MemoryReturn, resident_bytes, trim

pytestmark = pytest.mark.anyio


class Process:
    """What a process holds, and how often it was told to give back."""

    def __init__(self) -> None:
        self.sizes = [100 * GROWN_BYTES]
        self.trims = 0

    def resident(self) -> int:
        return self.sizes.pop(0) if len(self.sizes) > 1 else self.sizes[0]

    def give_back(self) -> None:
        self.trims += 1


@pytest.mark.parametrize(
    ("sizes", "trims"),
    [
        ([100, 101, 105, 109], 0),
        ([100, 120, 120, 121], 1),  # grown, and nothing could be given back
        ([100, 120, 90, 95], 1),  # grown, and given back
        ([100, 120, 90, 120, 120, 120], 2),
        ([100, 50, 60], 1),  # less than before, and grown again
    ],
)
async def test_it_is_told_when_it_has_grown(sizes: list[int], trims: int) -> None:
    process = Process()
    process.sizes = [size * GROWN_BYTES for size in sizes]
    MemoryReturn(process.resident, process.give_back, look_every_s=0.001)
    async with asyncio.timeout(10):
        while len(process.sizes) > 1:  # noqa: ASYNC110 - it does not tell
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    assert process.trims == trims


def test_this_machine_can_be_asked_and_told() -> None:
    assert resident_bytes() > 1_000_000
    trim()
