"""Which broker a URL means. The adapters are imported here and only when they are needed: they are an extra."""

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from events.broker_port import Broker
from events.envelope import EventsFormat
from events.inbox_port import Inbox

RABBIT: Sequence[str] = ("amqp", "amqps")
NATS: Sequence[str] = ("nats", "tls", "ws", "wss")
INSTALL = "install stockkeeper[events]"


class BrokerOptions(Struct, frozen=True):
    """What the person who runs a relay can say of a broker.

    Args:
        exchange: RabbitMQ's topic exchange, and the name of NATS' stream.
        declare: whether it is made if it is not there.
        heartbeat_s: RabbitMQ's, in seconds.
    """

    exchange: str = "inventory_events"
    declare: bool = True
    heartbeat_s: int = 60


def scheme_of(url: str) -> str:
    """Raises `ValueError`, in a sentence, if it is no URL of a broker."""
    scheme = url.partition("://")[0]
    if scheme not in (*RABBIT, *NATS):
        raise ValueError("a broker's URL begins with amqp:// or nats://")
    return scheme


def default_format(url: str) -> EventsFormat:
    """How events are written if it is not said. Raises `ValueError`, too."""
    return "erp" if scheme_of(url) in RABBIT else "cloudevents"


def check_format(form: EventsFormat) -> None:
    """Raises `ValueError`, in a sentence, if what it needs is not installed."""
    try:
        if form == "cloudevents":
            from events.cloud_format import cloud_body  # noqa: F401
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is not installed: {INSTALL}") from error


def broker_for(url: str, options: BrokerOptions) -> Broker:
    """The broker at a URL; it is not connected yet.

    Raises:
        ValueError: it is no such URL, or what it needs is not installed; the text is a sentence.
    """
    try:
        return _rabbit(url, options) if scheme_of(url) in RABBIT else _nats(url, options)
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is not installed: {INSTALL}") from error


def _rabbit(url: str, options: BrokerOptions) -> Broker:
    from events.rabbit_broker import RabbitBroker, RabbitOptions

    return RabbitBroker(url, RabbitOptions(options.exchange, options.declare, options.heartbeat_s))


def _nats(url: str, options: BrokerOptions) -> Broker:
    from events.nats_broker import NatsBroker, NatsOptions

    return NatsBroker(url, NatsOptions(options.exchange, options.declare))


def inbox_for(url: str, options: BrokerOptions, prefetch: int) -> Inbox:
    """What is heard at a URL. Raises as `broker_for` does."""
    try:
        if scheme_of(url) in RABBIT:
            from events.rabbit_broker import RabbitOptions
            from events.rabbit_inbox import RabbitInbox

            return RabbitInbox(url, RabbitOptions(options.exchange, options.declare, options.heartbeat_s), prefetch)
        from events.nats_broker import NatsOptions
        from events.nats_inbox import NatsInbox

        return NatsInbox(url, NatsOptions(options.exchange, options.declare), prefetch)
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is not installed: {INSTALL}") from error


def redrive_for(url: str) -> Callable[[str], Awaitable[int]]:
    """What sends again what was buried at a URL. Raises as `broker_for` does."""
    try:
        if scheme_of(url) in RABBIT:
            from events.rabbit_inbox import redrive
        else:
            from events.nats_inbox import redrive
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is not installed: {INSTALL}") from error
    return redrive
