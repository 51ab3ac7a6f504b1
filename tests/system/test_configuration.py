"""The configuration file: who goes first, what is refused, and a server that runs on one."""
# ruff: noqa: ASYNC240 - the files are a line long

import json
import re
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import jsonschema
import pytest

from stockkeeper.command_line import settings_schema
from stockkeeper.command_line.config_command import settings_of
from stockkeeper.command_line.settings_file import PROGRAMS
from stockkeeper.config import ConfigurationError
from tests.system.servers import ORGANIZATION, ROOT, line, run_cli, start_server

pytestmark = pytest.mark.anyio

DOCS = ROOT / "docs"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "stockkeeper.toml"


def setting(name: str, *words: str) -> tuple[Any, str]:
    [found] = [one for one in settings_of(words) if one.name == name]
    return found.value, found.source


def test_a_flag_goes_before_a_variable_before_the_file_before_the_default(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRPC_PORT", raising=False)
    assert setting("port") == (50_053, "default")
    file.write_text("[serve]\nport = 1\ndatabase-url = 'sqlite:///b.db'\nsample = true\nidle_timeout_s = 20.5\n")
    assert setting("port", "--config", str(file)) == (1, f"file {file}")
    monkeypatch.setenv("STOCKKEEPER_CONFIG", str(file))
    assert setting("port") == (1, f"file {file}")
    assert setting("database_url") == ("sqlite:///b.db", f"file {file}")
    assert setting("sample") == (True, f"file {file}")
    assert setting("idle_timeout_s") == (20.5, f"file {file}")
    monkeypatch.setenv("GRPC_PORT", "2")
    assert setting("port") == (2, "environment GRPC_PORT")
    assert setting("port", "serve", "--port", "3") == (3, "flag")


def test_each_program_reads_its_own_table(file: Path) -> None:
    file.write_text("[serve]\nport = 1\n[relay]\nname = 'audit'\nin_flight = 7\n[consume]\nprefetch = 3\n")
    assert setting("name", "relay", "--config", str(file)) == ("audit", f"file {file}")
    assert setting("prefetch", "consume", "--config", str(file)) == (3, f"file {file}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[serve]\nprot = 1", r"\[serve\] has the unknown key prot; did you mean port\?"),
        ("[serve]\nzzzzzz = 1", r"\[serve\] has the unknown key zzzzzz\.$"),
        ("[serv]\nport = 1", r"has the unknown table serv; did you mean serve\?"),
        ("port = 1", r"has the unknown table port"),
        ("serve = 1", r"serve must be a table, \[serve\]"),
        ("[serve]\ndatabase_url = ['postgresql://u:s3cret@h']", r"\[serve\] database_url must be one value"),
        ("[serve]\ndatabase_url = 's3cret", r"is no TOML: at end of document"),
        ("[serve]\nport = 65536", r"\[port\]: must be a whole number from 0 to 65,535"),
        ("[serve]\nport = true", r"must be a whole number"),
        ("[serve]\nconfig = 'other.toml'", r"unknown key config"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(file: Path, text: str, sentence: str) -> None:
    file.write_text(text)
    with pytest.raises(Exception, match=sentence) as error:
        settings_of(["--config", str(file)])
    assert "s3cret" not in str(error.value)


async def test_a_file_that_cannot_be_read_ends_the_program_with_2(tmp_path: Path, file: Path) -> None:
    file.write_text("[serve]\nprot = 1")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[serve]\nport = 65536")
    for path in (tmp_path / "missing.toml", file, wrong):
        status, out, err = await run_cli("serve", "--config", str(path))
        assert (status, out) == (2, "")
        assert len(err.splitlines()) == 1
        assert str(path) in err


def test_settings_are_of_programs_that_have_some() -> None:
    with pytest.raises(ConfigurationError, match="settings of serve, route, relay, consume, and none of stock"):
        settings_of(["stock"])


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["serve", "--database-url", "postgresql://u:s3cret@h/d?sslpassword=s3cret"], "postgresql://u:***@h/d"),
        (["serve", "--database-url", "postgresql://u:s3@cret@h/d"], "***"),
        (["serve", "--events-to", "nats://s3cret@h"], "nats://***@h"),
        (["serve", "--consume", "amqp://u:s3@cret@h/"], "amqp://***@h/"),
        (["relay", "--to", "amqp://u:s3cret@h/"], "amqp://***@h/"),
        (["consume", "--from", "amqp://u:s3cret@h/"], "amqp://***@h/"),
    ],
)
def test_no_password_is_shown(words: list[str], shown: str) -> None:
    values = [str(one.value) for one in settings_of(words)]
    assert shown in values
    assert not [value for value in values if "cret" in value]


