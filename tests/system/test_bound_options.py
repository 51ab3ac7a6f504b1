"""Every bound of the core and of the network is an option, and an option that is given bounds what it says."""

from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import pytest
from cyclopts import CoercionError
from msgspec import Meta, Struct
from msgspec.structs import asdict

from rpc.network_bounds import DEFAULT_BOUNDS, NetworkBounds
from rpc.rpc_server import RpcServer
from rpc.transport.server_options import server_options
from rpc.transport.slow_callers import LOOK_EVERY_S
from rpc.transport.transport_name import TransportName
from stockkeeper.command_line.cli import app
from stockkeeper.command_line.settings_file import options_of_file
from stockkeeper.config import ConfigurationError, ServeConfig
from stockkeeper.serving import serve as serving
from supervisor.limits import Limits
from tests.rpc.fake_inventory import FakeInventory
from tests.system.servers import ROOT

pytestmark = pytest.mark.anyio


def bounds_of(struct: type[Struct]) -> Mapping[str, Meta]:
    """The bounds with their limits."""
    hints = get_type_hints(struct, include_extras=True)
    return {
        name: meta for name in struct.__struct_fields__ for meta in get_args(hints[name])[1:] if isinstance(meta, Meta)
    }


BOUNDS = {**bounds_of(Limits), **bounds_of(NetworkBounds)}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[ServeConfig]:
    """What a server would have been told."""
    told: list[ServeConfig] = []
    monkeypatch.setattr(serving, "serve", told.append)
    return told


def call(*words: str) -> None:
    app(["serve", *words], exit_on_error=False, print_error=False, result_action="return_value")


def told(served: list[ServeConfig]) -> dict[str, Any]:
    """The bounds that the last server was told."""
    config = served[-1]
    return {
        name: getattr(config.limits if name in Limits.__struct_fields__ else config.bounds, name) for name in BOUNDS
    }


def variable_of(name: str) -> str:
    return "RESERVATION_TTL_MINUTES" if name == "reservation_ttl_minutes" else f"STOCKKEEPER_{name.upper()}"


def test_every_bound_has_its_limits_and_its_variable() -> None:
    fields = {*NetworkBounds.__struct_fields__, *Limits.__struct_fields__} - {"keep_days", "levels"}
    assert set(BOUNDS) == fields
    options = options_of_file(app["serve"].assemble_argument_collection())
    for name, meta in BOUNDS.items():
        assert meta.description
        converter = options[name].parameter.converter
        assert (converter.minimum, converter.maximum) == (meta.ge, meta.le)  # type: ignore[union-attr]
        assert options[name].parameter.env_var == (variable_of(name),)


