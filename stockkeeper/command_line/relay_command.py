"""`stockkeeper relay`: passes on what happens to other services, by way of a broker."""

from typing import Annotated

from cyclopts import Parameter

from events.brokers import BrokerOptions
from events.envelope import EventsFormat
from stockkeeper.broker_url import broker_url
from stockkeeper.command_line.goods_commands import Flag
from stockkeeper.command_line.parameters import DEFAULT_TARGET, ConfigFile, Target, whole
from stockkeeper.config import ConfigurationError
from stockkeeper.logs import configure_logging
from stockkeeper.server_address import ServerAddress

BrokerUrl = Annotated[str, Parameter(name="--to", env_var="RABBITMQ_URL")]
Exchange = Annotated[str, Parameter(env_var="RABBITMQ_EXCHANGE_INVENTORY")]
Heartbeat = Annotated[int, whole(0, 3_600), Parameter(name="--heartbeat-s", env_var="RABBITMQ_HEARTBEAT")]
LogLevel = Annotated[str, Parameter(env_var="LOG_LEVEL")]
IN_FLIGHT_MAX = 10_000


def relay(
    *,
    config: ConfigFile = "",
    to: BrokerUrl = "",
    name: str = "relay",
    from_: Annotated[str, Parameter(name="--from")] = "",
    events_format: EventsFormat | None = None,
    no_declare: Flag = False,
    exchange: Exchange = "inventory_events",
    heartbeat_s: Heartbeat = 60,
    in_flight: Annotated[int, whole(1, IN_FLIGHT_MAX)] = 1_000,
    log_level: LogLevel = "info",
    target: Target = DEFAULT_TARGET,
) -> int:
    """Publish everything that happens, at least once and in order, until SIGTERM or SIGINT.

    How far it has come is kept in the inventory's database, under its name. A second relay of that name waits until the
    first is gone.

    Parameters
    ----------
    to
        The broker: amqp://user@host/ or nats://user@host; with TLS amqps:// or tls://. Its password may stand in
        BROKER_PASSWORD or in the file BROKER_PASSWORD_FILE, the files for TLS in BROKER_TLS_CA, _CERT and _KEY.
    name
        Of its cursor: each name gets every event.
    from_
        Begin anew from a time, as 2026-01-31T12:00:00Z, or from a token that `events status` shows; by default it goes
        on where it was, and a new name begins now.
    events_format
        How events are written: erp, the default on RabbitMQ, or cloudevents, the default on NATS.
    no_declare
        Do not make the exchange or the stream: it is there.
    exchange
        RabbitMQ's topic exchange, or the name of NATS' stream.
    heartbeat_s
        RabbitMQ's heartbeat, in seconds; 0 for none.
    in_flight
        How many events may be sent and not confirmed.
    log_level
        debug, info, warning or error.
    """
    from stockkeeper.serving.relaying import RelayConfig, run_relay

    ServerAddress(target)
    if log_level.lower() not in ("debug", "info", "warning", "error"):
        raise ConfigurationError(f"The log level must be debug, info, warning or error, not {log_level!r}.")
    if not to:
        raise ConfigurationError("Say where events go: --to amqp://host/ or --to nats://host.")
    configure_logging(log_level)
    options = BrokerOptions(exchange, not no_declare, heartbeat_s)
    return run_relay(RelayConfig(target, broker_url(to), name, from_, events_format, in_flight, options))
