"""Keys from the command that makes them to the server that asks for them."""

import stat
from pathlib import Path

import pytest

from tests.system.servers import ORGANIZATION, run_cli, start_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def make_key(file: Path, *options: str) -> str:
    status, out, err = await run_cli("keys", str(file), "till", *options)
    assert (status, err) == (0, "")
    return out.strip()


@pytest.mark.parametrize("frontends", ["0", "1"])
async def test_a_key_that_was_made_opens_what_it_says(tmp_path: Path, frontends: str) -> None:
    file = tmp_path / "keys.toml"
    manager = await make_key(file, "--organization", ORGANIZATION, "--scope", "read", "--scope", "manage")
    reader = await make_key(file, "--organization", ORGANIZATION, "--scope", "read")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert manager not in file.read_text()
    options = ("--keys-file", str(file), "--frontends", frontends, "--no-reflection")
    operator = await make_key(file, "--organization", "*", "--scope", "manage")
    server = await start_server(tmp_path / "stock.db", *options)
    try:
        receive = ("receive", ORGANIZATION, "mug:5@w1", "--target", f"localhost:{server.port}")
        for key, status, said in (
            ("", 1, "The call needs a valid key\n"),
            (reader, 1, "The key does not allow this call\n"),
            (manager, 0, ""),
        ):
            assert (await run_cli(*receive, environment={"STOCKKEEPER_KEY": key}))[::2] == (status, said)
        status_of_relays = ("events", "status", "--target", f"localhost:{server.port}")
        for key, status in ((manager, 1), (operator, 0)):  # what is of all organizations
            assert (await run_cli(*status_of_relays, environment={"STOCKKEEPER_KEY": key}))[0] == status
        assert await server.terminate() == 0
        assert reader not in server.log.read_text()
    finally:
        if server.process.returncode is None:
            await server.kill()


async def test_a_key_for_nothing_is_not_made(tmp_path: Path) -> None:
    said = "A key needs at least one --organization and one --scope.\n"
    assert await run_cli("keys", str(tmp_path / "keys.toml"), "a", "--scope", "read") == (2, "", said)


async def test_a_file_that_cannot_be_used_is_a_usage_error(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text("[[key")
    for command in (
        ("keys", str(file), "a", "--organization", "*", "--scope", "read"),
        ("serve", "--keys-file", str(file)),
    ):
        status, out, err = await run_cli(*command)
        assert (status, out) == (2, "")
        assert err.startswith(f"The file {file} is not TOML: ")
