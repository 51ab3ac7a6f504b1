"""The relay of `serve --events-to`, if one is wanted. Without the extra `events` nothing of it is imported."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rpc.transport.addresses import Address
from stockkeeper.config import ServeConfig

if TYPE_CHECKING:
    from stockkeeper.serving.relay_process import RelayProcess


class RelayBeside:
    """None, or one that is started when it is known where the server listens.

    Raises:
        ConfigurationError: the broker's URL is none, or what it needs is not installed.
    """

    def __init__(self, config: ServeConfig) -> None:
        self._config = config
        self._process: RelayProcess | None = None
        if config.events_to:
            from stockkeeper.serving.relaying import RelayConfig, broker_of

            broker_of(RelayConfig("", config.events_to))

    def __repr__(self) -> str:
        return f"<RelayBeside {self._process}>"

    def start(self, addresses: Sequence[Address]) -> None:
        """Start it, if one is wanted."""
        if not self._config.events_to:
            return
        from events.brokers import BrokerOptions
        from stockkeeper.serving.relay_process import RelayProcess
        from stockkeeper.serving.relaying import RelayConfig

        options = BrokerOptions(self._config.events_exchange)
        self._process = RelayProcess(RelayConfig(str(addresses[0]), self._config.events_to, broker=options))
        self._process.start()

    async def stop(self) -> None:
        """Have it end, if there is one."""
        if self._process is not None:
            await self._process.stop()
