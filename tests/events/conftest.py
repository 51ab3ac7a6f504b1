"""One broker of each kind for all tests of a process: a start takes RabbitMQ some seconds."""

from collections.abc import Iterator

import pytest

from tests.events.real_brokers import HOW_TO_GET_RABBIT, RABBIT, BrokerProcess, running_broker


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """It is started again where a test killed it."""
    if not RABBIT.exists():
        pytest.skip(HOW_TO_GET_RABBIT)
    with running_broker("rabbit", tmp_path_factory.mktemp("rabbit")) as broker:
        yield broker


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """Likewise."""
    with running_broker("nats", tmp_path_factory.mktemp("nats")) as broker:
        yield broker
