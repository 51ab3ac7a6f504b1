"""What the server's log says: one JSON object a line in a pipe, colours for a person, and nothing of libraries."""

import json
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from alembic import command
from sqlalchemy import create_engine
from structlog.testing import capture_logs

from stockkeeper.bootstrap import build_sources
from storage.sql.migrate import alembic_config
from storage.store import StorageError
from tests.system.servers import ORGANIZATION, ROOT, ServerProcess, line, running_server, start_server

pytestmark = pytest.mark.anyio


def entries(server: ServerProcess) -> list[dict[str, object]]:
    """The log so far."""
    return [json.loads(text) for text in server.log.read_text().splitlines()]


async def test_every_line_is_json_at_debug_too_and_no_library_chatters(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db", "--log-level", "debug") as server, server.client() as client:
        await client.stock.import_stock([line("a", 5)])
        await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "a", "quantity": 1}])
        with pytest.raises(grpc.aio.AioRpcError):
            await client.reserve_stock(ORGANIZATION, "o2", [{"variant_id": "b", "quantity": 1}])
    [refused] = told(server, "rpc_refused")
    assert (refused["level"], refused["code"], refused["reason"]) == ("info", "NOT_FOUND", "STOCK_NOT_FOUND")
    assert (refused["organization_id"], refused["order_id"]) == (ORGANIZATION, "o2")
    loggers = {str(entry.get("logger", "stockkeeper")).split(".")[0] for entry in entries(server)}
    assert loggers <= {"stockkeeper", "actors", "cells", "storage", "supervisor", "rpc", "events"}
    assert all({"event", "level", "timestamp"} <= entry.keys() for entry in entries(server))