def test_each_bound_takes_its_limits_from_a_flag_and_from_a_variable(
    served: list[ServeConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, meta in BOUNDS.items():
        monkeypatch.setenv(variable_of(name), str(meta.ge))
    call()
    assert told(served) == {name: meta.ge for name, meta in BOUNDS.items()}
    flags = [(f"--{name.replace('_', '-')}", str(meta.le)) for name, meta in BOUNDS.items()]
    call(*[word for flag in flags for word in flag])
    assert told(served) == {name: meta.le for name, meta in BOUNDS.items()}


@pytest.mark.parametrize(
    "wrong", ["--calls-max=0", "--gather-s=1.1", "--heartbeat-s=0.01", "--idle-timeout-s=1e3", "--streams-max=1_0"]
)
def test_what_is_beyond_its_limits_is_refused(served: list[ServeConfig], wrong: str) -> None:
    with pytest.raises(CoercionError, match="must be"):
        call(wrong)


def test_soft_and_hard_bounds_of_metadata_agree(served: list[ServeConfig]) -> None:
    with pytest.raises(ConfigurationError, match="--metadata-bytes-max must be at least"):
        call("--metadata-bytes-max", "2000")


def test_without_options_all_is_as_the_structs_say(served: list[ServeConfig]) -> None:
    call()
    assert (served[-1].limits, served[-1].bounds) == (Limits(keep_days=730), DEFAULT_BOUNDS)


OF_GRPC = {
    "connections_max": ("grpc.max_allowed_incoming_connections", 1),
    "calls_a_connection_max": ("grpc.max_concurrent_streams", 1),
    "pending_calls_max": ("grpc.server.max_pending_requests", 1),
    "metadata_bytes_soft_max": ("grpc.max_metadata_size", 1),
    "metadata_bytes_max": ("grpc.absolute_max_metadata_size", 1),
    "handshake_timeout_s": ("grpc.server_handshake_timeout_ms", 1_000),
    "connection_idle_s": ("grpc.max_connection_idle_ms", 1_000),
    "connection_age_s": ("grpc.max_connection_age_ms", 1_000),
    "connection_age_grace_s": ("grpc.max_connection_age_grace_ms", 1_000),
    "keepalive_s": ("grpc.keepalive_time_ms", 1_000),
    "keepalive_timeout_s": ("grpc.keepalive_timeout_ms", 1_000),
    "ping_interval_min_s": ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    "ping_strikes_max": ("grpc.http2.max_ping_strikes", 1),
}


OF_LOOKS = ("request_arrival_s", "answer_untaken_s")


async def test_each_bound_of_the_network_reaches_what_it_bounds() -> None:
    numbers = {name: 1_100 + place for place, name in enumerate(asdict(DEFAULT_BOUNDS))}
    bounds = NetworkBounds(**numbers)
    options = dict(server_options(bounds=bounds))
    assert {name: options[key] for name, (key, _) in OF_GRPC.items()} == {
        name: numbers[name] * times for name, (_, times) in OF_GRPC.items()
    }
    server = RpcServer(FakeInventory(), host="127.0.0.1", port=0, bounds=bounds)
    await server.start()
    frame, streams, listener = server._frame, server._streams._streams, server._listener
    slow = listener._slow  # type: ignore[union-attr]
    assert {
        "imports_max": frame.imports._under_way_max,
        "imports_a_caller_max": frame._uploads._of_caller_max,
        "import_stall_s": frame._upload_stall_timeout_s,
        "streams_max": frame.streams._under_way_max,
        "watches_max": frame._watches._under_way_max,
        "waiting_bytes_max": frame.turns._waiting_bytes_max,
        "reservation_ttl_minutes": frame._ttl_minutes,
        "stream_lines_max": streams._lines_max,
        "stream_idle_s": streams._idle_s,
        "stream_unread_s": streams._unread_s,
        "requests_a_stream_max": server._streams._bounds.requests_a_stream_max,
        "lines_a_stream_max": server._streams._bounds.lines_a_stream_max,
        "connections_an_address_max": listener._connections._of_address_max,  # type: ignore[union-attr]
        "answers_bytes_max": slow._bytes_max,
        "answers_bytes_a_connection_max": slow._bytes_max_of_connection,
    } == {name: number for name, number in numbers.items() if name not in (*OF_GRPC, *OF_LOOKS)}
    found = {"request_arrival_s": slow._request_looks, "answer_untaken_s": slow._answer_looks}
    assert found == {name: round(numbers[name] / LOOK_EVERY_S) for name in OF_LOOKS}
    await server.stop(0)


@pytest.mark.parametrize(("transport", "most"), [("core", 90), ("grpc-aio", 18)])
async def test_a_connection_has_a_fifth_of_the_calls_on_the_slower_transport(
    transport: TransportName, most: int
) -> None:
    bounds = NetworkBounds(calls_a_connection_max=90)
    server = RpcServer(FakeInventory(), host="127.0.0.1", port=0, bounds=bounds, transport=transport)
    await server.start()
    options = server._listener._options if transport == "grpc-aio" else ()  # type: ignore[union-attr]
    assert server._bounds.calls_a_connection_max == most
    assert dict(options).get("grpc.max_concurrent_streams", most) == most
    await server.stop(0)


def test_the_documents_name_the_defaults_that_hold() -> None:
    """Of what one address and one connection may have, for which an operator looks there."""
    pages = {name: (ROOT / "docs" / f"{name}.md").read_text() for name in ("security", "operations")}
    address, connection = DEFAULT_BOUNDS.connections_an_address_max, DEFAULT_BOUNDS.calls_a_connection_max
    assert f" {address} connections an address (`--connections-an-address-max`)" in pages["security"]
    assert f"\n| connections from one address | {address} (`--connections-an-address-max`)" in pages["operations"]
    assert f"\n| concurrent streams on a connection | {connection};" in pages["operations"]
    assert f"\n| connections | {DEFAULT_BOUNDS.connections_max:,} in all;" in pages["operations"]
