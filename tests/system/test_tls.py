"""The program with TLS: how it is started, how it is called, and what it says when it cannot be."""

from pathlib import Path

import pytest
from stockkeeper_client import InventoryClient, tls_credentials

from tests.authority import Authority
from tests.system.servers import ORGANIZATION, run_cli, start_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("options", [(), ("--frontends", "1")])
async def test_the_command_line_and_the_client_reach_a_server_with_mutual_tls(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    authority, callers = Authority(tmp_path, "ours"), Authority(tmp_path, "callers")
    shown, own = authority.files(client_ca=callers.file), callers.files()
    tls = ("--tls-cert", shown.certificate, "--tls-key", shown.key, "--tls-client-ca", shown.client_ca)
    server = await start_server(tmp_path / "stock.db", *tls, *options)
    try:
        target, trusted = f"https://localhost:{server.port}", {"STOCKKEEPER_TLS_CA": str(authority.file)}
        known = trusted | {"STOCKKEEPER_TLS_CERT": own.certificate, "STOCKKEEPER_TLS_KEY": own.key}
        receive = ("receive", ORGANIZATION, "mug:5@w1", "--target")
        assert (await run_cli(*receive, target, environment=known))[0] == 0
        assert (await run_cli(*receive, target, environment=trusted))[0] == 1
        assert (await run_cli("events", "status", "--target", target, environment=known))[0] == 0  # as a relay does
        assert await run_cli("health", "--target", target, environment=known) == (0, "SERVING\n", "")
        assert (await run_cli("health", "--target", target, environment=trusted))[0] == 1
        credentials = tls_credentials(authority.file, certificate=own.certificate, key=own.key)
        async with InventoryClient("localhost", server.port, credentials=credentials) as client:
            assert (await client.get_stock_info(ORGANIZATION, "mug")).stock_info[0].available_quantity == 5
        assert await server.terminate() == 0
        assert "Traceback" not in server.log.read_text()
    finally:
        if server.process.returncode is None:
            await server.kill()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "0.0.0.0"), "Host 0.0.0.0 can be reached from other machines, and nothing is encrypted: give"),
        (("--tls-cert", "a.pem"), "TLS needs both a certificate and its key: --tls-cert and --tls-key."),
        (
            ("--tls-client-ca", "a.pem"),
            "Callers' certificates need the server's: --tls-client-ca goes with --tls-cert.",
        ),
        (("--tls-cert", "a.pem", "--tls-key", "b.pem"), "The file a.pem cannot be read: No such file or directory."),
    ],
)
async def test_what_cannot_be_served_so_is_said_in_a_sentence(options: tuple[str, ...], said: str) -> None:
    status, out, err = await run_cli("serve", "--database-url", "sqlite:///never-made.db", *options)
    assert (status, out) == (2, "")
    assert err.startswith(said)
    assert err.count("\n") == 1


async def test_other_machines_are_served_without_tls_if_that_is_said_in_words(tmp_path: Path) -> None:
    server = await start_server(tmp_path / "stock.db", "--host", "0.0.0.0", "--insecure-network")
    assert await server.terminate() == 0


async def test_a_file_of_the_callers_that_cannot_be_read_is_named() -> None:
    missing = {"STOCKKEEPER_TLS_CA": "missing.pem"}
    status, _, err = await run_cli("stock", ORGANIZATION, "--target", "https://localhost:1", environment=missing)
    assert (status, err) == (2, "The file missing.pem cannot be read: No such file or directory.\n")