@pytest.mark.parametrize(("error", "is_told"), [("BrokenPipeError(32)", False), ("ValueError(1)", True)])
def test_that_a_lost_connection_cannot_be_closed_is_no_news(error: str, is_told: bool) -> None:
    program = (
        "import logging; from stockkeeper.logs import configure_logging\n"
        "configure_logging()\n"
        f"try: raise {error}\n"
        "except Exception: logging.getLogger('sqlalchemy.pool.impl.NullPool').exception('cannot close')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ("cannot close" in done.stderr) is is_told


def test_lines_of_libraries_are_json_too_from_warning_on() -> None:
    program = (
        "import logging, structlog; from stockkeeper.logs import configure_logging, configured_level\n"
        "configure_logging('debug')\n"
        "logging.getLogger('aiosqlite').debug('executing')\n"
        "logging.getLogger('aiosqlite').warning('slow %s', 'disk')\n"
        "logging.getLogger('storage.sql').debug('batch', extra={'entries': 3})\n"
        "structlog.get_logger('rpc').debug('call', method='Reserve')\n"
        "configure_logging('error')\n"
        "structlog.get_logger('rpc').warning('hidden')\n"
        "logging.getLogger('storage.sql').warning('hidden')\n"
        "logging.getLogger('aiosqlite').warning('hidden')\n"
        "print(configured_level())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    got = [json.loads(text) for text in done.stderr.splitlines()]
    assert [(it["event"], it["level"]) for it in got] == [
        ("slow disk", "warning"),
        ("batch", "debug"),
        ("call", "debug"),
    ]
    assert (got[1]["entries"], got[2]["method"], done.stdout) == (3, "Reserve", "error\n")


def test_the_format_is_the_one_that_is_asked_for_and_a_line_stays_a_line() -> None:
    program = (
        "import structlog; from stockkeeper.logs import configure_logging, configured_format\n"
        "for log_format in ('json', 'console', 'auto'):\n"
        "    configure_logging('info', log_format)\n"
        "    structlog.get_logger('rpc').info('call', method='Reserve')\n"
        "    print(configured_format())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    one, two, three = done.stderr.splitlines()
    assert json.loads(one)["method"] == json.loads(three)["method"] == "Reserve"
    assert "method=Reserve" in two
    assert done.stdout.split() == ["json", "console", "auto"]


def test_a_flood_of_one_event_is_cut_short_and_hides_no_other() -> None:
    program = (
        "import logging, structlog, time; from stockkeeper.logs import configure_logging\n"
        "configure_logging('info')\n"
        "began_s = time.monotonic()\n"
        "for n in range(5000):\n"
        "    logging.getLogger('rpc').info('flood', extra={'n': n})\n"
        "    structlog.get_logger('rpc').info('deluge', n=n)\n"
        "structlog.get_logger('rpc').info('rare', took_s=time.monotonic() - began_s)\n"
        "time.sleep(0.2)\n"
        "logging.getLogger('rpc').info('flood')\n"
        "structlog.get_logger('rpc').info('deluge')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    got = [json.loads(text) for text in done.stderr.splitlines()]
    [rare] = [it for it in got if it["event"] == "rare"]
    for event in ("flood", "deluge"):
        lines = [it for it in got if it["event"] == event]
        assert 200 < len(lines) <= 201 + 20 * (rare["took_s"] + 1)
        assert len(lines) + sum(it.get("more_like_this", 0) for it in lines) == 5_001  # each is written or counted


async def test_an_upgrade_of_the_schema_is_told_and_a_new_database_is_none(tmp_path: Path) -> None:
    async with running_server(tmp_path / "new.db") as server:
        pass
    assert "schema_upgraded" not in server.log.read_text()
    with create_engine(f"sqlite:///{tmp_path}/old.db").begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    async with running_server(tmp_path / "old.db") as server:
        pass
    [told] = [entry for entry in entries(server) if entry["event"] == "schema_upgraded"]
    assert told["from_revision"] == "0001"


def told(server: ServerProcess, event: str) -> list[dict[str, object]]:
    return [entry for entry in entries(server) if entry["event"] == event]


async def test_a_start_a_restart_an_import_and_a_stop_are_one_line_each(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line("a", 5), line("b", 5)])
        with pytest.raises(grpc.aio.AioRpcError):
            await client.stock.import_stock([line("a", 5), line("a", 6)])
    assert [entry["event"] for entry in entries(server)] == [
        "started",
        "stock_imported",
        "import_refused",
        "rpc_refused",
        "stopping",
        "stopped",
    ]
    assert f"127.0.0.1:{server.port}" in str(told(server, "started")[0]["addresses"])
    [imported] = told(server, "stock_imported")
    assert (imported["lines"], imported["rows_created"]) == (2, 2)
    assert told(server, "stopping")[0]["signal"] == "SIGTERM"
    server = await start_server(tmp_path / "stock.db")
    await server.kill()
    server = await start_server(tmp_path / "stock.db")
    await server.terminate()
    events = [entry["event"] for entry in entries(server)][6:]
    assert events == ["took_over", "recovered", "started"] * 2 + ["stopping", "stopped"]
    assert all(entry["last_lsn"] == 1 for entry in told(server, "recovered"))
    assert [entry["epoch"] for entry in told(server, "took_over")] == [2, 3]
    assert all(str(entry["previous_owner"]).rpartition(" ")[2].isdigit() for entry in told(server, "took_over"))


def test_a_start_that_fails_says_why_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "stock.db").write_text("no database")
    done = subprocess.run(
        [sys.executable, "-m", "stockkeeper", "serve", "--database-url", f"sqlite+aiosqlite:///{tmp_path}/stock.db"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)


def test_a_step_that_fails_with_its_database_has_one_line_and_a_bug_its_traceback() -> None:
    report = build_sources().report_crash
    with capture_logs() as lines:
        report("housekeeping", StorageError("it is locked"))
        report("an actor", ValueError("a bug"))
    assert [line["event"] for line in lines] == ["storage_failed", "actor_crashed"]
    assert lines[0] == {
        "event": "storage_failed",
        "log_level": "warning",
        "error": "it is locked",
        "actor": "'housekeeping'",
    }
    assert "exc_info" in lines[1]
