"""An order's way as spans: from the call over the mailbox, the wait for a rival and the journal to the commit."""

import asyncio
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import anyio
import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, ParentBasedTraceIdRatio, Sampler
from opentelemetry.trace import SpanKind, StatusCode
from stockkeeper_client import InventoryClient
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub

from actors.commands import Reserve
from actors.records import Origin, Transaction
from rpc.call_watch import CallWatch
from rpc.rpc_server import RpcServer
from rpc.transport.transport_name import TransportName
from stockkeeper.bootstrap import build_sources
from stockkeeper.config import ConfigurationError, WatchConfig
from stockkeeper.serving.process_watch import ProcessWatch
from stockkeeper.tracing.stage_spans import StageSpans
from stockkeeper.tracing.tracing_setup import Traces
from storage.memory_store import Disk, MemoryStore
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor
from tests.system.manual import commands
from tests.system.servers import ORGANIZATION, ROOT, line, running_server

pytestmark = pytest.mark.anyio

TRACE = "0af7651916cd43dd8448eb211c80319c"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-b7ad6b7169203331-01", f"00-{TRACE}-b7ad6b7169203331-00"
RESERVE = "inventory.v1.InventoryService/ReserveStock"
ALWAYS = ParentBased(ALWAYS_ON)
WAY = ["validation", "mailbox", "hold", "journal", "commit"]


@asynccontextmanager
async def traced(
    transport: TransportName, sampler: Sampler = ALWAYS
) -> AsyncIterator[tuple[InventoryServiceStub, InMemorySpanExporter]]:
    """A server and its core in this process, on a simulated disk, and where its spans go."""
    spans = InMemorySpanExporter()
    traces = Traces(SimpleSpanProcessor(spans), sampler)
    supervisor = Supervisor(MemoryStore(Disk()), build_sources(traces.stages), Limits())
    async with anyio.create_task_group() as tasks:
        await tasks.start(supervisor.run)
        watch = CallWatch(traces=traces.calls)
        server = RpcServer(supervisor, host="127.0.0.1", port=0, transport=transport, watch=watch)
        [address] = await server.start()
        async with InventoryClient(address.host, address.port, breaker=False) as client:
            await client.stock.import_stock([line("mug", 50)])
        spans.clear()
        async with grpc.aio.insecure_channel(str(address)) as channel:
            yield InventoryServiceStub(channel), spans
        await server.stop(0)
        supervisor.stop()


