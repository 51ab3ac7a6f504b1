"""TLS on both transports, with certificates of a test authority."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest
from grpc import StatusCode
from stockkeeper_client import tls_credentials
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub

from rpc.frame import Frame
from rpc.service_names import INVENTORY
from rpc.transport.addresses import free_addresses
from rpc.transport.certificates import Certificates, TlsError
from rpc.transport.server_options import server_options
from rpc.transport.tls_files import TlsFiles
from rpc.transport.transport_choice import build_listener
from rpc.transport.transport_name import TransportName
from tests.authority import Authority
from tests.rpc.transport.answers import QUESTION, Answers, code_of

pytestmark = pytest.mark.anyio

NO_RETRIES = [("grpc.enable_retries", 0)]


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "theirs")


@asynccontextmanager
async def listening_with_tls(files: TlsFiles, transport: TransportName) -> AsyncIterator[str]:
    frame = Frame(calls_max=10)
    frame.add_service(INVENTORY, Answers())
    [address] = free_addresses("127.0.0.1", 0)
    listener = build_listener(transport, frame, [address], tuple(server_options()), files)
    await listener.open()
    try:
        yield f"localhost:{address.port}"
    finally:
        await listener.close(0)


async def asked(target: str, credentials: grpc.ChannelCredentials | None) -> StatusCode:
    """How a call on a connection of its own ends."""
    options = [*NO_RETRIES, ("grpc.use_local_subchannel_pool", 1)]
    if credentials is None:
        channel = grpc.aio.insecure_channel(target, options=options)
    else:
        channel = grpc.aio.secure_channel(target, credentials, options=options)
    async with channel:
        return await code_of(InventoryServiceStub(channel).GetStockInfo(QUESTION, timeout=10))


async def test_a_caller_that_trusts_the_certificate_is_served_and_no_other(
    transport: TransportName, ours: Authority, theirs: Authority
) -> None:
    async with listening_with_tls(ours.files(), transport) as target:
        assert await asked(target, tls_credentials(ours.file)) is StatusCode.OK
        assert await asked(target, tls_credentials(theirs.file)) is StatusCode.UNAVAILABLE
        assert await asked(target, None) is StatusCode.UNAVAILABLE


async def test_with_mutual_tls_a_caller_needs_a_certificate_of_the_right_authority(
    transport: TransportName, ours: Authority, theirs: Authority
) -> None:
    files = ours.files(client_ca=theirs.file)
    known, unknown = theirs.files(), ours.files()
    async with listening_with_tls(files, transport) as target:
        for own, code in ((known, StatusCode.OK), (unknown, StatusCode.UNAVAILABLE)):
            shown = tls_credentials(ours.file, certificate=own.certificate, key=own.key)
            assert await asked(target, shown) is code
        assert await asked(target, tls_credentials(ours.file)) is StatusCode.UNAVAILABLE


async def test_files_that_change_are_read_again_and_the_last_good_pair_stays(
    transport: TransportName, ours: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    files = ours.files()
    async with listening_with_tls(files, transport) as target:
        assert await asked(target, tls_credentials(ours.file)) is StatusCode.OK
        ours.spoil_key()
        assert await asked(target, tls_credentials(ours.file)) is StatusCode.OK
        assert [one.message for one in caplog.records if one.message.startswith("tls")] == ["tls_not_reloaded"]
        assert await asked(target, tls_credentials(ours.file)) is StatusCode.OK  # and is not read for each caller
        caplog.clear()
        another = Authority(tmp_path, "ours")  # under the same names
        another.files()
        assert await asked(target, tls_credentials(another.file)) is StatusCode.OK
        assert [one.message for one in caplog.records if one.message.startswith("tls")] == ["tls_reloaded"]


async def test_the_callers_authority_is_read_again_and_the_last_good_one_stays(
    transport: TransportName, ours: Authority, theirs: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def caller(authority: Authority) -> grpc.ChannelCredentials:
        own = authority.files()
        return tls_credentials(ours.file, certificate=own.certificate, key=own.key)

    async with listening_with_tls(ours.files(client_ca=theirs.file), transport) as target:
        old = caller(theirs)
        assert await asked(target, old) is StatusCode.OK
        new = caller(Authority(tmp_path, "theirs"))  # under the same names
        assert await asked(target, old) is StatusCode.UNAVAILABLE
        assert await asked(target, new) is StatusCode.OK
        theirs.spoil_ca()
        assert await asked(target, new) is StatusCode.OK
        assert await asked(target, old) is StatusCode.UNAVAILABLE
        assert await asked(target, tls_credentials(ours.file)) is StatusCode.UNAVAILABLE
    said = [one.message for one in caplog.records if one.message.startswith("tls")]
    assert said == ["tls_reloaded", "tls_not_reloaded"]


def test_files_that_cannot_be_used_are_named_in_a_sentence(ours: Authority, theirs: Authority, tmp_path: Path) -> None:
    good, other = ours.files(), theirs.files()
    missing, empty = tmp_path / "missing.pem", tmp_path / "empty.pem"
    empty.write_text("")
    for files, said in (
        (TlsFiles(good.certificate, other.key), "key values mismatch"),
        (TlsFiles(str(missing), good.key), f"{missing} cannot be read: No such file or directory"),
        (TlsFiles(str(empty), good.key), "cannot be used together"),
        (TlsFiles(good.certificate, good.key, str(empty)), f"{empty} has no certificates that can be used"),
    ):
        with pytest.raises(TlsError, match=said) as raised:
            Certificates(files)
        assert str(raised.value).endswith(".")
        assert "\n" not in str(raised.value)
