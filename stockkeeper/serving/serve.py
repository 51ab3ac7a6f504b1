"""The server process: starts the core and its network, and stops both in the order that loses nothing."""

import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from typing import NoReturn

import anyio
import structlog
from anyio.abc import TaskGroup, TaskStatus

from actors.actor import StartSoon
from actors.commands import Import
from actors.exceptions import leaves
from actors.queries import ListStock
from cells.map_file import MapFile
from cells.waiting_inventory import WaitingInventory
from rpc.call_deadlines import CallDeadlines
from rpc.frontends.link_listener import LinkListener
from rpc.inventory_port import Inventory
from rpc.messages.import_lines import counted_line
from rpc.rate_limits import RateLimits
from rpc.rpc_server import LINGER_S, RpcServer
from rpc.transport.addresses import Address, ListenError
from rpc.transport.transport_choice import choose_transport
from stockkeeper.bootstrap import build_supervisor
from stockkeeper.config import ConfigurationError, ServeConfig
from stockkeeper.serving.announcement import Announcement, TakeoverLog
from stockkeeper.serving.cell_membership import CellMembership, CellRefused, open_map
from stockkeeper.serving.frontend_processes import Frontends
from stockkeeper.serving.garbage_collection import collect_seldom, schedule_full_collections
from stockkeeper.serving.interpreter_lock import share_soon
from stockkeeper.serving.link_settings import doors_of
from stockkeeper.serving.linked_network import CallersNetwork, LinkedNetwork, NoCallers
from stockkeeper.serving.memory_return import MemoryReturn
from stockkeeper.serving.open_files import raise_open_files_limit
from stockkeeper.serving.process_end import end_process
from stockkeeper.serving.process_watch import ProcessWatch
from stockkeeper.serving.programs_beside import ProgramsBeside
from stockkeeper.serving.who_is_served import see_who_is_served
from stockkeeper.stock_csv import SAMPLE_ORGANIZATION, read_counted_lines, sample_file
from stockkeeper.turn_watch import TurnWatch
from storage.schema_errors import SchemaTooNew
from storage.sql.database_url import show_url
from storage.store import OwnershipLost, StorageError
from supervisor.supervisor import Supervisor

log = structlog.get_logger("stockkeeper")

EXIT_OK, EXIT_FAILURE, EXIT_USAGE, EXIT_OWNERSHIP = 0, 1, 2, 3
STATUS_OF = {OwnershipLost: EXIT_OWNERSHIP, CellRefused: EXIT_USAGE}

SAMPLE_REQUEST_ID = "sample-stock"


