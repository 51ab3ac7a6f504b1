"""The command line. Exit status: 0 done, 1 failure, 2 usage or configuration, 3 ownership refused or lost."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number

from rpc.transport.transport_name import TransportName
from stockkeeper.config import DEFAULT_DATABASE_URL, DEFAULT_PORT, ConfigurationError, ServeConfig

DEFAULT_TARGET = f"localhost:{DEFAULT_PORT}"

Target = Annotated[str, Parameter(help="The server, as host:port.", env_var="STOCKKEEPER_TARGET")]
RequestId = Annotated[
    str, Parameter(help="Names the request, so that repeating the command changes nothing twice; random by default.")
]

app = App(
    name="stockkeeper",
    help="Keeps stock counts true while many orders want the same goods.",
    version_flags=["--version"],
)


def main() -> None:
    """The entry point of the `stockkeeper` program."""
    try:
        status = app(exit_on_error=False, result_action="return_value")
    except CycloptsError:
        sys.exit(2)  # cyclopts has said why
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)


@app.command
def serve(
    *,
    host: Annotated[str, Parameter(env_var="GRPC_HOST")] = "localhost",
    port: Annotated[int, Parameter(env_var="GRPC_PORT", validator=Number(gte=0, lte=65_535))] = DEFAULT_PORT,
    database_url: Annotated[str, Parameter(env_var="DATABASE_URL")] = DEFAULT_DATABASE_URL,
    frontends: Annotated[int, Parameter(env_var="GRPC_FRONTENDS", validator=Number(gte=0, lte=64))] = 0,
    transport: Annotated[TransportName | None, Parameter(env_var="STOCKKEEPER_TRANSPORT")] = None,
    grace_s: Annotated[float, Parameter(validator=Number(gte=0))] = 10.0,
    keep_days: Annotated[int | None, Parameter(env_var="KEEP_DAYS", validator=Number(gte=1, lte=36_500))] = None,
    sample: Annotated[bool, Parameter(negative="")] = False,
    log_level: Annotated[str, Parameter(env_var="LOG_LEVEL")] = "info",
) -> None:
    """Serve the inventory until SIGTERM or SIGINT.

    Parameters
    ----------
    host
        What to listen on; localhost means IPv4 and IPv6.
    port
        Where to listen; 0 chooses a free port.
    database_url
        Where stock is kept.
    frontends
        How many processes share the port and end gRPC, on a machine with cores to spare; 0 keeps it in this one.
    transport
        What carries the calls: gRPC's core or grpc.aio, which is slower; by default the core, if it was tried with the
        installed grpcio.
    grace_s
        How many seconds calls under way may go on after a SIGTERM.
    keep_days
        Move reservations that ended, ledger lines and idempotency keys out when they are older than so many days; all
        are kept by default.
    sample
        Load a sample stock if there is none.
    log_level
        debug, info, warning or error.
    """
    from stockkeeper.logs import configure_logging
    from stockkeeper.serving.serve import serve as run
    from supervisor.limits import Limits

    if log_level.lower() not in ("debug", "info", "warning", "error"):
        raise ConfigurationError(f"The log level must be debug, info, warning or error, not {log_level!r}.")
    configure_logging(log_level)
    run(
        ServeConfig(
            host=host,
            port=port,
            database_url=database_url,
            frontends=frontends,
            transport=transport,
            grace_s=grace_s,
            sample=sample,
            limits=Limits(keep_days=keep_days or 0),
        )
    )


@app.command(name="import")
def import_(file: Path, /, *, target: Target = DEFAULT_TARGET, request_id: RequestId = "") -> int:
    """Set stock to counted totals from a CSV file, all of it or nothing.

    Parameters
    ----------
    file
        Columns organization_id, variant_id, warehouse_id, total_quantity and, if you like, warehouse_name,
        damaged_quantity, in_transit_quantity, min_stock, max_stock.
    """
    from stockkeeper.command_line.client_commands import import_stock

    return import_stock(file, target, request_id)


@app.command
def stock(
    organization_id: str,
    variant_id: str = "",
    /,
    *,
    warehouse: str = "",
    rows: Annotated[int, Parameter(validator=Number(gte=1))] = 100,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Show an organization's stock.

    Parameters
    ----------
    variant_id
        Only this variant.
    warehouse
        Only this warehouse.
    rows
        How many rows at most.
    """
    from stockkeeper.command_line.client_commands import show_stock

    return show_stock(organization_id, variant_id, warehouse, rows, target)


