"""What grpcio's binding makes of metadata, once its constructor was replaced."""

import grpc.aio
import pytest
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # not in the stubs

from rpc.transport.binding_metadata import lighten_metadata
from tests.rpc.transport.answers import QUESTION, Answers, listening


@pytest.mark.anyio
async def test_fields_are_what_they_were_and_are_made_by_ours() -> None:
    answers = Answers()
    async with listening(answers, "core") as served:
        made = cygrpc._Metadatum
        assert not isinstance(made, type)
        lighten_metadata()
        assert cygrpc._Metadatum is made, "it is replaced once"
        await served.inventory.GetStockInfo(QUESTION, metadata=grpc.aio.Metadata(("x-text", "text"), ("x-bin", b"\0")))
    given = {field.key: field.value for field in answers.metadata}
    assert (given["x-text"], given["x-bin"]) == ("text", b"\0")
    assert made("a", "b") == ("a", "b")
    assert "_Metadatum(key='a', value='b')" in repr(made("a", "b"))
