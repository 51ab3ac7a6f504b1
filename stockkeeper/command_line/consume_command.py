"""`stockkeeper consume`: does what the events of other services say."""

from typing import Annotated

from cyclopts import Parameter

from events.brokers import BrokerOptions
from stockkeeper.broker_url import broker_url
from stockkeeper.command_line.goods_commands import Flag
from stockkeeper.command_line.parameters import DEFAULT_TARGET, ConfigFile, Target, whole
from stockkeeper.command_line.relay_command import Exchange, Heartbeat, LogLevel
from stockkeeper.config import ConfigurationError
from stockkeeper.logs import configure_logging
from stockkeeper.server_address import ServerAddress


def consume(
    *,
    config: ConfigFile = "",
    from_: Annotated[str, Parameter(name="--from", env_var="RABBITMQ_URL")] = "",
    no_declare: Flag = False,
    exchange: Exchange = "inventory_events",
    heartbeat_s: Heartbeat = 60,
    prefetch: Annotated[int, whole(0, 1_000), Parameter(env_var="RABBITMQ_PREFETCH_COUNT")] = 0,
    log_level: LogLevel = "info",
    target: Target = DEFAULT_TARGET,
) -> int:
    """Do what the catalog's, the orders' and the tills' events say, each once, until SIGTERM or SIGINT.

    What can never succeed goes to the queue inventory_failed_events, with its reason; `events redrive` sends it again.

    Parameters
    ----------
    from_
        The broker: amqp://user:password@host/ or nats://host.
    no_declare
        Do not make exchanges and queues, or streams: they are there.
    exchange
        Where answers go, such as inventory.reservation.failed: a topic exchange, or a stream of NATS.
    heartbeat_s
        RabbitMQ's heartbeat, in seconds; 0 for none.
    prefetch
        How many events of a queue or stream may be under way; by default 10 of the catalog's and 20 of the orders'.
    log_level
        debug, info, warning or error.
    """
    from stockkeeper.serving.consuming import ConsumeConfig, run_consumer

    ServerAddress(target)
    if log_level.lower() not in ("debug", "info", "warning", "error"):
        raise ConfigurationError(f"The log level must be debug, info, warning or error, not {log_level!r}.")
    if not from_:
        raise ConfigurationError("Say where events come from: --from amqp://host/ or --from nats://host.")
    configure_logging(log_level)
    options = BrokerOptions(exchange, not no_declare, heartbeat_s)
    return run_consumer(ConsumeConfig(target, broker_url(from_), prefetch, options))
