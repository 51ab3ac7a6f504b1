"""Keys: what they allow, on every door."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc.aio
import pytest
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from stockkeeper_client.upload import FirstStatus, each, write_all
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stock_pb2, stream_pb2
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub
from stockkeeper_client.v1.stream_pb2_grpc import ReservationStreamStub

from actors.outcomes import ActorCrashed
from rpc.authorization import guard as guards
from rpc.authorization import key_ring
from rpc.authorization.callers import BadCredential
from rpc.authorization.key_file import KeyFileError, hash_of, read_keys
from rpc.authorization.key_ring import KeyRing
from rpc.authorization.scopes import METHODS, OPEN
from rpc.messages.descriptors import find_service
from rpc.rpc_server import RpcServer
from rpc.transport.transport_name import TransportName
from tests.rpc.fake_inventory import FakeInventory
from tests.rpc.test_reflection import METHODS as REFLECTED
from tests.rpc.token_issuer import STRANGER, token
from tests.rpc.token_issuer import settings as token_settings

pytestmark = pytest.mark.anyio

SHOP = pb.GetStockInfoRequest(organization_id="shop", variant_id="mug")
EVERYTHING = ("read", "reserve", "manage")
GOOD = token()


def key(name: str, organizations: Sequence[str], scopes: Sequence[str]) -> str:
    """A table of the file. The key is the name."""
    named = [f"inventory.stock.{scope}" for scope in scopes]
    return "\n".join(
        (
            "[[key]]",
            f"name = {name!r}",
            f"sha256 = {hash_of(name)!r}",
            f"organizations = {list(organizations)}",
            f"scopes = {named}",
            "",
        )
    )


CALLERS = {
    "reader": (["shop"], ["read"]),
    "seller": (["shop"], ["read", "reserve"]),
    "manager": (["shop"], EVERYTHING),
    "operator": (["*"], EVERYTHING),
}
KEYS = "".join(key(name, *allowed) for name, allowed in CALLERS.items())


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(guards, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(key_ring, "LOOK_EVERY_S", 0.05)
    file = tmp_path / "keys.toml"
    file.write_text(KEYS)
    return file


@pytest.fixture
async def channel(
    key_file: Path, transport: TransportName, fake: FakeInventory, tmp_path: Path
) -> AsyncIterator[grpc.aio.Channel]:
    tokens = token_settings(tmp_path / "jwks.json")
    server = RpcServer(fake, host="127.0.0.1", port=0, transport=transport, keys_file=str(key_file), tokens=tokens)
    [address] = await server.start()
    async with grpc.aio.insecure_channel(str(address), options=[("grpc.enable_retries", 0)]) as opened:
        yield opened
    await server.stop(0)


def bearing(name: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {name}")]


def bearing_token(name: str) -> list[tuple[str, str]]:
    """As `bearing`, with a token that allows what the key of that name does."""
    if name not in CALLERS:
        return bearing(token(STRANGER))
    organizations, scopes = CALLERS[name]
    named = " ".join(f"inventory.stock.{scope}" for scope in scopes)
    return bearing(token(sub=name, organizations=list(organizations), scope=named))


by_key_and_token = pytest.mark.parametrize("with_credential", [bearing, bearing_token])
WithCredential = Callable[[str], list[tuple[str, str]]]


async def ended(call: Any) -> StatusCode:
    """How a call of any kind ends."""
    try:
        if hasattr(call, "__aiter__"):
            async for _ in call:
                return StatusCode.OK
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return StatusCode.OK


async def ended_reading(call: Any) -> StatusCode:
    """How a stream ends of which all replies are read."""
    try:
        while await call.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError as error:
        return error.code()
    return StatusCode(await call.code())


async def ended_sending(call: Any, message: Any) -> StatusCode:
    """How a call ends to which this client sends a stream, as the service ends it.

    With a stream that it is given, grpc.aio tells of INTERNAL in a fifth of the calls that are refused meanwhile: its
    write failed then, and it takes that for the end. So the stream is written here, as the client does it.
    """
    status = FirstStatus(call)
    try:
        await write_all(call, each([message]))
        if isinstance(call, grpc.aio.StreamUnaryCall):
            await call
        else:
            while await call.read() is not grpc.aio.EOF:
                pass
    except grpc.aio.AioRpcError as error:
        return (await status.behind(error)).code()
    return StatusCode.OK


@by_key_and_token
async def test_no_method_answers_without_a_key_or_with_one_that_lacks_its_scope(
    channel: grpc.aio.Channel, with_credential: WithCredential
) -> None:
    """All methods that are described, so that none that is new can be forgotten."""
    for service in REFLECTED.keys() - OPEN:
        for method in find_service(service).methods:
            path = f"/{service}/{method.name}"
            scopes = [scope for scope, paths in METHODS.items() if path in paths]
            assert len(scopes) == 1, path
            request = GetMessageClass(method.input_type)().SerializeToString()
            one_way = "stream" if method.client_streaming else "unary"
            other_way = "stream" if method.server_streaming else "unary"
            called = getattr(channel, f"{one_way}_{other_way}")(path)

            async def end(metadata: Any, called: Any = called, method: Any = method, request: bytes = request) -> Any:
                if method.client_streaming:
                    return await ended_sending(called(timeout=10, metadata=metadata), request)
                return await ended(called(request, timeout=10, metadata=metadata))

            assert await end([]) is StatusCode.UNAUTHENTICATED, path
            lacking = {"inventory.stock.read": "nobody", "inventory.stock.reserve": "reader"}.get(scopes[0], "seller")
            code = StatusCode.UNAUTHENTICATED if lacking == "nobody" else StatusCode.PERMISSION_DENIED
            assert await end(with_credential(lacking)) is code, path


def naming(kind: Any, organization_id: str, depth: int = 4) -> Any:
    """A message of the kind with this id wherever one may stand; None if there is no place for any."""
    message, has_place = GetMessageClass(kind)(), False
    for field in kind.fields:
        if field.name == "organization_id":
            setattr(message, field.name, organization_id)
            has_place = True
        elif depth and field.message_type is not None:
            within = naming(field.message_type, organization_id, depth - 1)
            if within is not None:
                has_place = True
                place = getattr(message, field.name)
                place.append(within) if field.is_repeated else place.CopyFrom(within)
    return message if has_place else None


async def test_no_method_answers_for_an_organization_that_is_not_the_keys(channel: grpc.aio.Channel) -> None:
    """All methods that are described. What names no organization is of all, and asks for a key of all."""
    named = 0
    for service in REFLECTED.keys() - OPEN:
        for method in find_service(service).methods:
            request = naming(method.input_type, "other")
            named += request is not None
            sent = (GetMessageClass(method.input_type)() if request is None else request).SerializeToString()
            ways = ("stream" if streams else "unary" for streams in (method.client_streaming, method.server_streaming))
            called = getattr(channel, "_".join(ways))(f"/{service}/{method.name}")
            if method.client_streaming:
                code = await ended_sending(called(timeout=10, metadata=bearing("manager")), sent)
            else:
                code = await ended(called(sent, timeout=10, metadata=bearing("manager")))
            assert code is StatusCode.PERMISSION_DENIED, method.full_name
    assert named > 30


@by_key_and_token
async def test_a_key_is_good_for_its_organizations_alone(
    channel: grpc.aio.Channel, with_credential: WithCredential
) -> None:
    inventory, stock = InventoryServiceStub(channel), StockServiceStub(channel)
    for name, organization, code in (
        ("reader", "shop", StatusCode.OK),
        ("reader", "other", StatusCode.PERMISSION_DENIED),
        ("reader", "", StatusCode.PERMISSION_DENIED),
        ("operator", "other", StatusCode.OK),
    ):
        request = pb.GetStockInfoRequest(organization_id=organization, variant_id="mug")
        assert await ended(inventory.GetStockInfo(request, metadata=bearing(name))) is code, (name, organization)
    lines = [stock_pb2.ImportLine(organization_id=organization) for organization in ("shop", "other")]
    upload = stock_pb2.ImportStockRequest(request_id="r", lines=lines)
    imported = stock.ImportStock(metadata=with_credential("manager"))
    assert await ended_sending(imported, upload) is StatusCode.PERMISSION_DENIED


@by_key_and_token
@pytest.mark.parametrize("organization", ["shop", "other"])
async def test_each_request_of_a_stream_is_looked_at(
    channel: grpc.aio.Channel, organization: str, with_credential: WithCredential
) -> None:
    item = pb.ReservationItem(variant_id="mug", quantity=1)
    one = pb.ReserveStockRequest(organization_id=organization, order_id="o", items=[item])
    sent = stream_pb2.ReserveStockRequests(requests=[stream_pb2.StreamedRequest(sequence=1, request=one)])
    call = ReservationStreamStub(channel).ReserveStock(metadata=with_credential("seller"), timeout=10)
    assert await ended_sending(call, sent) is (
        StatusCode.OK if organization == "shop" else StatusCode.PERMISSION_DENIED
    )


@pytest.mark.parametrize(
    "metadata",
    [
        [("authorization", "reader")],
        [("authorization", "Basic reader")],
        [("authorization", "Bearer")],
        [("authorization", f"Bearer {hash_of('reader')}")],
        [*bearing("reader"), *bearing("reader")],
        [*bearing_token("reader"), *bearing("reader")],
        [*bearing_token("reader"), *bearing_token("reader")],
        [("authorization", f"Bearer {GOOD} {GOOD}")],
        [("authorization", f"Basic {GOOD}")],
    ],
)
async def test_what_is_no_single_known_key_is_none(
    channel: grpc.aio.Channel, metadata: list[tuple[str, str]], events: list[dict[str, Any]]
) -> None:
    call = InventoryServiceStub(channel).GetStockInfo(SHOP, metadata=metadata)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert (raised.value.code(), raised.value.details()) == (StatusCode.UNAUTHENTICATED, "The call needs a valid key")
    assert "reader" not in str(events)  # what was given is not logged
    assert GOOD.split(".")[1] not in str(events)


async def test_a_key_counts_also_among_many_other_fields(channel: grpc.aio.Channel) -> None:
    """Of which the server keeps few."""
    others = [(f"x-other-{number}", "a") for number in range(20)]
    ask = InventoryServiceStub(channel).GetStockInfo
    assert await ended(ask(SHOP, metadata=[*others, *bearing("reader")])) is StatusCode.OK
    assert await ended(ask(SHOP, metadata=[*bearing("reader"), *others, *bearing("reader")])) is not StatusCode.OK


@by_key_and_token
async def test_the_ledger_has_whose_key_it_was(
    channel: grpc.aio.Channel, fake: FakeInventory, with_credential: WithCredential
) -> None:
    """By each kind of call. What metadata say beside that cannot take its place."""
    fake.outcome = ActorCrashed()  # what is asked counts here
    item = pb.ReservationItem(variant_id="mug", quantity=1)
    order = pb.ReserveStockRequest(organization_id="shop", order_id="o", items=[item])
    line = stock_pb2.ImportLine(organization_id="shop", variant_id="mug", warehouse_id="w", total_quantity=1)
    upload = stock_pb2.ImportStockRequest(request_id="r", lines=[line], lines_total=1)
    streamed = stream_pb2.ReserveStockRequests(requests=[stream_pb2.StreamedRequest(sequence=1, request=order)])
    metadata = with_credential("manager")
    for more in ([], [("x-actor", "ana")]):
        await ended(InventoryServiceStub(channel).ReserveStock(order, metadata=[*more, *metadata]))
        await ended(StockServiceStub(channel).ImportStock(iter([upload]), metadata=[*more, *metadata]))
        await ended(ReservationStreamStub(channel).ReserveStock(iter([streamed]), metadata=[*metadata, *more]))
    actors: list[str] = [asked.origin.actor for asked in fake.asked]  # type: ignore[attr-defined]
    assert actors == ["manager"] * 3 + ["manager/ana"] * 3


async def test_health_needs_no_key(channel: grpc.aio.Channel) -> None:
    health: Any = health_pb2_grpc.HealthStub(channel)
    answer = await health.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_the_file_is_read_again_when_it_changes_and_what_cannot_be_read_changes_nothing(
    channel: grpc.aio.Channel, key_file: Path
) -> None:
    ask = InventoryServiceStub(channel).GetStockInfo
    for content, code in (
        ("nonsense", StatusCode.OK),
        (key("other", ["shop"], ["read"]), StatusCode.UNAUTHENTICATED),
        (KEYS + "# and more", StatusCode.OK),
    ):
        await asyncio.to_thread(key_file.write_text, content)
        await asyncio.sleep(0.2)  # the guard looks at the file no more often than so
        assert await ended(ask(SHOP, metadata=bearing("reader"))) is code, content


def test_how_long_a_key_is_looked_for_tells_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All keys are compared, each in constant time, whichever it is or whether it is none."""
    file = tmp_path / "keys.toml"
    file.write_text("".join(key(name, ["shop"], ["read"]) for name in "abc"))
    ring, compared = KeyRing(str(file)), list[bool]()

    def compare(known: str, given: str) -> bool:
        compared.append(hmac.compare_digest(known, given))
        return compared[-1]

    monkeypatch.setattr(key_ring, "hmac", SimpleNamespace(compare_digest=compare))
    for name in "ac":
        assert ring.caller_of(name).name == name
    with pytest.raises(BadCredential):
        ring.caller_of("d")
    assert len(compared) == 9


