"""The network between clients and the service: calls arrive late, twice or never, and so do their answers.

Each attempt of a call is a task of its own. A client that gives up cancels the task, as the server ends a call when
its caller is gone.
"""

from collections.abc import Callable
from random import Random
from typing import Any, TypeGuard, cast

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct

from actors.basket_commands import ReserveBasket
from actors.commands import Amend, Deduct, Import, Reacquire, Reserve
from actors.outcomes import Refused
from actors.queries import Query
from actors.reply import Reply
from actors.staged_upload import Upload
from actors.unavailable import Unavailable
from simulation.audit.history import Answer, History, Operation, Request
from simulation.faults import Options
from simulation.world.inspection import hints_since_lsn
from simulation.world.simulated_import import staged_import
from simulation.world.simulated_server import InjectedCrash, SimulatedServer

ATTEMPTS_MAX = 6
DEADLINE_S = 5.0
CALL_S_MAX = 30.0  # in a living server: longer than stalls, slow disks and the longest queue together


class Slot:
    """The place that an attempt's answer comes back to."""

    __slots__ = (
        "answer",
        "answered_ms",
        "arrived",
        "asked_ms",
        "error",
        "high_lsn",
        "hints_since_lsn",
        "moves",
        "moves_begun",
        "scope",
        "undisturbed_since_lsn",
    )

    def __init__(self) -> None:
        self.arrived = anyio.Event()
        self.answer: Answer | None = None
        self.error = ""
        self.high_lsn = 0
        self.answered_ms = 0
        self.asked_ms = 0
        self.hints_since_lsn = -1
        self.undisturbed_since_lsn = -1
        self.moves_begun = 0
        self.moves = 0
        self.scope: anyio.CancelScope | None = None

    def __repr__(self) -> str:
        state = "waiting" if not self.arrived.is_set() else self.error or f"answered at LSN {self.high_lsn}"
        return f"<Slot {state}>"


class NetworkStatistics(Struct, frozen=True):
    """Counts since the network was made.

    Args:
        attempts: how often clients sent something; those that the network doubles are not counted.
        commands: how many of them, doubled ones too, reached a server and were no queries.
        under_way: attempts without an answer yet.
    """

    attempts: int
    commands: int
    under_way: int


