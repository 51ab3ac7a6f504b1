"""The network between clients and routers, which is as bad as that before a server."""

from collections.abc import Callable
from random import Random
from typing import Any, cast

import anyio
from anyio.abc import TaskGroup

from actors.outcomes import Refused
from actors.queries import Query
from actors.unavailable import Unavailable
from simulation.audit.history import Answer, History, Operation
from simulation.audit.joint_history import JointHistory, organization_of
from simulation.faults import Options
from simulation.world.simulated_network import CALL_S_MAX, SimulatedNetwork, Slot
from simulation.world.simulated_router import SimulatedRouter
from simulation.world.simulated_server import InjectedCrash

Span = Callable[[], tuple[int, int]]


class RoutedNetwork(SimulatedNetwork):
    """Carries calls to a router, which the seed chooses.

    Args:
        seed, options, is_calm, history, tasks, fail: as its base has them.
        routers: those that live.
        joint: what has happened.
        service_ms: the earliest and the latest service time that a cell has now.
    """

    def __init__(
        self,
        seed: str,
        options: Options,
        is_calm: Callable[[], bool],
        history: History,
        tasks: TaskGroup,
        fail: Callable[[str, str], None],
        routers: Callable[[], list[SimulatedRouter]],
        joint: JointHistory,
        service_ms: Span,
    ) -> None:
        super().__init__(seed, options, is_calm, lambda: None, history, tasks, fail)
        self._routers = routers
        self._joint = joint
        self._service_ms = service_ms
        self._carried = 0

    async def _arrive(self, operation: Operation, slot: Slot, delay_s: float) -> None:
        if delay_s:
            await anyio.sleep(delay_s)
        self._carried += 1
        router = Random(f"{self._seed}/router/{self._carried}").choice(self._routers())
        await self._route(router, operation, slot)
        slot.arrived.set()

    async def _route(self, router: SimulatedRouter, operation: Operation, slot: Slot) -> None:
        began_s, (asked_ms, _) = anyio.current_time(), self._service_ms()
        answer: Answer | None = None
        try:
            answer = await self._answered(router, operation)
        except Refused as refused:
            answer = refused.refusal
        except Unavailable as unavailable:
            slot.error = unavailable.reason
        except Exception as bug:  # noqa: BLE001 - what a servicer would make INTERNAL of
            slot.error = "INTERNAL"
            if not isinstance(bug.__cause__, InjectedCrash):
                self._fail("no bug is met", f"a call got INTERNAL: {bug!r}")
        if (took_s := anyio.current_time() - began_s) > CALL_S_MAX:
            self._fail("G10", f"{operation!r} took {took_s:.1f} s in a router")
        if router.is_dead:
            slot.error = "connection lost"
        elif answer is not None:
            slot.high_lsn = self._joint.length(organization_of(operation.request))
            slot.asked_ms, slot.answered_ms = asked_ms, self._service_ms()[1]
            slot.hints_since_lsn = slot.undisturbed_since_lsn = -1
            slot.answer = answer

    async def _answered(self, router: SimulatedRouter, operation: Operation) -> Answer:
        request = operation.request
        if isinstance(request, Query):
            return cast(Answer, await router.inventory.answer(cast(Query[Any], request)).wait())
        return await router.inventory.ask(request)
