"""The relay of `serve --events-to` and the consumer of `serve --consume`, if they are wanted.

Without the extra `events` nothing of them is imported.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rpc.transport.addresses import Address
from stockkeeper.broker_url import broker_url
from stockkeeper.config import ServeConfig

if TYPE_CHECKING:
    from stockkeeper.serving.beside_process import BesideProcess


class ProgramsBeside:
    """None, one or both, which are started when it is known where the server listens.

    Raises:
        ConfigurationError: a broker's URL is none, or what it needs is not installed.
    """

    def __init__(self, config: ServeConfig) -> None:
        self._config = config
        self._processes: list[BesideProcess] = []
        if config.events_to or config.consume:
            self._configs("")

    def __repr__(self) -> str:
        return f"<ProgramsBeside {self._processes}>"

    def start(self, addresses: Sequence[Address]) -> None:
        """Start those that are wanted."""
        if self._config.events_to or self._config.consume:
            self._processes = self._configs(self._target(addresses[0]))
        for process in self._processes:
            process.start()

    async def stop(self) -> None:
        """Have them end."""
        for process in self._processes:
            await process.stop()

    def _target(self, address: Address) -> str:
        """Where they find the server: with TLS by the name that its certificate has."""
        if self._config.tls is None:
            return str(address)
        host = "localhost" if self._config.host in ("0.0.0.0", "::") else self._config.host
        return f"https://{Address(host, address.port)}"

    def _configs(self, target: str) -> "list[BesideProcess]":
        from events.brokers import BrokerOptions
        from stockkeeper.serving.beside_process import BesideProcess
        from stockkeeper.serving.consuming import ConsumeConfig, inbox_of
        from stockkeeper.serving.relaying import RelayConfig, broker_of

        config, found = self._config, list[BesideProcess]()
        options = BrokerOptions(config.events_exchange, heartbeat_s=config.events_heartbeat_s)
        if config.events_to:
            relay = RelayConfig(target, broker_url(config.events_to), broker=options, is_beside=True)
            broker_of(relay)
            found.append(BesideProcess(relay))
        if config.consume:
            consumer = ConsumeConfig(
                target, broker_url(config.consume), config.events_prefetch, options, is_beside=True
            )
            inbox_of(consumer)
            found.append(BesideProcess(consumer))
        return found