@app.command
def reservations(
    organization_id: str,
    order_id: str = "",
    /,
    *,
    state: str = "",
    rows: Annotated[int, Parameter(validator=Number(gte=1))] = 100,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Show an organization's reservations, newest first.

    Parameters
    ----------
    order_id
        Only this order's.
    state
        active, confirmed, fulfilled, released or expired.
    rows
        How many rows at most.
    """
    from stockkeeper.command_line.client_commands import show_reservations

    return show_reservations(organization_id, order_id, state, rows, target)


@app.command
def reserve(
    organization_id: str,
    order_id: str,
    /,
    *lines: str,
    ttl_minutes: int = 0,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Reserve stock for an order, all lines or none.

    Parameters
    ----------
    lines
        variant:quantity or variant:quantity@warehouse.
    ttl_minutes
        How long to hold it; 0 means 15.
    """
    from stockkeeper.command_line.client_commands import reserve_stock

    return reserve_stock(organization_id, order_id, lines, ttl_minutes, target)


@app.command
def confirm(organization_id: str, reservation_id: str, order_id: str, /, *, target: Target = DEFAULT_TARGET) -> int:
    """Confirm a reservation: the payment succeeded."""
    from stockkeeper.command_line.client_commands import confirm_reservation

    return confirm_reservation(organization_id, reservation_id, order_id, target)


@app.command
def release(
    organization_id: str, reservation_id: str, reason: str = "cancelled", /, *, target: Target = DEFAULT_TARGET
) -> int:
    """Release a reservation: its goods go back."""
    from stockkeeper.command_line.client_commands import release_reservation

    return release_reservation(organization_id, reservation_id, reason, target)


@app.command
def receive(
    organization_id: str,
    variant_id: str,
    warehouse_id: str,
    quantity: int,
    /,
    *,
    reason: str = "",
    reference: str = "",
    request_id: RequestId = "",
    target: Target = DEFAULT_TARGET,
) -> int:
    """Add goods that came in to a row, which is made if it does not exist.

    Parameters
    ----------
    reason
        Why they came, for the ledger.
    reference
        The delivery note or other paper, for the ledger.
    """
    from stockkeeper.command_line.client_commands import receive_stock

    return receive_stock(organization_id, variant_id, warehouse_id, quantity, reason, reference, request_id, target)


@app.command
def fulfill(
    organization_id: str,
    reservation_id: str,
    /,
    *,
    reference: str = "",
    request_id: RequestId = "",
    target: Target = DEFAULT_TARGET,
) -> int:
    """Ship a confirmed reservation: its goods leave the stock.

    Parameters
    ----------
    reference
        The shipment's number or other paper, for the ledger.
    """
    from stockkeeper.command_line.client_commands import fulfill_reservation

    return fulfill_reservation(organization_id, reservation_id, reference, request_id, target)


@app.command
def check(*, database_url: Annotated[str, Parameter(env_var="DATABASE_URL")] = DEFAULT_DATABASE_URL) -> int:
    """Audit a database: do stock, ledger and reservations agree? A server may be using it meanwhile.

    Parameters
    ----------
    database_url
        Where stock is kept.
    """
    from stockkeeper.command_line.check_command import check as run

    return run(database_url)


@app.command
def backup(
    file: Path,
    /,
    *,
    database_url: Annotated[str, Parameter(env_var="DATABASE_URL")] = DEFAULT_DATABASE_URL,
    replace: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Copy a SQLite database into one file and check the copy. A server may be using the database meanwhile.

    Parameters
    ----------
    file
        Where the copy goes.
    database_url
        Where stock is kept.
    replace
        Replace the file if it exists.
    """
    from stockkeeper.command_line.backup_command import backup as run

    return run(file, database_url, replace=replace)


@app.command
def simulate(
    *,
    seed: int | None = None,
    seeds: str = "",
    fresh: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    regressions: Annotated[bool, Parameter(negative="")] = False,
    every_step: Annotated[bool, Parameter(negative="")] = False,
    shrink: Annotated[bool, Parameter(negative="")] = False,
    jobs: Annotated[int, Parameter(validator=Number(gte=1))] = 1,
    backend: Literal["trio", "asyncio"] = "trio",
    disk: Literal["memory", "sqlite", "power-cut"] = "memory",
    clients: int | None = None,
    operations: int | None = None,
    options: str = "",
    salt: str = "",
    bug: str = "",
) -> int:
    """Run the core in a simulated world, fixed by a seed, and check every answer.

    Parameters
    ----------
    seed
        Run this one and print its trace hash.
    seeds
        Run a range, as 0..5000.
    fresh
        Run so many seeds from a random place, which is printed.
    regressions
        Run every seed that ever failed.
    every_step
        Crash at every step of a small version of the seed.
    shrink
        Make a failure small before it is told.
    jobs
        Processes for a range.
    backend
        What the core runs on.
    disk
        What it writes to.
    clients
        Override the seed's number of clients.
    operations
        Override the seed's number of operations of each client.
    options
        Override anything else, as JSON.
    salt
        Gives the same world another schedule.
    bug
        Plant this bug, to see that it is caught.
    """
    from simulation.command import simulate as run  # trio comes with the extra `simulation`

    return run(
        seed=seed,
        seeds=seeds,
        fresh=fresh,
        regressions=regressions,
        every_step=every_step,
        shrink=shrink,
        jobs=jobs,
        backend=backend,
        disk=disk,
        clients=clients,
        operations=operations,
        options=options,
        salt=salt,
        bug=bug,
    )
