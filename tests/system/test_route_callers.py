"""What callers of a router must show, and how many it takes, as with a server; and a move over TLS between machines."""

import asyncio
import signal
from pathlib import Path

import grpc
import pytest
from stockkeeper_client import InventoryClient, Item, PermissionDenied, Unauthenticated, error_details, tls_credentials

from cells.cell_map import parse_map
from cells.map_file import read_map
from rpc.transport.addresses import free_addresses
from rpc.transport.tls_files import TlsFiles
from stockkeeper.command_line import cells_move
from stockkeeper.config import ConfigurationError
from stockkeeper.organization_mover import NotMoved
from stockkeeper.serving import link_settings
from tests.authority import Authority
from tests.system.servers import ServerProcess, audit, line, run_cli
from tests.system.test_keys import make_key
from tests.system.test_route import a_cell, a_router, held, link_tls

pytestmark = pytest.mark.anyio

ITEMS: list[Item] = [{"variant_id": "a", "quantity": 1}]
A_MAP = 'version = 1\n[cells.north]\naddress = "{0}"\n[cells.south]\naddress = "{1}"\n[organizations]\no1 = "north"\n'


async def test_a_router_asks_callers_for_their_keys_over_tls_and_takes_as_many_calls_as_it_is_told(
    tmp_path: Path,
) -> None:
    (tmp_path / "cells.toml").write_text(f'version = 1\n[cells.north]\naddress = "unix:{tmp_path}/north.sock"\n')
    authority, keys = Authority(tmp_path, "ours"), tmp_path / "keys.toml"
    everything = tuple(word for scope in ("read", "reserve", "manage") for word in ("--scope", scope))
    ours, others = [await make_key(keys, "--organization", one, *everything) for one in ("o1", "o2")]
    files, trusted = authority.files(), tls_credentials(authority.file)
    options = ("--tls-cert", files.certificate, "--tls-key", files.key, "--keys-file", str(keys), "--calls-max", "1")
    cell = await a_cell(tmp_path, "north")
    try:
        async with a_router(tmp_path, *options, "--cell-wait-s", "60") as router:

            def caller(key: str | None, credentials: grpc.ChannelCredentials | None = trusted) -> InventoryClient:
                settings = {"credentials": credentials, "token": key, "retry": None, "breaker": False}
                return InventoryClient("localhost", router.port, timeout_s=60, **settings)  # type: ignore[arg-type]

            async with caller(ours) as client, caller(others) as stranger, caller(None) as unknown:
                await client.stock.import_stock([line("a", 10, organization_id="o1")])
                assert (await client.reserve_stock("o1", "x", ITEMS)).reservation_id
                with pytest.raises(PermissionDenied):
                    await stranger.reserve_stock("o1", "y", ITEMS)
                with pytest.raises(Unauthenticated):
                    await unknown.reserve_stock("o1", "y", ITEMS)
                async with caller(None, None) as clear:  # nothing is served without TLS
                    with pytest.raises(grpc.aio.AioRpcError):
                        await clear.get_stock_info("o1", "a", timeout_s=5)
                cell.process.send_signal(signal.SIGSTOP)
                two = [asyncio.create_task(client.reserve_stock("o1", f"two-{n}", ITEMS)) for n in range(2)]
                [refused], [waits] = await asyncio.wait(two, return_when=asyncio.FIRST_COMPLETED)
                cell.process.send_signal(signal.SIGCONT)
                assert (await waits).reservation_id
                error = refused.exception()
                assert isinstance(error, grpc.aio.AioRpcError)
                assert (error.code(), error_details(error).reason) == (grpc.StatusCode.UNAVAILABLE, "OVERLOADED")
    finally:
        cell.process.send_signal(signal.SIGCONT)
        await cell.terminate()
    assert ours not in router.log.read_text()


async def test_an_organization_moves_between_machines_over_mutual_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [f"localhost:{one.port}" for one in (free_addresses("localhost", 0)[0], free_addresses("localhost", 0)[0])]
    (tmp_path / "cells.toml").write_text(A_MAP.format(*there))
    tls = link_tls(Authority(tmp_path, "links"))
    cells = list[ServerProcess]()
    try:
        for name, address in zip(("north", "south"), there, strict=True):
            cells.append(await a_cell(tmp_path, name, "--link-listen", address, "--link-name", "localhost", *tls))
        async with a_router(tmp_path, *tls) as router, router.client(timeout_s=60) as client:
            await client.stock.import_stock([line("a", 10, organization_id="o1")])
            before = await client.reserve_stock("o1", "x", ITEMS)
            moving = ("cells", "move", str(tmp_path / "cells.toml"), "o1", "--to", "south")
            status, out, err = await run_cli(*moving, *tls)
            assert (status, out.startswith("o1 is in south now: "), err) == (0, True, "")
            assert (await client.reserve_stock("o1", "x", ITEMS)).reservation_id == before.reservation_id
            assert held(tmp_path, "south") == {"o1"}
        monkeypatch.setattr(cells_move, "REACHED_WITHIN_S", 3.0)  # they are refused, however long they wait
        strangers = link_settings.link_tls(Authority(tmp_path, "strangers").files(client_ca=tmp_path / "links-ca.pem"))
        with pytest.raises(NotMoved) as refused:
            await cells_move._moved(read_map(moving[2]), "o1", "north", strangers)
        assert str(refused.value).startswith(f"within 3 s the cell north was not reached at {there[0]} (")
    finally:
        for cell in cells:
            await cell.terminate()
    for name in ("north", "south"):
        audit(tmp_path / f"{name}.db")


def test_a_move_that_cannot_begin_says_which_cell_is_in_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    far = parse_map(A_MAP.format("unix:/n", "192.0.2.1:1"))
    clear = "The cell south is at 192.0.2.1:1, and nothing is encrypted: give --link-cert, --link-key and --link-ca."
    with pytest.raises(ConfigurationError) as refused:
        cells_move.move(far, "o1", "south", None, json=False)
    assert str(refused.value) == clear
    with pytest.raises(ConfigurationError, match="cannot be read"):
        cells_move.move(far, "o1", "south", TlsFiles("/no", "/no", "/no"), json=False)
    monkeypatch.setattr(cells_move, "REACHED_WITHIN_S", 1.0)  # nothing comes, however long it waits
    near = parse_map(A_MAP.format(f"unix:{tmp_path}/n", f"unix:{tmp_path}/s"))
    assert cells_move.move(near, "o1", "south", None, json=False) == 1
    said = " and ".join(
        f"the cell {name} was not reached at unix:{tmp_path}/{name[0]} ([Errno 2] No such file or directory)"
        for name in ("north", "south")
    )
    assert capsys.readouterr().err == f"o1 was not moved: within 1 s {said}.\n"