async def test_a_watch_ends_when_its_key_is_taken_out(
    channel: grpc.aio.Channel, key_file: Path, fake: FakeInventory
) -> None:
    fake.gate.clear()
    request = stock_pb2.WatchChangesRequest(organization_id="shop")
    watching = asyncio.ensure_future(ended(StockServiceStub(channel).WatchChanges(request, metadata=bearing("reader"))))
    await fake.arrived.wait()
    await asyncio.to_thread(key_file.write_text, key("other", ["shop"], ["read"]))
    assert await asyncio.wait_for(watching, 20) is StatusCode.UNAUTHENTICATED


async def test_a_stream_that_sends_nothing_ends_when_its_key_is_taken_out(
    channel: grpc.aio.Channel, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its first request, so that the next one would be refused, and there is none."""
    admitted, admit = asyncio.Event(), guards.Guard.admit

    def admit_and_tell(guard: guards.Guard, path: str, context: Any, request: Any) -> None:
        admit(guard, path, context, request)
        if request is not None:
            admitted.set()

    monkeypatch.setattr(guards.Guard, "admit", admit_and_tell)
    stock, stream = StockServiceStub(channel), ReservationStreamStub(channel)
    upload = stock_pb2.ImportStockRequest(request_id="r", lines=[stock_pb2.ImportLine(organization_id="shop")])
    order = stream_pb2.StreamedRequest(sequence=1, request=pb.ReserveStockRequest(organization_id="shop", order_id="o"))
    streams: Sequence[tuple[Any, Any]] = (
        (stock.ImportStock, upload),
        (stream.ReserveStock, stream_pb2.ReserveStockRequests(requests=[order])),
    )
    for open_stream, first in streams:
        admitted.clear()
        await asyncio.to_thread(key_file.write_text, KEYS)
        await asyncio.sleep(0.2)  # the guard looks at the file no more often than so
        call = open_stream(metadata=bearing("manager"), timeout=20)  # it would end as DEADLINE_EXCEEDED
        await call.write(first)
        await asyncio.wait_for(admitted.wait(), 20)
        await asyncio.to_thread(key_file.write_text, key("other", ["shop"], ["read"]))
        code = await (ended(call) if open_stream is stock.ImportStock else ended_reading(call))
        assert code is StatusCode.UNAUTHENTICATED, open_stream


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[[key]]\nname = 'a'", "Key 1 of .* must have exactly name, sha256, organizations and scopes"),
        (key("a", ["shop"], ["read"]).replace("stock.read", "stock.raed"), "Key 1 of .*: .*scopes a list of"),
        (key("a", ["shop"], ["read"]) * 2, "Key 2 of .* is there twice"),
        ("keys = []", "has 'keys', which is not known"),
        ("[[key", "is not TOML"),
        (key("a\\n", ["shop"], ["read"]).replace("'a\\\\n'", '"a\\n"'), "name must be of printable"),
        (key("a", ["shop"], ["read"]).replace(hash_of("a"), "secret"), "sha256 must be 64 hexadecimal digits"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(content)
    with pytest.raises(KeyFileError, match=said) as raised:
        read_keys(str(file))
    assert "secret" not in str(raised.value)
