"""The client beside a caller's own generated code of the same contract, in one process."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CALLER = """
import inventory_pb2 as own
import stockkeeper_client.v1.inventory_pb2 as ours
from google.protobuf.message import Message

request = dict(organization_id="org_1", order_id="order_1", items=[dict(variant_id="mug", quantity=2)])
theirs, clients = own.ReserveStockRequest(**request), ours.ReserveStockRequest(**request)
assert theirs.SerializeToString() == clients.SerializeToString()
assert theirs.DESCRIPTOR.full_name == clients.DESCRIPTOR.full_name == "inventory.v1.ReserveStockRequest"
assert type(theirs) is not type(clients) and isinstance(clients, Message)

from stockkeeper_client.v1 import status_pb2, stream_pb2
from google.rpc import error_details_pb2
reply = stream_pb2.ReserveStockReply(status=status_pb2.Status(code=3))
reply.status.details.add().Pack(error_details_pb2.ErrorInfo(reason="A_REASON"))
found = error_details_pb2.ErrorInfo()
assert stream_pb2.ReserveStockReply.FromString(reply.SerializeToString()).status.details[0].Unpack(found)
assert found.reason == "A_REASON"
"""


@pytest.mark.parametrize("is_client_first", [True, False])
def test_a_caller_may_have_stubs_of_its_own(tmp_path: Path, is_client_first: bool) -> None:
    # From another path than ours: protobuf calls the same name in another file a duplicate symbol.
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={ROOT / 'proto/inventory/v1'}"]
    subprocess.run([*protoc, f"--python_out={tmp_path}", "inventory.proto"], check=True)
    caller = tmp_path / "caller.py"
    caller.write_text("import stockkeeper_client\n" * is_client_first + CALLER)
    subprocess.run([sys.executable, caller], check=True)
