"""The commands about one reservation, from a reservation to its last parcel, by the program itself."""

import json
import re
from pathlib import Path

import pytest

from tests.system.servers import run_cli, running_server

pytestmark = pytest.mark.anyio


async def test_a_reservation_is_extended_amended_shipped_in_parts_and_looked_at(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        await run_cli("receive", "shop", "mug:10@w1", "pot:5@w1", *target)
        _, out, _ = await run_cli("reserve", "shop", "order-1", "mug:3", *target)
        name = re.findall(r"Reservation (\S+) holds", out)[0]

        extend = ("extend", "shop", name, "--ttl-minutes", "60", "--request-id", "e1", *target)
        extended = await run_cli(*extend)
        assert extended[1].startswith("Reservation is held until ")
        assert await run_cli(*extend) == extended

        status, out, _ = await run_cli("amend", "shop", name, "mug:4", "pot:1@w1", *target)
        assert (status, out.splitlines()[0]) == (0, "Reservation amended.")
        assert out.splitlines()[2:] == ["4 mug from w1", "1 pot from w1"]
        status, _, err = await run_cli("amend", "shop", name, "mug:400", *target)
        assert (status, err.splitlines()[0]) == (1, "Insufficient stock for variant mug")

        status, _, err = await run_cli("fulfill", "shop", name, "mug:1", *target)
        assert (status, err) == (1, f"Reservation {name} is not confirmed\n")
        await run_cli("confirm", "shop", name, "order-1", *target)
        status, _, err = await run_cli("extend", "shop", name, *target)
        assert (status, err) == (1, f"Reservation {name} is confirmed and has no time limit\n")
        _, out, _ = await run_cli("fulfill", "shop", name, "mug:3", *target)
        assert out.splitlines()[0].startswith("1 item, 3 pieces left at ")
        assert out.splitlines()[1] == "Reservation fulfilled in part; 2 pieces are still reserved."
        status, _, err = await run_cli("fulfill", "shop", name, "mug:2", *target)
        assert (status, err.splitlines()[0]) == (1, "Of variant mug 1 are left to ship, and 2 were asked for")
        _, out, _ = await run_cli("reservation", "shop", name, *target)
        assert out.splitlines()[1:] == ["4 mug from w1, 3 shipped", "1 pot from w1"]
        _, out, _ = await run_cli("fulfill", "shop", name, "pot:1", "--close", *target)
        assert out.startswith("1 item, 1 piece left at ")
        _, out, _ = await run_cli("reservation", "shop", name, "--json", *target)
        found = json.loads(out)
        assert (found["state"], [item["quantity"] for item in found["fulfilled"]]) == ("fulfilled", [3, 1])
        _, out, _ = await run_cli("stock", "shop", *target)
        assert "mug\tw1\tw1\t7\t7\t0\t" in out
        assert "pot\tw1\tw1\t4\t4\t0\t" in out


async def test_what_holds_its_goods_or_does_not_exist_is_not_taken_again(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        await run_cli("receive", "shop", "mug:10@w1", *target)
        _, out, _ = await run_cli("reserve", "shop", "order-1", "mug:3", *target)
        name = re.findall(r"Reservation (\S+) holds", out)[0]
        status, out, _ = await run_cli("reacquire", "shop", name, *target)
        assert (status, out.splitlines()[0]) == (0, "Reservation holds its goods still; nothing was taken.")
        for command in (("reservation", "shop", "x"), ("reacquire", "shop", "x"), ("amend", "shop", "x", "mug:1")):
            assert await run_cli(*command, *target) == (1, "", "Reservation not found\n")