class SimulatedNetwork:
    """Carries calls.

    Args:
        seed: names the streams of decisions.
        options: what may go wrong.
        is_calm: whether nothing may go wrong any more.
        server: returns the server that gets the next call; None while none serves.
        history: where operations are noted.
        tasks: where handlers run.
        fail: called with a guarantee and a sentence when a handler meets a bug or takes far too long.
    """

    def __init__(
        self,
        seed: str,
        options: Options,
        is_calm: Callable[[], bool],
        server: Callable[[], SimulatedServer | None],
        history: History,
        tasks: TaskGroup,
        fail: Callable[[str, str], None],
    ) -> None:
        self._seed = seed
        self._options = options
        self._is_calm = is_calm
        self._server = server
        self._history = history
        self._tasks = tasks
        self._fail = fail
        self.under_way = 0
        self._commands = 0
        self._uploads = 0
        self._attempts = 0

    def __repr__(self) -> str:
        return f"<SimulatedNetwork under_way={self.under_way} attempts={self._attempts} commands={self._commands}>"

    def statistics(self) -> NetworkStatistics:
        return NetworkStatistics(self._attempts, self._commands, self.under_way)

    async def call(self, client: str, request: Request, attempts_max: int = ATTEMPTS_MAX) -> Operation:
        """Do one operation, and try again with the same ids after errors, as the clients' retry rule says."""
        operation = self._history.begin(client, request)
        for attempt in range(attempts_max):
            operation.attempts += 1
            self._attempts += 1
            random = Random(f"{self._seed}/rpc/{operation.number}/{attempt}")
            slot = Slot()
            is_over = await self._attempt(operation, slot, random)
            if slot.answer is not None:
                operation.answer = slot.answer
                operation.high_lsn = slot.high_lsn
                operation.asked_ms, operation.answered_ms = slot.asked_ms, slot.answered_ms
                operation.hints_since_lsn = slot.hints_since_lsn
                operation.undisturbed_since_lsn = slot.undisturbed_since_lsn
                operation.moves_begun, operation.moves = slot.moves_begun, slot.moves
            if is_over or operation.answer is not None:
                break
            await anyio.sleep(random.random() * 0.2 * (1 << attempt))
        self._history.end(operation)
        return operation

    async def _attempt(self, operation: Operation, slot: Slot, random: Random) -> bool:
        """Send once and wait. Returns whether the client gives the operation up."""
        if self._is_calm():
            self._tasks.start_soon(self._handle, operation, slot, 0.0)
            await slot.arrived.wait()
            return False
        options, coin = self._options, random.random
        is_lost = coin() < options.request_lost
        is_reply_lost = coin() < options.reply_lost
        gives_up = coin() < options.gives_up
        if coin() < options.duplicate:
            self._tasks.start_soon(self._handle, operation, Slot(), self._delay(random))
        if coin() < options.late_duplicate:
            self._tasks.start_soon(self._handle, operation, Slot(), coin() * 40.0)
        if is_lost or is_reply_lost or gives_up:
            slot.scope = anyio.CancelScope()
        if not is_lost:
            self._tasks.start_soon(self._handle, operation, slot, self._delay(random))
        if slot.scope is None:
            await slot.arrived.wait()
            return False
        with anyio.move_on_after(coin() * 0.1 if gives_up else DEADLINE_S) as deadline:
            await slot.arrived.wait()
        if deadline.cancelled_caught:
            slot.scope.cancel()
            slot.answer = None
            return gives_up and coin() < 0.5
        if is_reply_lost:
            await anyio.sleep(coin() * 0.5)
            slot.answer = None
        return False

    def _delay(self, random: Random) -> float:
        if random.random() < self._options.slow_network:
            return random.random() * self._options.slow_network_s
        return random.random() * 0.001 if random.random() < 0.3 else 0.0

    async def _handle(self, operation: Operation, slot: Slot, delay_s: float) -> None:
        self.under_way += 1
        try:
            if slot.scope is None:
                await self._arrive(operation, slot, delay_s)
            else:
                with slot.scope:
                    await self._arrive(operation, slot, delay_s)
        finally:
            self.under_way -= 1

    async def _arrive(self, operation: Operation, slot: Slot, delay_s: float) -> None:
        if delay_s:
            await anyio.sleep(delay_s)
        server = self._server()
        if server is None:
            slot.error = "no connection"
        else:
            await self._serve(server, operation, slot)
        slot.arrived.set()

    async def _serve(self, server: SimulatedServer, operation: Operation, slot: Slot) -> None:
        answer: Answer | None = None
        began_s, began_lsn = anyio.current_time(), server.store.disk.last_lsn
        slot.moves_begun = len(server.store.disk.moves)
        slot.asked_ms = server.time.now_ms()
        slot.hints_since_lsn = hints_since_lsn(server.supervisor)
        if not isinstance(operation.request, Query):
            self._commands += 1
        number = self._commands
        is_alone = (
            isinstance(operation.request, Reserve | ReserveBasket | Deduct | Amend | Reacquire)
            and server.calls_under_way == 0
        )
        try:
            answer = await self._ask(server, operation.request)
        except Refused as refused:
            answer = refused.refusal
        except Unavailable as unavailable:
            slot.error = unavailable.reason
        except Exception as bug:  # noqa: BLE001 - what a servicer would make INTERNAL of
            slot.error = "INTERNAL"
            if not server.is_dead and not isinstance(bug.__cause__, InjectedCrash):
                self._fail("no bug is met", f"a call got INTERNAL: {bug!r}")
        if not server.is_dead and (took_s := anyio.current_time() - began_s) > self._patience_s(operation.request):
            self._fail("G10", f"{operation!r} took {took_s:.1f} s in the server")
        if server.is_dead:
            slot.error = "connection lost"
        elif answer is not None:
            slot.high_lsn = server.store.disk.last_lsn
            slot.answered_ms = server.time.now_ms()
            slot.moves = len(server.store.disk.moves)
            slot.answer = answer
            slot.undisturbed_since_lsn = began_lsn if is_alone and number == self._commands else -1

    def _patience_s(self, request: Request) -> float:
        """A staged import is many calls of the core, one after the other."""
        return CALL_S_MAX * (len(request.lines) if self._is_staged(request) else 1)

    def _is_staged(self, request: Request) -> TypeGuard[Import]:
        return isinstance(request, Import) and 0 < self._options.staged_from <= len(request.lines)

    async def _ask(self, server: SimulatedServer, request: Request) -> Answer:
        if not self._is_staged(request):
            return await ask(server, request)
        self._uploads += 1
        return await staged_import(server.supervisor, request, Upload(f"upload-{self._uploads:04}"))


async def ask(server: SimulatedServer, request: Request) -> Answer:
    """Do what a servicer does once it has translated a request."""
    core = server.supervisor
    if isinstance(request, Query):
        view: Reply[Any] = core.answer(cast(Query[Any], request))
        return cast(Answer, await view.wait())
    return await core.ask(request)
