"""grpc.aio runs on asyncio only."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.system.servers import ROOT


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def program_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server, in a process of its own, for tests that run no event loop."""
    database = tmp_path_factory.mktemp("program") / "stock.db"
    options = ("--port", "0", "--database-url", f"sqlite+aiosqlite:///{database}")
    server = subprocess.Popen(
        [sys.executable, "-m", "stockkeeper", "serve", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        text=True,
    )
    assert server.stdout is not None
    told = re.search(r"listens on [\d.]+:(\d+)", server.stdout.readline())
    assert told is not None
    yield int(told[1])
    server.terminate()
    with server:
        assert server.wait(30) == 0
