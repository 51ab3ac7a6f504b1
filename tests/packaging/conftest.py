"""Each environment is made once in a run, whatever the number of processes that run tests."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.environments import ROOT, TIMEOUT_S, Environment, documented_installs, make_environment, make_once

[[_, _, *SIMULATE]] = documented_installs("docs/simulation.md")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder of this run's, the same in all its processes."""
    base = tmp_path_factory.getbasetemp()
    return (base if worker_id == "master" else base.parent) / "packaging"


@pytest.fixture(scope="session")
def wheels(shared: Path) -> Path:
    """A folder with the wheels of both distributions."""
    folder = shared / "wheels"

    def build() -> None:
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*pip, "--wheel-dir", str(folder), ".", "./client"], cwd=ROOT, check=True, timeout=TIMEOUT_S)

    make_once(folder, build)
    return folder


@pytest.fixture(scope="session")
def shop(shared: Path, wheels: Path) -> Environment:
    """A shop that tests its code with the test kit, has an older SQLAlchemy, and the oldest that the kit runs on."""
    own = ("SQLAlchemy==2.0.*", "pytest==8.0.*", "trio==0.31.*", "anyio==4.9.0")
    return make_environment(shared / "shop", wheels, "docs/testkit.md", *own)


@pytest.fixture(scope="session")
def operator(shared: Path, wheels: Path) -> Environment:
    """The program as an operator installs it, and what `stockkeeper simulate` needs."""
    return make_environment(shared / "operator", wheels, "docs/operations.md", *SIMULATE)


@pytest.fixture(scope="session")
def caller(shared: Path, wheels: Path) -> Environment:
    """An Order Service that has the client and checks its types, without a stub of protobuf or gRPC."""
    return make_environment(shared / "caller", wheels, "client/README.md", "mypy>=2,<3")
