"""Starts the core, keeps it running and stops it; the one object that the outside talks to.

Let it crash: whatever ends an incarnation, be it a database that went away or a bug in a background task, the
cure is the same as after a kill: drop all memory, open the store again, read what is durable. Only the loss of
ownership, or of the database's file, is final. A standby waits before each opening until it is its turn, so for it
ownership comes and goes.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio.abc import TaskStatus

from actors.commands import Command
from actors.exceptions import leaves
from actors.outcomes import Fact
from actors.queries import Query
from actors.reply import Reply
from actors.unavailable import database_down, shutting_down, standing_by
from storage.store import DatabaseGone, Ownership, OwnershipLost, StorageError, Store
from supervisor.core_statistics import Statistics
from supervisor.incarnation import Incarnation, Sources
from supervisor.limits import Limits
from supervisor.one_life import incarnation
from supervisor.ownership.standby import StandBy, Standby

log = logging.getLogger(__name__)

V = TypeVar("V")

REOPEN_PAUSE_MIN_S = 0.05
REOPEN_PAUSE_MAX_S = 1.0
HEALTHY_AFTER_S = 5.0  # what lived so long starts the pauses over: a database may open well and fail at every write


class Supervisor:
    """The inventory service without its network.

    Args:
        store: the database; opened and closed here.
        sources: time, ids, dispatch, and where bugs are reported.
        limits: the bounds.
        on_serving: told True when calls can be served and False when they cannot.
        report: told of an error that ended an incarnation, before the next one is started.
        stand_by: how to wait for the server that has the store; None: not at all.
    """

    def __init__(
        self,
        store: Store,
        sources: Sources,
        limits: Limits,
        on_serving: Callable[[bool], None] = lambda serving: None,
        report: Callable[[BaseException], None] = lambda error: None,
        stand_by: StandBy | None = None,
    ) -> None:
        self._store = store
        self._sources = sources
        self._limits = limits
        self._on_serving = on_serving
        self._report = report
        self._standby = Standby(stand_by, self._on_waiting)
        self._task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
        self._core: Incarnation | None = None
        self._stop_requested = anyio.Event()
        self._is_stopping = False  # the same: every call asks it
        self._pause_s = REOPEN_PAUSE_MIN_S
        self._down_since_s: float | None = None
        self.incarnations = 0
        self.ownership: Ownership | None = None  # what the database handed over when it was last opened

    def __repr__(self) -> str:
        return f"<Supervisor serving={self.serving} incarnations={self.incarnations}>"

    @property
    def serving(self) -> bool:
        """Whether calls are served now."""
        return self._core is not None and not self._core.heartbeat.is_stalled and not self._is_stopping

    @property
    def waits_for(self) -> str:
        """The server for which this one stands by now; empty: it does not."""
        return self._standby.waits_for

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stop`, across storage failures; `task_status.started()` once it serves or stands by.

        Returns after a stop, when every call has its answer and ownership is given up. Cancelling it is like a kill.

        Raises:
            OwnershipLost: another server owns the database; nothing more is written. A standby waits for it instead.
            DatabaseGone: the database was removed or replaced while it was open.
            SchemaTooNew, StorageError: the store could not be opened at the start.
        """
        try:
            self._task_status = task_status
            ownership = await self._open_first()
            while ownership is not None:
                self._sources.clock.start(ownership.last_at_ms)
                began_s = anyio.current_time()
                try:
                    async with incarnation(
                        self._store, ownership, self._sources, self._limits, self._on_stalled
                    ) as core:
                        self._begin(core, ownership)
                        await self._stop_requested.wait()
                        self._on_serving(False)
                        await core.finish()
                        return
                except Exception as error:  # noqa: BLE001 - crash-only: see the module's docstring
                    self._end(error)
                if anyio.current_time() - began_s >= HEALTHY_AFTER_S:
                    self._pause_s = REOPEN_PAUSE_MIN_S
                ownership = await self._open_again()
        finally:
            self._core = None
            with anyio.CancelScope(shield=True):
                await self._store.close()

    def stop(self) -> None:
        """Take no more calls, finish those under way, and let `run` return."""
        self._is_stopping = True
        self._stop_requested.set()
        self._standby.stop()

    async def ask(self, command: Command) -> Fact:
        """Have a command carried out; returns when its outcome is durable.

        Cancelling the caller does not stop the command: it happens or not as if the answer had been lost.

        Raises:
            Refused: the command was turned down and nothing was changed.
            Unavailable: overloaded, storage down, or shutting down.
            ActorCrashed: a bug.
        """
        return await self.submit(command).wait()

    def submit(self, command: Command) -> Reply[Fact]:
        """Have a command carried out, without waiting: the reply is given when its outcome is durable.

        It fails with what `ask` raises. It need not be waited for.

        Raises:
            Unavailable: overloaded, storage down, or shutting down; nothing was begun.
        """
        if self._sources.stages is not None:
            self._sources.stages.submitted(command)
        return self._serving_core().submit(command)

    def answer(self, query: Query[V]) -> Reply[V]:
        """Have a query answered: the reply is there at once if all that it needs is in memory.

        It fails with `Unavailable`.

        Raises:
            Unavailable: overloaded, storage down, or shutting down.
        """
        return self._serving_core().answer(query)

    def statistics(self) -> Statistics | None:
        """What is in memory and was done; None while nothing runs."""
        return self._core.statistics() if self._core is not None else None

    def _serving_core(self) -> Incarnation:
        if self._is_stopping:
            raise shutting_down()
        if self._core is None or self._core.heartbeat.is_stalled:
            raise standing_by() if self._standby.waits_for else database_down()
        return self._core

    def _begin(self, core: Incarnation, ownership: Ownership) -> None:
        self._core = core
        self.ownership = ownership
        self.incarnations += 1
        self._on_serving(True)
        self._note_up()
        self._note_started()

    def _on_waiting(self, owner: str) -> None:
        log.info("standing_by", extra={"owner": owner})
        self._down_since_s = None  # another one serves
        self._note_started()

    def _note_started(self) -> None:
        self._task_status.started()
        self._task_status = anyio.TASK_STATUS_IGNORED

    def _on_stalled(self, is_stalled: bool) -> None:
        self._on_serving(self.serving)
        if is_stalled:
            self._note_down()
            self._report(StorageError(f"the database has not answered for {self._limits.stall_s:g} s"))
        else:
            self._note_up()

    def _note_down(self) -> None:
        if self._down_since_s is None:
            self._down_since_s = anyio.current_time()

    def _note_up(self) -> None:
        if self._down_since_s is not None:
            after_s = round(anyio.current_time() - self._down_since_s, 3)
            log.info("storage_is_back", extra={"after_s": after_s})
            self._down_since_s = None

    def _end(self, error: Exception) -> None:
        self._core = None
        self._note_down()
        self._on_serving(False)
        for cause in leaves(error):
            if isinstance(cause, DatabaseGone) or (isinstance(cause, OwnershipLost) and not self._standby.is_wanted):
                raise cause
        self._report(error)

    async def _open(self) -> Ownership | None:
        """Open the store when it is our turn; None if a stop was asked for before."""
        return await self._store.open() if await self._standby.turn() else None

    async def _open_first(self) -> Ownership | None:
        """As above. A server that has stood by was started: it goes on as after any other failure."""
        try:
            return await self._open()
        except StorageError as error:
            if not self._standby.has_waited or isinstance(error, DatabaseGone):
                raise
            self._report(error)
            return await self._open_again()

    async def _open_again(self) -> Ownership | None:
        """Open the store, however long it takes; None if a stop was asked for meanwhile."""
        while True:
            with anyio.move_on_after(self._pause_s):
                await self._stop_requested.wait()
            self._pause_s = min(self._pause_s * 2, REOPEN_PAUSE_MAX_S)
            if self._is_stopping:
                return None
            try:
                return await self._open()
            except DatabaseGone:
                raise
            except StorageError as error:
                self._report(error)
