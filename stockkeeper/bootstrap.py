"""The composition root: the only place that knows which adapters, clocks and id sources are used."""

import os
import socket
import time
from collections.abc import Callable

import structlog
import uuid_utils

from actors.exceptions import leaves
from actors.stages import Stages
from stockkeeper.config import ConfigurationError, ServeConfig
from stockkeeper.future_event import FutureEvent
from storage.sql.database_url import parse_url
from storage.sql.sql_store import SqlStore
from storage.store import OwnershipLost, StorageError
from supervisor.clock import ServiceClock
from supervisor.incarnation import Sources
from supervisor.supervisor import Supervisor

log = structlog.get_logger("stockkeeper")


def build_store(database_url: str) -> SqlStore:
    """The store that a URL names. Nothing is opened yet.

    Raises:
        ConfigurationError: the URL is not one of a database that is supported.
    """
    try:
        return SqlStore(database_url, owner=f"{socket.gethostname()} pid {os.getpid()}")
    except ValueError as error:
        raise ConfigurationError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None


def build_sources(stages: Stages | None = None) -> Sources:
    """The machine's clocks, random ids, and the log."""
    return Sources(
        clock=ServiceClock(lambda: time.time_ns() // 1_000_000, time.monotonic),
        new_id=lambda: str(uuid_utils.uuid7()),
        report_crash=_report_crash,
        monotonic_s=time.monotonic,
        event=FutureEvent,
        stages=stages,
    )


def build_supervisor(
    config: ServeConfig, on_serving: Callable[[bool], None], stages: Stages | None = None
) -> Supervisor:
    """The core on its database, not running yet.

    Raises:
        ConfigurationError: see `build_store`; or a standby is wanted where there can be none.
    """
    store = build_store(config.database_url)
    if config.stands_by and parse_url(config.database_url).get_backend_name() == "sqlite":
        raise ConfigurationError(
            "--standby needs Postgres: nothing can take the lock of a SQLite file from a process that still exists."
        )
    stand_by = store.stand_by if config.stands_by else None
    return Supervisor(store, build_sources(stages), config.limits, on_serving, _report, stand_by)


def _report_crash(actor: object, error: Exception) -> None:
    """A step of housekeeping that failed with its database is no bug either."""
    if isinstance(error, StorageError):
        log.warning("storage_failed", error=str(error), actor=repr(actor))
        return
    log.error("actor_crashed", actor=repr(actor), exc_info=error)


def _report(error: BaseException) -> None:
    """What ended an incarnation: a storage failure is one line, anything else is a bug and has its traceback."""
    for one in leaves(error):
        if isinstance(one, StorageError):
            log.warning("storage_failed", error=str(one))
        elif isinstance(one, OwnershipLost):
            log.warning("ownership_lost", reason=str(one))  # by a standby, which waits for it again
        else:
            log.error("core_failed", exc_info=one)
