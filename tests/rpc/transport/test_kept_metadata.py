"""What of a call's metadata is kept."""

import grpc.aio
import pytest

from rpc.messages import origins
from rpc.messages.status import DETAILS_KEY
from rpc.messages.validation import IDEMPOTENCY_KEY
from rpc.transport.kept_metadata import FEW_FIELDS, NAMES, kept
from rpc.transport.transport_name import TransportName
from tests.rpc.transport.answers import QUESTION, Answers, listening


def test_the_names_are_those_that_are_asked_for() -> None:
    traces = {"traceparent", "tracestate"}  # `stockkeeper.tracing.call_spans` asks for them
    assert {IDEMPOTENCY_KEY, DETAILS_KEY, "authorization", *traces, *origins.NAMES} == NAMES


def test_few_fields_are_left_as_they_are() -> None:
    few = [(f"x-{number}", "text") for number in range(FEW_FIELDS)]
    assert kept(few) is few


@pytest.mark.anyio
async def test_of_many_fields_those_that_are_asked_for_are_kept(transport: TransportName) -> None:
    answers = Answers()
    asked_for = [(name, "text") for name in sorted(NAMES)]
    metadata = grpc.aio.Metadata(*asked_for, *[(f"x-{number}", "text") for number in range(FEW_FIELDS)])
    async with listening(answers, transport) as served:
        await served.inventory.GetStockInfo(QUESTION, metadata=metadata)
    assert sorted(tuple(field) for field in answers.metadata) == asked_for
