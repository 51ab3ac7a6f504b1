"""What a loader has delivered it keeps no longer."""

from collections.abc import Mapping, Sequence
from weakref import ref

import anyio
import pytest

from supervisor.activations.loader import Loader

pytestmark = pytest.mark.anyio


class Found(list[str]):
    """What was read."""


async def test_what_was_delivered_is_not_kept_until_the_next_read() -> None:
    kept: list[ref[Found]] = []
    delivered = anyio.Event()

    async def read(keys: Sequence[str]) -> Mapping[str, Found]:
        return {key: Found() for key in keys}

    async def wait_durable() -> None:
        pass

    def deliver(key: str, found: Found | None) -> None:
        assert found is not None
        kept.append(ref(found))
        delivered.set()

    loader = Loader(read, wait_durable, deliver)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(loader.run)
        loader.want("a")
        await delivered.wait()
        await anyio.wait_all_tasks_blocked()
        assert [one() for one in kept] == [None]
        tasks.cancel_scope.cancel()
