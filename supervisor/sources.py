"""Where the core has time, ids and dispatch from."""

from collections.abc import Callable

import anyio
from msgspec import Struct

from actors.actor import Dispatcher, InlineDispatcher, StartSoon
from actors.reply import Event
from actors.stages import Stages
from supervisor.clock import ServiceClock


class Sources(Struct, frozen=True):
    """Where time, ids and dispatch come from; given by the composition root.

    Args:
        clock: the service clock.
        new_id: a fresh unique id that sorts by time (UUID version 7).
        dispatcher: makes the dispatcher from the function that starts a task.
        monotonic_s: a clock in seconds that goes on while the process is stopped.
        report_crash: told of an actor that met a bug.
        event: makes what a caller waits for.
        stages: follows commands, for traces; None: nothing does.
    """

    clock: ServiceClock
    new_id: Callable[[], str]
    report_crash: Callable[[object, Exception], None]
    dispatcher: Callable[[StartSoon], Dispatcher] = InlineDispatcher
    monotonic_s: Callable[[], float] = anyio.current_time
    event: Callable[[], Event] = anyio.Event
    stages: Stages | None = None
