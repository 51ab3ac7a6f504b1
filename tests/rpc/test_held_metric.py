"""What the metrics say of calls that are held."""

import pytest

from rpc.held_calls import HeldCallsStatistics
from rpc.rpc_server import RpcServer
from tests.rpc.fake_inventory import FakeInventory

call_metrics = pytest.importorskip("stockkeeper.metrics.call_metrics").call_metrics

pytestmark = pytest.mark.anyio


async def test_calls_are_counted_and_not_their_organizations() -> None:
    found = RpcServer(FakeInventory(), host="127.0.0.1", port=0).statistics()
    held = found._replace(held=HeldCallsStatistics(calls=3, organizations=1))
    values = {metric.name: metric.samples[0].value for metric in call_metrics(held) if metric.samples}
    assert values["stockkeeper_calls_held"] == 3
