"""A core from its start to its end."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from storage.store import Ownership, Store
from supervisor.incarnation import Incarnation
from supervisor.limits import Limits
from supervisor.sources import Sources


@asynccontextmanager
async def incarnation(
    store: Store,
    ownership: Ownership,
    sources: Sources,
    limits: Limits,
    on_stalled: Callable[[bool], None] = lambda is_stalled: None,
) -> AsyncIterator[Incarnation]:
    """A running core, ended with the block."""
    core = None
    is_stop = False
    try:
        async with anyio.create_task_group() as tasks:
            core = Incarnation(store, ownership, sources, limits, tasks, on_stalled)
            await core.serve()
            yield core
            is_stop = True
            tasks.cancel_scope.cancel()
    finally:
        if core is not None:
            core.end(is_stop=is_stop)
