"""What a status says in its details reaches the caller, and what cannot be read does no harm."""

import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, Help, PreconditionFailure, RetryInfo
from stockkeeper_client import (
    ErrorDetails,
    FieldViolation,
    InventoryClient,
    LineError,
    PreconditionViolation,
    error_details,
)
from stockkeeper_client.v1 import stock_pb2

from tests.client.conftest import Connect, Refusal, ScriptedService

pytestmark = pytest.mark.anyio


async def caught_from(client: InventoryClient) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.reserve_stock("org_1", "order_1", [])
    return caught.value


async def test_every_kind_of_detail_is_read(
    service: ScriptedService, connect: Connect, refusal: type[Refusal], streaming: bool
) -> None:
    service.play(
        refusal(
            grpc.StatusCode.FAILED_PRECONDITION,
            "Insufficient stock for variant var_1",
            details=(
                Help(),
                ErrorInfo(reason="INSUFFICIENT_STOCK", domain="inventory.v1", metadata={"variant_id": "var_1"}),
                PreconditionFailure(
                    violations=[{"type": "STOCK", "subject": "var_1", "description": "requested 5, available 2"}]
                ),
                BadRequest(field_violations=[{"field": "items[0].quantity", "description": "must be positive"}]),
                RetryInfo(retry_delay=Duration(seconds=90, nanos=500_000_000)),
            ),
        )
    )
    error = await caught_from(connect(streaming=streaming))
    assert error.details() == "Insufficient stock for variant var_1"
    assert error_details(error) == ErrorDetails(
        reason="INSUFFICIENT_STOCK",
        domain="inventory.v1",
        metadata={"variant_id": "var_1"},
        precondition_violations=(PreconditionViolation("STOCK", "var_1", "requested 5, available 2"),),
        field_violations=(FieldViolation("items[0].quantity", "must be positive"),),
        retry_delay_s=90.5,
    )


async def test_an_error_without_details_gives_empty_ones(
    service: ScriptedService, connect: Connect, refusal: type[Refusal], streaming: bool
) -> None:
    service.play(refusal(grpc.StatusCode.INTERNAL))
    assert error_details(await caught_from(connect(streaming=streaming))) == ErrorDetails()


async def test_an_error_that_no_service_made_gives_empty_ones(
    service: ScriptedService, connect: Connect, streaming: bool
) -> None:
    await service.stop()
    error = await caught_from(connect(retry=None, streaming=streaming))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert error_details(error) == ErrorDetails()


async def test_garbage_in_place_of_details_gives_empty_ones(
    service: ScriptedService, connect: Connect, refusal: type[Refusal]
) -> None:
    service.play(refusal(grpc.StatusCode.NOT_FOUND, trailers=(("grpc-status-details-bin", b"\xff\xff\xff"),)))
    assert error_details(await caught_from(connect())) == ErrorDetails()


async def test_a_thousand_line_errors_arrive(
    service: ScriptedService, connect: Connect, refusal: type[Refusal], streaming: bool
) -> None:
    """More than the 8 KiB that gRPC takes by itself, and then the caller would see RESOURCE_EXHAUSTED instead."""
    errors = [stock_pb2.ImportLineError(line_number=n, reason="total_quantity is less than 0") for n in range(1_000)]
    service.play(
        refusal(grpc.StatusCode.INVALID_ARGUMENT, details=(stock_pb2.ImportErrors(errors=errors, errors_total=4_321),))
    )
    error = await caught_from(connect(streaming=streaming))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    details = error_details(error)
    assert details.line_errors[999] == LineError(999, "total_quantity is less than 0")
    assert (len(details.line_errors), details.line_errors_total) == (1_000, 4_321)
