"""The commands about warehouses, against a real server."""

from pathlib import Path

import pytest

from tests.system.servers import run_cli, running_server

pytestmark = pytest.mark.anyio


async def test_a_warehouse_is_made_closed_and_reopened(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        made = await run_cli("warehouse", "org_1", "w1", "--name", "Madrid", "--priority", "5", *target)
        assert made == (0, "Warehouse made: w1 (Madrid) is active.\n", "")
        await run_cli("receive", "org_1", "mug:5@w1", *target)
        closed = await run_cli("warehouse", "org_1", "w1", "--close", "--reason", "stocktaking", *target)
        assert closed == (0, "Warehouse set: w1 (Madrid) is closed.\n", "")
        assert await run_cli("warehouses", "org_1", *target) == (
            0,
            "warehouse\tname\tcode\tpriority\tactive\nw1\tMadrid\t\t5\tno\n",
            "",
        )
        nothing = (1, "", "org_1 has no such warehouse.\n")
        assert await run_cli("warehouses", "org_1", "--active-only", *target) == nothing
        refused = (1, "", "Warehouse w1 is not active\n  mug@w1: the warehouse is not active\n")
        assert await run_cli("reserve", "org_1", "o1", "mug:1@w1", *target) == refused
        await run_cli("warehouse", "org_1", "w1", "--reopen", "--code", "MAD", *target)
        status, out, _ = await run_cli("warehouses", "org_1", "--json", *target)
        assert (status, out) == (
            0,
            '{"warehouse_id":"w1","name":"Madrid","code":"MAD","priority":5,"active":true}\n',
        )
    both = await run_cli("warehouse", "org_1", "w1", "--close", "--reopen")
    assert both == (2, "", "A warehouse can be closed or reopened, not both.\n")
