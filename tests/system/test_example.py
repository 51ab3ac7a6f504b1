"""The example Order Service lives through its day against a running server."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.system.servers import ROOT, audit, running_server

pytestmark = pytest.mark.anyio


async def test_a_day_of_real_orders_balances(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "examples" / "order_service.py"), "--target", f"localhost:{server.port}"),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, out
    table = {name.strip(): int(count) for name, count in re.findall(r"│ (.*?) +│ +(\d+) │", out.decode())}
    assert table["orders asked"] == 136
    assert table["filled"] > 60
    assert table["refused: INSUFFICIENT_STOCK"] > 5
    assert table["released, payment failed"] > 5
    assert table["released, cancelled"] == 1
    assert table["sent twice, answered the same"] > 5
    assert table["sent twice, answered otherwise"] == 0
    assert table["= expected in the evening"] == table["counted in the evening"]
    audit(tmp_path / "stock.db")
