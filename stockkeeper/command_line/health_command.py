"""`stockkeeper health`: whether a server serves, for probes that start a program."""

from typing import Any

import msgspec
from grpc_health.v1 import health_pb2, health_pb2_grpc
from stockkeeper_client import InventoryClient

from stockkeeper.command_line.output import fail, say
from stockkeeper.command_line.parameters import DEFAULT_TARGET, Json, Target
from stockkeeper.command_line.server_call import call

TIMEOUT_S = 5.0


def health(*, json: Json = False, target: Target = DEFAULT_TARGET) -> int:
    """Ask a server whether it serves: 0 if it does, 1 if it does not. It needs no key."""

    async def run(client: InventoryClient) -> int:
        stub: Any = health_pb2_grpc.HealthStub(client.channel)  # its types know none of its methods
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        serves = answer.status == health_pb2.HealthCheckResponse.SERVING
        if json:
            say(msgspec.json.encode({"status": status}).decode())
        elif serves:
            say(status)
        return 0 if serves else fail(f"The server at {target} says {status}.")

    return call(target, run)
