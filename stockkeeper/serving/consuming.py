"""A consumer as a program: on asyncio, with signals."""

import logging
import signal

import anyio
import structlog
from msgspec import Struct

from events.brokers import BrokerOptions, default_format, inbox_for
from events.consumer import Consumer
from events.deeds import Deeds
from events.inbox_port import Inbox
from events.server_stock import ServerStock
from stockkeeper.config import ConfigurationError
from stockkeeper.server_address import ServerAddress

log = structlog.get_logger("stockkeeper")

CALL_TIMEOUT_S = 10.0


class ConsumeConfig(Struct, frozen=True, tag=True):
    """What a consumer can be told.

    Args:
        target: the server, as host:port, or https://host:port with TLS.
        url: the broker's.
        prefetch: how many events of a queue may be under way; 0: as is usual for that queue.
        broker: what else the broker is told.
        is_beside: it runs beside the server, on the same machine.
    """

    target: str
    url: str
    prefetch: int = 0
    broker: BrokerOptions = BrokerOptions()
    is_beside: bool = False


def run_consumer(config: ConsumeConfig) -> int:
    """Listen until SIGTERM or SIGINT. Returns the exit status.

    Raises:
        ConfigurationError: it cannot work.
    """
    anyio.run(_until_a_signal, config, inbox_of(config))
    return 0


async def _until_a_signal(config: ConsumeConfig, inbox: Inbox) -> None:
    async with anyio.create_task_group() as tasks:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            tasks.start_soon(consume_forever, config, inbox)
            async for number in signals:
                log.info("stopping", signal=signal.Signals(number).name)
                break
            tasks.cancel_scope.cancel()
    log.info("stopped")


def inbox_of(config: ConsumeConfig) -> Inbox:
    """The broker that is meant; it is not connected yet.

    Raises:
        ConfigurationError: its URL is none, or what it needs is not installed.
    """
    for name in ("aiormq", "aio_pika", "nats"):  # they log what is raised as well
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return inbox_for(config.url, config.broker, config.prefetch)
    except ValueError as error:
        raise ConfigurationError(f"Nothing can be consumed: {error}.") from error


async def consume_forever(config: ConsumeConfig, inbox: Inbox) -> None:
    """Listen until cancelled."""
    async with ServerAddress(config.target, is_here=config.is_beside).client(CALL_TIMEOUT_S) as client:
        await Consumer(inbox, Deeds(ServerStock(client)), default_format(config.url)).run()
