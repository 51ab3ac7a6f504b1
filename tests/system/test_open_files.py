"""The program raises its soft limit of open files, which is often 1,024."""

import resource
from pathlib import Path

import pytest

from stockkeeper.serving.open_files import OPEN_FILES_WANTED
from tests.system.servers import ServerProcess, start_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def limit_of(server: ServerProcess) -> tuple[int, int]:
    return resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)


async def test_the_soft_limit_of_open_files_is_raised_as_far_as_the_hard_one_allows(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1_024, hard), hard))
    try:
        server = await start_server(tmp_path / "stock.db")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        wanted = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_WANTED)
        assert limit_of(server) == (wanted, hard)
        assert await server.terminate() == 0
    finally:
        if server.process.returncode is None:
            await server.kill()
