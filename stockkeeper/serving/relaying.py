"""A relay as a program: on asyncio, with signals, and one sentence if it cannot work."""

import logging
import signal
import sys

import anyio
import structlog
from msgspec import Struct

from actors.exceptions import leaves
from events.broker_port import Broker
from events.brokers import BrokerOptions, broker_for, check_format, default_format
from events.envelope import EventsFormat
from events.feed_port import FeedRefused
from events.relay import Relay, RelayOptions
from stockkeeper.config import ConfigurationError
from stockkeeper.server_address import ServerAddress

log = structlog.get_logger("stockkeeper")

EXIT_OK, EXIT_FAILURE = 0, 1


class RelayConfig(Struct, frozen=True, tag=True):
    """What a relay can be told.

    Args:
        target: the server, as host:port, or https://host:port with TLS.
        url: the broker's.
        name: of the cursor.
        begin: a token or a time to begin anew from; empty: where the cursor stands.
        form: how events are written; None: as is usual on that broker.
        in_flight_max: how many may be unconfirmed.
        broker: what else the broker is told.
        is_beside: it runs beside the server, on the same machine.
    """

    target: str
    url: str
    name: str = "relay"
    begin: str = ""
    form: EventsFormat | None = None
    in_flight_max: int = 1_000
    broker: BrokerOptions = BrokerOptions()
    is_beside: bool = False


def run_relay(config: RelayConfig) -> int:
    """Relay until SIGTERM or SIGINT. Returns the exit status.

    Raises:
        ConfigurationError: it cannot work.
    """
    broker = broker_of(config)
    try:
        anyio.run(_until_a_signal, config, broker, backend_options={"use_uvloop": True})
    except Exception as error:
        for cause in leaves(error):
            if isinstance(cause, FeedRefused):
                sys.stderr.write(f"{cause}\n")
                return EXIT_FAILURE
        raise
    return EXIT_OK


async def _until_a_signal(config: RelayConfig, broker: Broker) -> None:
    async with anyio.create_task_group() as tasks:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            tasks.start_soon(relay_forever, config, broker)
            async for number in signals:
                log.info("stopping", signal=signal.Signals(number).name)
                break
            tasks.cancel_scope.cancel()
    log.info("stopped")


def broker_of(config: RelayConfig) -> Broker:
    """The broker that is meant; it is not connected yet.

    Raises:
        ConfigurationError: its URL is none, or what it needs is not installed.
    """
    quiet = ("aiormq", "aio_pika", "nats")  # they log what is raised as well
    for name in quiet:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        check_format(config.form or default_format(config.url))
        return broker_for(config.url, config.broker)
    except ValueError as error:
        raise ConfigurationError(f"The events cannot be relayed: {error}.") from error


async def relay_forever(config: RelayConfig, broker: Broker) -> None:
    """Relay until cancelled.

    Raises:
        FeedRefused: the server does not have what is asked for.
    """
    feed = ServerAddress(config.target, is_here=config.is_beside).feed()
    form = config.form or default_format(config.url)
    try:
        await Relay(feed, broker, RelayOptions(config.name, form, config.begin, config.in_flight_max)).run()
    finally:
        with anyio.CancelScope(shield=True):
            await feed.close()
