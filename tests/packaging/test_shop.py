"""Everything that is installed, beside a shop's own packages `actors`, `storage`, `rpc` and so on."""

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
shops, extras = sys.argv[1 : sys.argv.index("-")], sys.argv[sys.argv.index("-") + 1 :]
programs = ("__main__", "migrations.env", "frontend_main")
for package in (stockkeeper, stockkeeper_client):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        try:
            if not module.name.endswith(programs):
                importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if error.name not in extras:
                raise
assert not {name.partition(".")[0] for name in sys.modules} & set(shops)
assert all(importlib.import_module(name).__doc__ == "The shop's own." for name in shops)
"""


@pytest.fixture
def port(operator: Environment) -> Iterator[int]:
    """A server as an operator installs it, with front-ends, in the folder of a shop's own code."""
    server = subprocess.Popen(
        [operator.program("stockkeeper"), "serve", "--sample", "--port", "0", "--frontends", "1"],
        cwd=operator.shop,
        env={**operator.variables, "DATABASE_URL": "sqlite+aiosqlite:///served.db"},
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


def test_every_module_can_be_imported_beside_a_shop_s_own_packages(shop: Environment, operator: Environment) -> None:
    shop.run("python", "-c", IMPORT_ALL, *SHOPS_PACKAGES, "-", "asyncpg")
    operator.run("python", "-c", IMPORT_ALL, *SHOPS_PACKAGES, "-", "trio", "apsw", "pytest")


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


def test_the_test_kit_s_example_runs_on_pytest_8(shop: Environment) -> None:
    shutil.copy(ROOT / "examples/test_order_service.py", shop.shop)
    said = shop.run("python", "-m", "pytest", "-p", "no:cacheprovider", "test_order_service.py")
    assert "pytest-8." in said
    assert re.search(r"= \d+ passed in", said)


def test_the_simulation_runs(shop: Environment) -> None:
    assert "1 seeds" in shop.run("stockkeeper", "simulate", "--seeds", "3..4")