def by_name(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


async def reserve(inventory: Any, order: str, pieces: int, *metadata: tuple[str, str]) -> None:
    items = [pb.ReservationItem(variant_id="mug", quantity=pieces)]
    request = pb.ReserveStockRequest(organization_id=ORGANIZATION, order_id=order, items=items)
    await inventory.ReserveStock(request, metadata=metadata)


@pytest.fixture(params=["core", "grpc-aio"])
def transport(request: pytest.FixtureRequest) -> TransportName:
    name: TransportName = request.param
    return name


async def test_an_order_is_followed_from_the_call_to_the_commit(transport: TransportName) -> None:
    async with traced(transport) as (client, spans):
        await reserve(client, "o1", 2, ("traceparent", SAMPLED))
        async with asyncio.timeout(20):
            while RESERVE not in by_name(spans):  # noqa: ASYNC110 - the answer may come before the span's end
                await asyncio.sleep(0.01)
    every = by_name(spans)
    call = every.pop(RESERVE)
    assert sorted(every) == sorted(WAY)
    assert call.kind is SpanKind.SERVER
    assert call.context is not None
    assert f"{call.context.trace_id:032x}" == TRACE
    assert call.parent is not None
    assert f"{call.parent.span_id:016x}" == "b7ad6b7169203331"
    assert call.attributes is not None
    assert dict(call.attributes) == {
        **{"rpc.system.name": "grpc", "rpc.method": RESERVE, "rpc.response.status_code": "OK"},
        **{"stockkeeper.organization_id": ORGANIZATION, "stockkeeper.order_id": "o1"},
    }
    for stage in every.values():
        assert stage.parent is not None
        assert stage.parent.span_id == call.context.span_id
    times = [(every[name].start_time or 0, every[name].end_time or 0) for name in WAY]
    assert times == sorted(times)
    assert all(began <= ended for began, ended in times)
    assert [ended for _, ended in times[1:-1]] == [began for began, _ in times[2:]]  # no time is left out in the core


async def test_a_refusal_is_no_error_of_the_service_and_has_no_commit(transport: TransportName) -> None:
    async with traced(transport) as (client, spans):
        with pytest.raises(grpc.aio.AioRpcError):
            await reserve(client, "o1", 999)
    every = by_name(spans)
    call = every[RESERVE]
    assert call.attributes is not None
    assert call.attributes["rpc.response.status_code"] == "FAILED_PRECONDITION"
    assert call.status.status_code is StatusCode.UNSET
    assert set(every) == {RESERVE, "validation", "mailbox"}


async def test_the_wait_for_a_rival_is_a_span_of_its_own() -> None:
    spans = InMemorySpanExporter()
    stages = Traces(SimpleSpanProcessor(spans), ALWAYS).stages
    origin = Origin("", "", SAMPLED)
    command = Reserve(ORGANIZATION, "o1", (), 15, origin=origin)
    stages.submitted(command)
    stages.begun(command)
    stages.waited(7, 1.0, 1.5)
    stages.waited(8, 1.0, 9.0)  # another's
    stages.decided(7, Transaction(1, 0, "reserve", origin=origin))
    now_s = time.monotonic()
    stages.written([Transaction(1, 0, "reserve", origin=origin)], now_s, now_s + 0.5)
    every = by_name(spans)
    assert set(every) == {"mailbox", "wait for rivals", "hold", "journal", "commit"}
    waited = every["wait for rivals"]
    assert (waited.end_time or 0) - (waited.start_time or 0) == 500_000_000
    commit = every["commit"]
    assert (commit.end_time or 0) - (commit.start_time or 0) == pytest.approx(500_000_000, abs=1_000)
    assert stages.statistics() == (0, 0)


async def test_what_is_not_sampled_leaves_no_span_and_a_caller_may_say_so(transport: TransportName) -> None:
    async with traced(transport) as (client, spans):
        await reserve(client, "o1", 1, ("traceparent", NOT_SAMPLED))
        assert by_name(spans) == {}
    async with traced(transport, ParentBasedTraceIdRatio(0.0)) as (client, spans):
        await reserve(client, "o1", 1)
        assert by_name(spans) == {}
        await reserve(client, "o2", 1, ("traceparent", SAMPLED))
        assert RESERVE in by_name(spans)


class Collector(BaseHTTPRequestHandler):
    """Keeps what is sent to it."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.taken.append((self.path, body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        pass


@contextmanager
def collecting() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """The URL of a collector, and what it has taken: paths and bodies."""
    collector: Any = HTTPServer(("127.0.0.1", 0), Collector)
    collector.taken = []
    thread = threading.Thread(target=collector.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{collector.server_port}", collector.taken
    finally:
        collector.shutdown()
        thread.join()
        collector.server_close()


@pytest.mark.parametrize("frontends", ["0", "2"])
async def test_the_program_sends_its_spans_where_the_variables_say_and_its_last_ones_too(
    frontends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind front-ends too an order's trace is whole, though two processes send its parts."""
    with collecting() as (url, taken):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
        options = shlex.split(commands("Watching it")[-1])[2:]  # as the manual has it
        assert options == ["--traces"]
        options += ["--frontends", frontends]
        async with running_server(tmp_path / "stock.db", *options) as server, server.client() as client:
            await client.stock.import_stock([line("mug", 50)])
            await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "mug", "quantity": 2}])
    assert {path for path, _ in taken} == {"/v1/traces"}
    resources = [one for _, body in taken for one in ExportTraceServiceRequest.FromString(body).resource_spans]
    for resource in resources:
        named = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
        assert named["service.name"] == "stockkeeper"
    spans = [span for resource in resources for scope in resource.scope_spans for span in scope.spans]
    [call] = [span for span in spans if span.name == RESERVE]
    way = [span for span in spans if span.trace_id == call.trace_id and span is not call]
    assert sorted(span.name for span in way) == sorted(WAY)
    assert {span.parent_span_id for span in way} == {call.span_id}
    began = [span.start_time_unix_nano for name in WAY for span in way if span.name == name]
    assert call.start_time_unix_nano <= began[0]
    assert began[1:] == sorted(began[1:])  # the clock of the owner


@pytest.mark.parametrize(
    "missing", ["opentelemetry.sdk.resources", "opentelemetry.exporter.otlp.proto.http.trace_exporter"]
)
def test_without_the_extra_it_is_said_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "stockkeeper.tracing.tracing_setup")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigurationError, match=f"Traces need {missing}: install stockkeeper\\[traces\\]"):
        ProcessWatch(WatchConfig(has_traces=True))


def test_without_traces_nothing_of_opentelemetry_is_imported() -> None:
    imports = "import sys, stockkeeper.command_line.serve_command, stockkeeper.serving.serve"
    watch = "from stockkeeper.config import WatchConfig; stockkeeper.serving.serve.ProcessWatch(WatchConfig())"
    program = f"{imports}; {watch}; print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "False\n"


async def test_one_that_came_late_to_a_batch_has_not_waited_for_its_beginning() -> None:
    spans, now = InMemorySpanExporter(), [10.0]
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    stages = StageSpans(provider.get_tracer("a test"), clock_s=lambda: now[0], now_ns=lambda: 0)
    origin = Origin("", traceparent=SAMPLED)
    late = Transaction(7, at_ms=0, kind="remember", origin=origin)
    stages.submitted(Reserve("o", "order", (), 15, "", origin=origin))
    now[0] = 12.0  # the batch began at 11
    stages.decided(1, late)
    stages.written([late], began_s=11.0, ended_s=13.0)
    times = {one.name: (one.end_time or 0) - (one.start_time or 0) for one in spans.get_finished_spans()}
    assert times == {"hold": 2_000_000_000, "journal": 0, "commit": 1_000_000_000}
