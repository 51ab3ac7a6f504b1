"""Keys from the command that makes them to the server that asks for them."""

import json
import stat
from pathlib import Path
from typing import Any

import grpc
import pytest

from rpc.transport.addresses import Address
from rpc.transport.tls_files import TlsFiles
from stockkeeper.command_line.cli import COMMANDS, app
from stockkeeper.command_line.token_options import TokenOptions
from stockkeeper.config import ConfigurationError, ServeConfig
from stockkeeper.server_address import ServerAddress
from stockkeeper.serving.programs_beside import ProgramsBeside
from tests.rpc.test_authorization import ended_sending
from tests.system.servers import ORGANIZATION, run_cli, running_server, start_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def make_key(file: Path, *options: str, name: str = "till") -> str:
    status, out, err = await run_cli("keys", str(file), name, *options)
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
        assert await code_of_reflection(server.port) is grpc.StatusCode.UNIMPLEMENTED
        assert await server.terminate() == 0
        assert reader not in server.log.read_text()
    finally:
        if server.process.returncode is None:
            await server.kill()


async def code_of_reflection(port: int) -> grpc.StatusCode:
    """How a question for the services ends that comes without a key."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask: Any = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        return await ended_sending(ask(timeout=20), b"\x3a\x00")  # list_services


async def test_a_server_with_keys_tells_everyone_its_services_unless_told_not_to(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    await make_key(file, "--organization", ORGANIZATION, "--scope", "read")
    async with running_server(tmp_path / "stock.db", "--keys-file", str(file)) as server:
        assert await code_of_reflection(server.port) is grpc.StatusCode.OK


def test_no_option_takes_a_secret() -> None:
    """A database's or a broker's URL may have a password, which is hidden; keys and passwords come from files."""
    for command in COMMANDS:
        for argument in app[command].assemble_argument_collection():
            for word in ("key", "password", "secret", "token"):
                if argument.name.startswith("--") and word in argument.name:
                    assert argument.name in FILES_AND_NAMES, (command, argument.name)


# Of files, of what tells how tokens are checked, of places in the history, and of request ids.
FILES_AND_NAMES = {
    *(
        "--tls-key",
        "--link-key",
        "--keys-file",
        "--database-password-file",
        "--from-password-file",
        "--to-password-file",
    ),
    *("--token", "--no-token", "--token-jwks", "--token-issuer", "--token-audience", "--token-leeway-s"),
    *("--token-algorithms", "--token-organizations-claim", "--token-scopes-claim", "--idempotency-key"),
}


async def test_a_token_that_was_made_opens_what_it_says_and_the_ledger_has_whose_it_was(tmp_path: Path) -> None:
    """In a front-end, beside keys."""
    file, key_file = tmp_path / "jwks.json", tmp_path / "keys.toml"
    both = ("--organization", ORGANIZATION, "--scope", "manage", "--scope", "read")
    token = await make_key(file, *both, "--token", name="ana")
    reader = await make_key(
        file, "--organization", ORGANIZATION, "--scope", "read", "--token", "--minutes", "5", name="ben"
    )
    key = await make_key(key_file, *both)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    trusted = ("--token-issuer", "stockkeeper-development", "--token-audience", "stockkeeper")
    options = ("--keys-file", str(key_file), "--token-jwks", str(file), *trusted, "--frontends", "1")
    server = await start_server(tmp_path / "stock.db", *options)
    try:
        target = ("--target", f"localhost:{server.port}")
        receive = ("receive", ORGANIZATION, "mug:5@w1", *target)
        for credential, status, said in (
            (token[:-8], 1, "The call needs a valid key\n"),
            (reader, 1, "The key does not allow this call\n"),
            (token, 0, ""),
            (key, 0, ""),
        ):
            assert (await run_cli(*receive, environment={"STOCKKEEPER_KEY": credential}))[::2] == (status, said)
        (tmp_path / "token").write_text(f"{reader}\n")
        from_file = {"STOCKKEEPER_TOKEN_FILE": str(tmp_path / "token")}
        _, out, _ = await run_cli("movements", ORGANIZATION, "--json", *target, environment=from_file)
        assert [json.loads(line)["actor"] for line in out.splitlines()] == ["ana", "till"]
        assert await server.terminate() == 0
        log = server.log.read_text()
        assert "signature is not good" in log
        assert all(part not in log for part in token.split(".")[1:])
    finally:
        if server.process.returncode is None:
            await server.kill()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"token_issuer": "a"}, "Tokens need their issuer's keys: --token-jwks."),
        ({"token_jwks": "a", "token_issuer": "a"}, "--token-jwks needs --token-issuer and --token-audience."),
        (
            {"token_jwks": "a", "token_issuer": "a", "token_audience": "a", "token_algorithms": "ES256,none"},
            "--token-algorithms must be some of RS256, ",
        ),
    ],
)
def test_tokens_that_cannot_be_checked_are_not_configured(options: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        TokenOptions(**options).settings()  # type: ignore[arg-type]


async def test_keys_of_tokens_that_are_not_there_are_a_usage_error(tmp_path: Path) -> None:
    options = ("--token-jwks", f"{tmp_path}/a", "--token-issuer", "a", "--token-audience", "a")
    said = f"The file {tmp_path}/a cannot be read: No such file or directory.\n"
    assert await run_cli("serve", *options) == (2, "", said)


async def test_a_file_of_another_kind_is_not_signed_with(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    await make_key(file, "--organization", "*", "--scope", "read")
    status, _, err = await run_cli("keys", str(file), "a", "--organization", "*", "--scope", "read", "--token")
    assert (status, err) == (
        2,
        f"The file {file} is no JSON Web Key Set with a private key that this command has made.\n",
    )


@pytest.mark.parametrize(
    ("environment", "target", "said"),
    [
        (
            {"STOCKKEEPER_KEY": "secret"},
            "inventory.example:1",
            "The key is not sent to inventory.example:1 without TLS",
        ),
        ({"STOCKKEEPER_TOKEN_FILE": "token"}, "192.0.2.1:1", "The key is not sent to 192.0.2.1:1 without TLS"),
        ({"STOCKKEEPER_TOKEN_FILE": "missing"}, "localhost:1", "The file missing cannot be read: No such file"),
        ({"STOCKKEEPER_TOKEN_FILE": "empty"}, "localhost:1", "The file empty has no token."),
        ({"STOCKKEEPER_TOKEN_FILE": "token", "STOCKKEEPER_KEY": "k"}, "localhost:1", "and not both"),
        ({"STOCKKEEPER_KEY": "secret"}, "localhost:1", ""),
        ({"STOCKKEEPER_KEY": "secret"}, "https://inventory.example:1", ""),
        ({"STOCKKEEPER_KEY": "secret", "STOCKKEEPER_INSECURE_NETWORK": "1"}, "inventory.example:1", ""),
        ({}, "inventory.example:1", ""),
    ],
)
def test_a_key_goes_where_others_cannot_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], target: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text("secret")
    (tmp_path / "empty").touch()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if said:
        with pytest.raises(ConfigurationError, match=said) as raised:
            ServerAddress(target)
        assert "secret" not in str(raised.value)
    else:
        assert "secret" not in repr(ServerAddress(target))


@pytest.mark.parametrize(
    ("host", "tls", "target"),
    [
        ("192.0.2.1", None, "192.0.2.1:5"),
        ("192.0.2.1", TlsFiles("c", "k", ""), "https://192.0.2.1:5"),
        ("0.0.0.0", TlsFiles("c", "k", ""), "https://localhost:5"),
        ("inventory.example", TlsFiles("c", "k", ""), "https://inventory.example:5"),
    ],
)
def test_a_program_beside_the_server_brings_its_key_wherever_that_listens(
    monkeypatch: pytest.MonkeyPatch, host: str, tls: TlsFiles | None, target: str
) -> None:
    monkeypatch.setenv("STOCKKEEPER_KEY", "secret")
    beside = ProgramsBeside(ServeConfig(host=host, tls=tls, events_to="nats://a", consume="nats://a"))
    found = [process._config for process in beside._configs(beside._target(Address("192.0.2.1", 5)))]
    assert [(config.target, config.is_beside) for config in found] == [(target, True)] * 2
    for config in found:
        ServerAddress(config.target, is_here=config.is_beside)


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