class OutputFailed(Exception):
    """The line that says where the server listens cannot be written. Its text is one sentence."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"The output cannot be written: {error.strerror}.")


def serve(config: ServeConfig) -> NoReturn:
    """Serve until SIGTERM or SIGINT, and end the process. What went wrong is one sentence on stderr, or in the log once
    the server has said where it listens.

    Raises:
        ConfigurationError: the configuration cannot work.
    """
    see_who_is_served(config)
    if config.sample and config.stands_by:
        raise ConfigurationError(
            "--sample and --standby do not go together: a standby may have nothing to load it into."
        )
    cells = open_map(config.cells) if config.cells is not None else None
    watch = ProcessWatch(config.watch)
    raise_open_files_limit()
    collect_seldom()
    share_soon()
    # uvloop: an eighth less CPU time a call
    anyio.run(_serve_and_end, config, watch, cells, backend_options={"use_uvloop": True})
    raise AssertionError("the process has ended")


async def _serve_and_end(config: ServeConfig, watch: ProcessWatch, cells: MapFile | None) -> None:
    status, started = EXIT_OK, anyio.Event()
    schedule_full_collections()
    try:
        await _serve(config, watch, cells, started)
    except Exception as error:
        explained = _explain(error, log_it=started.is_set())
        if explained is None:
            raise
        status = explained
    end_process(status)  # before the loop ends, which would end its calls


async def _serve(config: ServeConfig, watch: ProcessWatch, cells: MapFile | None, started: anyio.Event) -> None:
    announcement, takeovers = Announcement(), TakeoverLog()
    supervisor = build_supervisor(config, announcement.set_serving, watch.stages)
    tasks = anyio.create_task_group()
    network = announcement.network = _build_network(config, supervisor, watch, cells, tasks.start_soon)
    core_ended = anyio.Event()
    beside = ProgramsBeside(config)

    async def run_core(*, task_status: TaskStatus[None]) -> None:
        try:
            await supervisor.run(task_status=task_status)
        finally:
            core_ended.set()

    async with tasks:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            await tasks.start(run_core)
            if cells is not None:
                await _join_cells(config, cells, supervisor, tasks, core_ended)
            try:
                addresses = await network.start()
                loaded = await _load_sample(supervisor) if config.sample else False
                turns = TurnWatch()  # only now: a start may take its time
                _memory = MemoryReturn(let_go=lambda: _times_let_go(supervisor))
                await watch.show(turns, server=_shown(network), supervisor=supervisor)
                takeovers.note(supervisor.ownership)
                _log_start(config, addresses)
                _say_listening(config, addresses, loaded, stands_by=bool(supervisor.waits_for))
                started.set()
                announcement.when_serving(
                    supervisor.serving,
                    partial(beside.start, addresses),
                    lambda: takeovers.note(supervisor.ownership) if config.stands_by else None,
                )
                async for number in signals:
                    log.info("stopping", signal=signal.Signals(number).name, grace_s=config.grace_s)
                    break
                turns.stop()
                await beside.stop()
                # The core refuses what is new with UNAVAILABLE and finishes what runs while the network still answers.
                supervisor.stop()
                with anyio.move_on_after(config.grace_s):
                    await core_ended.wait()
                if not core_ended.is_set():
                    tasks.cancel_scope.cancel()
            finally:
                with anyio.CancelScope(shield=True):
                    await beside.stop()
                    await network.drain(LINGER_S)
                    await watch.end()
    log.info("stopped")


async def _join_cells(
    config: ServeConfig, file: MapFile, supervisor: Supervisor, tasks: TaskGroup, end: anyio.Event
) -> None:
    assert config.cells is not None
    membership = CellMembership(config.cells.name, file, supervisor)
    await membership.begin(stands_by=config.stands_by)
    tasks.start_soon(membership.follow, end)


def _shown(network: CallersNetwork) -> RpcServer | None:
    """What of it has metrics of its own in this process."""
    callers = network.callers if isinstance(network, LinkedNetwork) else network
    return callers if isinstance(callers, RpcServer) else None


def _build_network(
    config: ServeConfig, supervisor: Supervisor, watch: ProcessWatch, cells: MapFile | None, start_soon: StartSoon
) -> CallersNetwork:
    inventory = _rate_limited(config, supervisor)
    is_linked = config.cells is not None and config.cells.links_only
    callers = NoCallers() if is_linked else _build_callers(config, inventory, watch, start_soon)
    if config.cells is None or cells is None:
        return callers
    links = [LinkListener(door, inventory) for door in doors_of(config.cells, cells.current)]
    return LinkedNetwork(callers, links, stands_by=config.stands_by)


def _build_callers(
    config: ServeConfig, inventory: Inventory, watch: ProcessWatch, start_soon: StartSoon
) -> CallersNetwork:
    deadlines = None
    if config.cells is not None:
        deadlines = CallDeadlines()  # of the server's own callers; a front-end's are known to it alone
        inventory = WaitingInventory(inventory, start_soon, deadlines.of_this_call)
    if config.frontends:
        build: Callable[..., CallersNetwork] = partial(Frontends, processes=config.frontends, watch=config.watch)
    else:
        build = partial(RpcServer, watch=watch.calls(), deadlines=deadlines)
    return build(
        inventory,
        host=config.host,
        port=config.port,
        calls_max=config.limits.calls_max,
        transport=choose_transport(config.transport),
        message_bytes_max=config.message_bytes_max,
        tls=config.tls,
        keys_file=config.keys_file,
        tokens=config.tokens,
        has_reflection=config.has_reflection,
        bounds=config.bounds,
    )


def _rate_limited(config: ServeConfig, inventory: Inventory) -> Inventory:
    if not config.rate_limit_per_minute:
        return inventory
    return RateLimits(inventory, config.rate_limit_per_minute, time.monotonic)


def _times_let_go(supervisor: Supervisor) -> int:
    core = supervisor.statistics()
    return 0 if core is None else core.sweeping.times


def _log_start(config: ServeConfig, addresses: Sequence[Address]) -> None:
    """Logged only now, so that a start that fails says nothing but why."""
    where, database = [str(address) for address in addresses], show_url(config.database_url)
    log.info("started", version=version("stockkeeper"), addresses=where, database=database)


def _say_listening(config: ServeConfig, addresses: Sequence[Address], loaded: bool, *, stands_by: bool) -> None:
    where, database = " and ".join(str(address) for address in addresses), show_url(config.database_url)
    _say(f"stockkeeper listens on {where}, {'stands by for' if stands_by else 'stock is kept in'} {database}")
    if config.sample:
        port = addresses[0].port
        target = "" if port == 50_053 else f" --target localhost:{port}"
        _say("A sample stock was loaded. Try next:" if loaded else "Try next:")
        _say(f"  {_program()} stock {SAMPLE_ORGANIZATION}{target}")
        _say(f"  {_program()} reserve {SAMPLE_ORGANIZATION} order-1 mug:2 teapot:1{target}")


async def _load_sample(supervisor: Supervisor) -> bool:
    """Load the sample stock the first time: the import's request id makes every other time a repetition."""
    page = await supervisor.answer(ListStock(SAMPLE_ORGANIZATION, limit=1)).wait()
    if page.stock:
        return False
    with sample_file().open(encoding="utf-8") as file:
        lines = [counted_line(line, line.line_number) for line in read_counted_lines(file).lines]
    await supervisor.ask(Import(tuple(lines), SAMPLE_REQUEST_ID))
    return True


def _program() -> str:
    return sys.argv[0] if sys.argv[0].endswith("stockkeeper") else "stockkeeper"


def _explain(error: Exception, *, log_it: bool) -> int | None:
    """Say what went wrong. Returns the exit status, or None for a bug of this program."""
    for cause in leaves(error):
        if isinstance(cause, (OwnershipLost, SchemaTooNew, StorageError, ListenError, OutputFailed, CellRefused)):
            status = STATUS_OF.get(type(cause), EXIT_FAILURE)
            if log_it:
                log.error("ended", reason=str(cause), exit_status=status)
            else:
                sys.stderr.write(f"{cause}\n")
            return status
    return None


def _say(line: str) -> None:
    """Print a line.

    Raises:
        OutputFailed: it cannot be written.
    """
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except OSError as error:
        raise OutputFailed(error) from error
