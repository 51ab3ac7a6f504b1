"""What reflection lists, it describes: each service, its file and all that it imports, in both versions."""

import fcntl
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio.to_thread
import grpc.aio
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from rpc.rpc_server import RpcServer
from rpc.service_names import REFLECTION_V1, REFLECTION_V1ALPHA
from tests.rpc.fake_inventory import FakeInventory

pytestmark = pytest.mark.anyio

Ask = reflection_pb2.ServerReflectionRequest
NODE_CLIENT = Path(__file__).parent / "node_client"
METHODS = {
    "inventory.v1.InventoryService": {
        *("CheckAvailability", "CheckBulkAvailability", "GetStockInfo"),
        *("ReserveStock", "ConfirmReservation", "ReleaseReservation"),
    },
    "inventory.v1.StockService": {
        *(
            "ImportStock",
            "ExportStock",
            "ReceiveStock",
            "AnnounceStock",
            "DeductStock",
            "AdjustStock",
            "DeleteStock",
            "FulfillReservation",
        ),
        *("ExtendReservation", "GetReservation", "AmendReservation", "ReacquireReservation"),
        *("UpsertWarehouse", "ListWarehouses", "SetStockLevels", "SetSourcingPolicy", "GetSourcingPolicy"),
        "Reserve",
        "ExplainReservation",
        *("ShipTransfer", "ReceiveTransfer", "CancelTransfer", "GetTransfer", "ListTransfers"),
        *("ListStock", "ListReservations"),
        *("ListMovements", "GetStockAt", "WatchChanges"),
    },
    "inventory.v1.ReservationStream": {"ReserveStock"},
    "inventory.v1.EventsService": {"ReadFeed", "TakeCursor", "MoveCursor", "DropCursor", "ListCursors"},
    "inventory.v1.OperationsService": {"GetActivity"},
    "grpc.health.v1.Health": {"Check", "Watch", "List"},
    REFLECTION_V1: {"ServerReflectionInfo"},
    REFLECTION_V1ALPHA: {"ServerReflectionInfo"},
}
both_versions = pytest.mark.parametrize("version", [REFLECTION_V1, REFLECTION_V1ALPHA])


async def answers(channel: Any, version: str, questions: Iterable[Ask]) -> list[Any]:
    method = channel.stream_stream(
        f"/{version}/ServerReflectionInfo", Ask.SerializeToString, reflection_pb2.ServerReflectionResponse.FromString
    )
    return [answer async for answer in method(iter(questions))]


def pool_with(files: Iterable[bytes]) -> DescriptorPool:
    """A pool with these files and no other: what is missing fails."""
    described = {file.name: file for file in map(FileDescriptorProto.FromString, files)}
    pool = DescriptorPool()

    def add(name: str) -> None:
        file = described.pop(name, None)
        if file is not None:
            for dependency in file.dependency:
                add(dependency)
            pool.Add(file)

    while described:
        add(next(iter(described)))
    return pool


@both_versions
async def test_these_services_are_listed_and_no_others(channel: grpc.aio.Channel, version: str) -> None:
    [answer] = await answers(channel, version, [Ask(list_services="")])
    assert [service.name for service in answer.list_services_response.service] == sorted(METHODS)


@both_versions
@pytest.mark.parametrize("service", METHODS)
async def test_a_service_is_described_with_all_that_its_file_imports(
    channel: grpc.aio.Channel, version: str, service: str
) -> None:
    [answer] = await answers(channel, version, [Ask(file_containing_symbol=service)])
    pool = pool_with(answer.file_descriptor_response.file_descriptor_proto)
    found = pool.FindServiceByName(service)
    methods = {method.name for method in found.methods}
    assert methods == METHODS[service] or methods == METHODS[service] - {"List"}  # an older grpcio-health-checking
    for method in found.methods:
        assert method.input_type.full_name.rpartition(".")[0] == service.rpartition(".")[0]
        assert method.output_type.full_name.rpartition(".")[0] == service.rpartition(".")[0]
        message = method.input_type.full_name
        [again] = await answers(channel, version, [Ask(file_containing_symbol=message)])
        pool_with(again.file_descriptor_response.file_descriptor_proto).FindMessageTypeByName(message)


