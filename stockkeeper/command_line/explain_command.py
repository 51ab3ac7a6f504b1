"""`stockkeeper explain`: from where a basket would be taken, or what is in the way."""

from stockkeeper_client import InventoryClient
from stockkeeper_client.v1.stock_pb2 import ExplainedLine

from stockkeeper.command_line.goods_commands import Flag
from stockkeeper.command_line.order_commands import parse_line
from stockkeeper.command_line.output import show
from stockkeeper.command_line.parameters import DEFAULT_TARGET, Json, Target
from stockkeeper.command_line.server_call import call


def explain(
    organization_id: str,
    /,
    *items: str,
    order: str = "",
    split: Flag = False,
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Say from where items would be taken if they were reserved now and why, or what is in the way.

    Exits with 1 if they could not be reserved.

    Parameters
    ----------
    items
        variant:quantity or variant:quantity@warehouse.
    order
        The order that they are for: what it holds counts as free.
    split
        An item that no warehouse can serve alone may come from several.
    """
    asked = [parse_line(item) for item in items]

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.explain_reservation(organization_id, asked, order_id=order, allow_split=split)
        show(answer, [*map(_sentence, answer.lines), f"{answer.message}."], as_json=json)
        return 0 if answer.fits else 1

    return call(target, run)


def _sentence(line: ExplainedLine) -> str:
    why = f"{line.why[:1].lower()}{line.why[1:]}"
    if line.chosen:
        several = [f"{one.quantity} from {one.warehouse_id}" for one in line.chosen]
        where = f": {', '.join(several)}" if len(several) > 1 else f" from {line.chosen[0].warehouse_id}"
        return f"{line.quantity} {line.variant_id}{where}: {why}."
    missing = f", {line.short} are missing" if line.short else ""
    others = ", ".join(f"{other.warehouse_id} has {other.available}" for other in line.alternatives)
    freed = f"; holds that would free enough expire at {line.frees_at}" if line.frees_at else ""
    return f"{line.quantity} {line.variant_id}: {why}{missing}{f'; {others}' if others else ''}{freed}."