async def test_the_command_prints_a_line_for_each_setting(file: Path) -> None:
    file.write_text("[serve]\nport = 1\ndatabase_url = 'postgresql://u:s3cret@h/d'\n")
    status, out, err = await run_cli("config", "--config", str(file), "--database-url", "postgresql://v:s3cret@h/d")
    assert (status, err) == (0, "")
    assert f"port\t1\tfile {file}" in out.splitlines()
    assert "database_url\tpostgresql://v:***@h/d\tenvironment DATABASE_URL" in out.splitlines()
    assert "s3cret" not in out
    status, out, _ = await run_cli("config", "serve", "--json", "--config", str(file))
    first = [json.loads(text) for text in out.splitlines()][1]
    assert first == {"name": "port", "value": 1, "source": f"file {file}"}


async def test_a_server_runs_on_a_file_and_its_bounds_hold(tmp_path: Path, file: Path) -> None:
    database = tmp_path / "x.db"
    file.write_text(
        f"[serve]\nport = 0\ndatabase_url = 'sqlite+aiosqlite:///{database}'\nkeep_days = 730\n"
        "rate_limit_per_minute = 4\nreservation_ttl_minutes = 7\nlines_a_stream_max = 100\n"
    )
    for frontends in ("0", "1"):
        options = ("--config", str(file), "--frontends", frontends)
        server = await start_server(database, *options, port=None)
        async with server.client() as client:
            await client.stock.import_stock([line("a", 5)])
            reserved = await client.reserve_stock(
                ORGANIZATION, f"o{frontends}", [{"variant_id": "a", "quantity": 1}], 0
            )
            [found] = [one async for one in client.stock.list_reservations(ORGANIZATION, order_id=f"o{frontends}")]
            assert minutes_between(found.created_at, reserved.expires_at) == 7
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                [await client.get_stock_info(ORGANIZATION, "a") for _ in range(4)]
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            await client.get_stock_info("another", "a")
        assert await server.terminate() == 0
    status, out, err = await run_cli("check", environment={"STOCKKEEPER_CONFIG": str(file)})
    assert (status, err) == (0, "")
    assert "1 stock rows" in out


def minutes_between(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds() / 60


# ---- the schema and the page


def test_the_schema_and_the_tables_are_those_of_the_options() -> None:
    hint = "run: python -m stockkeeper.command_line.settings_schema docs"
    assert (DOCS / settings_schema.FILE_NAME).read_text() == settings_schema.schema_text(), hint
    page = (DOCS / settings_schema.PAGE_NAME).read_text()
    assert page == settings_schema.with_reference(page), hint


def test_the_schema_takes_what_the_programs_take_and_refuses_what_they_refuse() -> None:
    schema = json.loads((DOCS / settings_schema.FILE_NAME).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    [example] = re.findall(r"^```toml\n(.*?)^```", (DOCS / settings_schema.PAGE_NAME).read_text(), re.M | re.S)
    jsonschema.validate(tomllib.loads(example), schema)
    mistakes = ("[other]", "[serve]\nprot = 1", "[serve]\nport = 65536", "[serve]\nport = 'x'", "[serve]\nsample = 1")
    for wrong in mistakes:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(tomllib.loads(wrong), schema)
    assert set(schema["properties"]) == set(PROGRAMS)


def test_each_name_of_the_contract_is_a_variable_of_a_program() -> None:
    """The contract of events stands outside of this repository: these are copied from it, by hand."""
    table = (DOCS / settings_schema.PAGE_NAME).read_text()
    names = (
        *("GRPC_HOST", "GRPC_PORT", "DATABASE_URL", "RABBITMQ_URL", "RABBITMQ_HEARTBEAT"),
        *("RABBITMQ_EXCHANGE_INVENTORY", "RABBITMQ_PREFETCH_COUNT", "RESERVATION_TTL_MINUTES", "DEFAULT_MIN_STOCK"),
        *("DEFAULT_MAX_STOCK", "DEFAULT_REORDER_POINT", "MOVEMENT_RETENTION_DAYS", "RATE_LIMIT_PER_MINUTE"),
        *("LOG_LEVEL", "LOG_FORMAT", "METRICS_PATH"),
    )
    assert [name for name in names if f"`{name}`" not in table] == []
