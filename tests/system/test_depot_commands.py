"""The commands about warehouses, levels and transfers, against a real server."""

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


async def test_the_sourcing_policy_is_shown_and_set(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        usual = "One warehouse for the whole basket if one has enough, else those that have the most"
        assert await run_cli("sourcing", "org_1", *target) == (0, f"org_1: most_stock. {usual}.\n", "")
        done = (0, "org_1: priority. Sourcing policy set.\n", "")
        assert await run_cli("sourcing", "org_1", "priority", "--reason", "x", *target) == done
        status, out, _ = await run_cli("sourcing", "org_1", "--json", *target)
        assert (status, '"policy":"SOURCING_POLICY_PRIORITY"' in out) == (0, True)
        status, _, err = await run_cli("sourcing", "org_1", "nearest", *target)
        assert (status, "nearest" in err) == (2, True)


async def test_a_basket_is_reserved_from_where_it_may_come(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        await run_cli("receive", "org_1", "mug:5@w1", "mug:3@w2", *target)
        several = "6 mug: 5 from w1, 1 from w2: no warehouse has enough alone.\nIt could be reserved now.\n"
        assert await run_cli("explain", "org_1", "mug:6", "--split", *target) == (0, several, "")
        status, out, _ = await run_cli("reserve-basket", "org_1", "o1", "mug:6@w2,w1", "--split", *target)
        taken = ["3 mug from w2.", "3 mug from w1.", "Stock reserved."]
        assert (status, out.splitlines()[:3]) == (0, taken)
        status, out, _ = await run_cli("reserve-basket", "org_1", "o2", "mug:6", "--partial", *target)
        assert (status, out.splitlines()[:3]) == (
            0,
            ["2 mug from w1.", "mug: 2 of 6.", "Stock reserved in part; 4 pieces are short."],
        )
        status, _, err = await run_cli("reserve-basket", "org_1", "o3", "mug:1@w1,w2", *target)
        assert (status, err.splitlines()[0]) == (1, "Insufficient stock for variant mug")
        assert (await run_cli("reserve-basket", "org_1", "o3", "mug:x@w1", *target))[0] == 2
        stays = "2 mug from w1: it was asked for.\nIt could be reserved now.\n"
        assert await run_cli("explain", "org_1", "mug:2@w1", "--order", "o2", *target) == (0, stays, "")


async def test_levels_are_set_shown_and_searched_by(tmp_path: Path) -> None:
    defaults = ("--default-min-stock", "1", "--default-reorder-point", "4")
    async with running_server(tmp_path / "stock.db", *defaults) as server:
        target = ("--target", f"localhost:{server.port}")
        await run_cli("receive", "org_1", "mug:5@w1", "pot:3@w1", "tea:9@w2", *target)
        said = "mug@w1 is low at 5 and to be ordered again at 8; it should not exceed 40.\n"
        set_levels = ("--min", "5", "--max", "40", "--reorder-point", "8")
        assert await run_cli("levels", "org_1", "mug@w1", *set_levels, *target) == (0, said, "")
        table = "variant\twarehouse\tminimum\treorder_point\tmaximum\n"
        mug, pot, tea = "mug\tw1\t5\t8\t40\n", "pot\tw1\t1\t4\tnone\n", "tea\tw2\t1\t4\tnone\n"
        assert await run_cli("levels", "org_1", *target) == (0, table + mug + pot + tea, "")
        assert await run_cli("levels", "org_1", "--alert", "warning", *target) == (0, table + pot, "")
        assert await run_cli("levels", "org_1", "--warehouse", "w2", *target) == (0, table + tea, "")
        status, out, _ = await run_cli("stock", "org_1", "--status", "low_stock", "--prefix", "m", *target)
        assert (status, out.count("\n"), "mug" in out) == (0, 2, True)
        nothing = (1, "", "org_1 has no such stock.\n")
        assert await run_cli("stock", "org_1", "--alert", "critical", "--prefix", "x", *target) == nothing
        status, _, err = await run_cli("levels", "org_1", "mug@w1", "--max", "4", *target)
        assert (status, "min_stock 5 would exceed max_stock 4" in err) == (1, True)
    for arguments, sentence in (
        (("--min", "1"), "A level is set of a row: variant@warehouse.\n"),
        (("mug@w1",), "To set levels of a row, give --min, --max or --reorder-point.\n"),
    ):
        assert await run_cli("levels", "org_1", *arguments) == (2, "", sentence)
    bad = await run_cli("serve", "--default-min-stock", "5", "--default-max-stock", "4")
    assert bad == (2, "", "The default maximum must be 0 or at least the default minimum.\n")


async def test_a_transfer_is_shipped_received_in_part_and_cancelled(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        await run_cli("receive", "org_1", "mug:9@w1", "mug:1@w2", "pot:2@w1", *target)
        shipped = await run_cli("transfer", "org_1", "w1", "w2", "mug:6", "pot:2", "--transfer-id", "t1", *target)
        head = "Transfer t1 from w1 to w2,"
        assert shipped == (0, f"{head} in transit: mug 6 sent; pot 2 sent.\n", "")
        part = await run_cli("transfer-receive", "org_1", "t1", "mug:3", *target)
        sentence = f"{head} in transit: mug 6 sent, 3 received; pot 2 sent.\n"
        assert part == (0, f"Transfer received in part.\n{sentence}", "")
        await run_cli("transfer-receive", "org_1", "t1", "mug:1", "--damaged", *target)
        await run_cli("transfer-receive", "org_1", "t1", "pot:1", "--missing", *target)
        cancelled = await run_cli("transfer-cancel", "org_1", "t1", *target)
        what = "mug 6 sent, 3 received, 1 damaged; pot 2 sent, 1 missing"
        assert cancelled == (0, f"{head} cancelled: {what}.\n", "")
        assert await run_cli("transfers", "org_1", "t1", *target) == (0, f"{head} cancelled: {what}.\n", "")
        status, out, _ = await run_cli("transfers", "org_1", "--state", "cancelled", "--warehouse", "w2", *target)
        assert (status, out.splitlines()[1].split("\t")[:4]) == (0, ["t1", "cancelled", "w1", "w2"])
        none = await run_cli("transfers", "org_1", "--state", "received", *target)
        assert none == (0, "", "org_1 has no such transfer.\n")
        assert await run_cli("transfers", "org_1", "t9", *target) == (1, "", "Transfer not found\n")
        late = await run_cli("transfer-receive", "org_1", "t1", "--close", *target)
        assert late == (1, "", "Transfer t1 is over: it was cancelled\n")
    for arguments, mistake in (
        (("transfer", "org_1", "w1", "w2", "mug:1@w1"), "A line must be variant:quantity, not 'mug:1@w1'.\n"),
        (("transfer-receive", "org_1", "t1"), "Say what has come, or --close.\n"),
        (
            ("transfer-receive", "org_1", "t1", "mug:1", "--damaged", "--missing"),
            "Pieces are damaged or missing, not both.\n",
        ),
    ):
        assert await run_cli(*arguments) == (2, "", mistake)


async def test_a_basket_is_explained(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        await run_cli("receive", "org_1", "mug:9@w1", "mug:4@w2", "pot:2@w1", *target)
        both = await run_cli("explain", "org_1", "mug:2", "pot:1", *target)
        why = "it can serve all lines that name no warehouse, and has the most of them"
        lines = f"2 mug from w1: {why}.\n1 pot from w1: {why}.\nIt could be reserved now.\n"
        assert both == (0, lines, "")
        short = await run_cli("explain", "org_1", "mug:7@w2", *target)
        lines = "7 mug: too few are available, 3 are missing; w1 has 9.\nIt could not be reserved now.\n"
        assert short == (1, lines, "")