@both_versions
@pytest.mark.parametrize("service", METHODS)
async def test_a_file_is_found_by_its_name(channel: grpc.aio.Channel, version: str, service: str) -> None:
    [answer] = await answers(channel, version, [Ask(file_containing_symbol=service)])
    files = answer.file_descriptor_response.file_descriptor_proto
    names = [FileDescriptorProto.FromString(file).name for file in files]
    by_name = await answers(channel, version, [Ask(file_by_filename=name) for name in names])
    for name, one in zip(names, by_name, strict=True):
        described = [
            FileDescriptorProto.FromString(file) for file in one.file_descriptor_response.file_descriptor_proto
        ]
        assert name in {file.name for file in described}
        assert {dependency for file in described for dependency in file.dependency} <= {file.name for file in described}


async def test_what_is_unknown_is_not_found_and_the_stream_goes_on(channel: grpc.aio.Channel) -> None:
    questions = [Ask(file_containing_symbol="a.B"), Ask(file_by_filename="a.proto"), Ask(), Ask(list_services="")]
    *bad, good = await answers(channel, REFLECTION_V1, questions)
    assert [answer.error_response.error_code for answer in bad] == [5, 5, 3]
    assert good.list_services_response.service


async def test_the_reflection_stub_of_the_package_works(channel: grpc.aio.Channel) -> None:
    reflection_stub: Any = reflection_pb2_grpc.ServerReflectionStub
    [response] = [it async for it in reflection_stub(channel).ServerReflectionInfo(iter([Ask()]))]
    assert response.error_response.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


@pytest.fixture(scope="module")
def node_client() -> Path:
    """grpc-js, installed from npm beside its program once."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node is not installed")
    with (NODE_CLIENT / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the tests may run in several processes
        if not (NODE_CLIENT / "node_modules" / "@grpc" / "grpc-js" / "package.json").exists():
            command = ("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
            done = subprocess.run(command, cwd=NODE_CLIENT, capture_output=True, text=True, check=False, timeout=100)
            if done.returncode:
                pytest.skip(f"npm cannot install grpc-js: {done.stderr[-300:]}")
    return NODE_CLIENT / "reserve.js"


@both_versions
async def test_a_client_in_node_reserves_with_nothing_but_what_reflection_tells(
    server: RpcServer, fake: FakeInventory, node_client: Path, version: str
) -> None:
    command = ("node", str(node_client), str(server.addresses[0]), version)
    done = await anyio.to_thread.run_sync(lambda: subprocess.run(command, capture_output=True, text=True, timeout=60))
    assert not done.returncode, done.stderr
    told = json.loads(done.stdout)
    assert told["services"] == sorted(METHODS)
    assert told["described"] == sorted(METHODS)
    assert told["reserved"]["reservation_id"] == "res_1"
    assert told["refused"] == {"code": 3, "reason": "INVALID_REQUEST"}
    [command_asked] = fake.asked
    assert command_asked.order_id == "order_node"  # type: ignore[attr-defined]


async def test_buf_lists_every_method(server: RpcServer) -> None:
    buf = Path(sys.executable).with_name("buf")
    url = f"http://{server.addresses[0]}"
    command = (str(buf), "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--list-methods", url)
    done = await anyio.to_thread.run_sync(lambda: subprocess.run(command, capture_output=True, text=True, timeout=60))
    assert not done.returncode, done.stderr
    listed = {line.strip().lstrip("/") for line in done.stdout.splitlines()}
    assert listed == {f"{service}/{method}" for service, methods in METHODS.items() for method in methods}
