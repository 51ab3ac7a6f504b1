"""Everything that is installed, beside a shop's own packages `actors`, `storage`, `rpc` and so on."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.packaging.environments import ROOT, SHOPS_PACKAGES, Environment

IMPORT_ALL = """
import importlib, pkgutil, sys
import stockkeeper, stockkeeper_client
# Programs, and what needs an extra that is not installed here.
programs = (
    *("__main__", "migrations.env", "frontend_main", "top_screen", "rabbit_inbox", "rabbit_broker", "rabbit_bulk"),
    *("nats_broker", "nats_inbox", "nats_bulk", "nats_streams", "development_token", "authorization.tokens", "jwks"),
    *("token_keys", "tracing_setup", "call_spans", "stage_spans"),
)
for package in (stockkeeper, stockkeeper_client):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith(programs):
            importlib.import_module(module.name)
assert not {name.partition(".")[0] for name in sys.modules} & set(sys.argv[1:])
assert all(importlib.import_module(name).__doc__ == "The shop's own." for name in sys.argv[1:])
"""
IMPORT_KIT = """
import importlib, sys
import stockkeeper.pytest_plugin, stockkeeper.testkit
assert not {name.partition(".")[0] for name in sys.modules} & {"sqlalchemy", *sys.argv[1:]}
assert all(importlib.import_module(name).__doc__ == "The shop's own." for name in sys.argv[1:])
"""
WITHOUT_TRIO = """
import sys
sys.modules["trio"] = None
from stockkeeper.__main__ import main
main()
"""


@pytest.fixture
def port(operator: Environment) -> Iterator[int]:
    """A server as an operator installs it, with front-ends, in the folder of a shop's own code."""
    server = subprocess.Popen(
        [operator.program("stockkeeper"), "serve", "--sample", "--port", "0", "--frontends", "1"],
        cwd=operator.shop,
        env={**operator.variables, "DATABASE_URL": f"sqlite+aiosqlite:///served-{os.getpid()}.db"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    with server:
        line = server.stdout.readline()
        found = re.search(r" listens on \S*:(\d+)", line)
        assert found is not None, line
        yield int(found[1])
        server.send_signal(signal.SIGTERM)
        server.stdout.read()
    assert server.returncode == 0


@pytest.mark.long
def test_every_module_can_be_imported_beside_a_shop_s_own_packages(operator: Environment) -> None:
    operator.run("python", "-c", IMPORT_ALL, *SHOPS_PACKAGES)


@pytest.mark.long
def test_the_test_kit_can_be_imported_beside_a_shop_s_own_packages(shop: Environment) -> None:
    shop.run("python", "-c", IMPORT_KIT, *SHOPS_PACKAGES)


def test_the_test_kit_brings_nothing_that_the_server_alone_needs(shop: Environment) -> None:
    assert {"stockkeeper", "stockkeeper-client", "anyio", "msgspec", "trio", "pytest"} <= shop.installed
    assert not shop.installed & {
        "aiosqlite",
        "alembic",
        "cyclopts",
        "grpcio-status",
        "rich",
        "structlog",
        "uvloop",
        "apsw",
    }


def test_the_program_says_what_to_install_where_an_extra_is_missing(shop: Environment, operator: Environment) -> None:
    sentence = "stockkeeper needs {} for this: install stockkeeper[{}]\n"
    assert shop.run("stockkeeper", "stock", "demo", status=2) == sentence.format("cyclopts", "server")
    said = operator.run("python", "-c", WITHOUT_TRIO, "simulate", "--seed", "3", status=2)
    assert said == sentence.format("trio", "simulation")


def test_the_command_line_serves_and_calls(operator: Environment, port: int) -> None:
    said = operator.run("stockkeeper", "reserve", "demo", "order-1", "mug:2", "--target", f"localhost:{port}")
    assert "Reservation " in said


def test_the_client_s_sample_runs(shop: Environment, port: int) -> None:
    document = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^```python\n(.*?)^```", document, re.MULTILINE | re.DOTALL)
    assert found is not None
    sample = found[1]
    assert "50053" in sample
    assert shop.run("python", "-c", sample.replace("50053", str(port))) == "Reservation confirmed\n"


def test_the_test_kit_s_example_runs_on_the_oldest_libraries(shop: Environment) -> None:
    shutil.copy(ROOT / "examples/test_order_service.py", shop.shop)
    said = shop.run("python", "-m", "pytest", "-p", "no:cacheprovider", "test_order_service.py")
    assert "pytest-8.0" in said
    assert re.search(r"= \d+ passed in", said)


@pytest.mark.parametrize("disk", ["memory", "sqlite", "power-cut"])
def test_the_simulation_runs(operator: Environment, disk: str) -> None:
    assert "1 seed, " in operator.run("stockkeeper", "simulate", "--seeds", "3..4", "--disk", disk)
