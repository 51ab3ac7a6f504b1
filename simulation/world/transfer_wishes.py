"""What clients ask of transfers: goods go from one warehouse to another, and some are lost or broken on the way."""

from collections.abc import Iterator
from random import Random
from typing import Protocol, get_args

from msgspec.structs import replace

from actors.queries import GetTransfer, ListTransfers
from actors.transfer_commands import ArrivedLine, CancelTransfer, ReceiveTransfer, ShippedLine, ShipTransfer
from actors.transfer_records import TransferRecord, TransferState
from actors.warehouse_commands import UpsertWarehouse
from simulation.audit.history import Request
from simulation.world.goods_wishes import Assortment, why

AGAIN = "-again"


class Moving(Assortment, Protocol):
    """A shop that knows of transfers."""

    transfers: list[TransferRecord]


def transfer_wish(shop: Moving, random: Random, name: str) -> Request:
    """A shipment, or something about one of the latest."""
    if not shop.transfers or random.random() < 0.3:
        return _shipment(shop, random, name)
    transfer = shop.transfers[-1 - int(random.random() ** 2 * len(shop.transfers))]
    organization = transfer.organization_id if random.random() < 0.95 else "org_other"
    transfer_id = transfer.transfer_id if random.random() < 0.95 else "no such transfer"
    coin = random.random()
    if coin < 0.2:
        return _question(shop, random, organization, transfer_id)
    # Several clients say the same, some of them under the same key.
    request_id = f"{transfer_id}-{random.randrange(3)}" if random.random() < 0.2 else f"{name}-transfer"
    if coin < 0.4:
        return CancelTransfer(organization, transfer_id, f"{request_id}-cancel", *why(name))
    said = Random(request_id) if request_id.startswith(transfer_id) else random
    return _receipt(transfer, said, organization, transfer_id, request_id)


def shipped_again(request: ShipTransfer) -> Iterator[Request]:
    """What a client does whose shipment was refused for its destination: it opens that, and ships again, once."""
    if not request.request_id.endswith(AGAIN):
        opened = (request.organization_id, request.to_warehouse_id, None, None, None, True)
        yield UpsertWarehouse(*opened, f"{request.request_id}-opened")
        yield replace(request, request_id=request.request_id + AGAIN)


def _shipment(shop: Moving, random: Random, name: str) -> ShipTransfer:
    sender = random.choice(shop.warehouses)
    others = [one for one in (*shop.warehouses, "wh_new") if one != sender]
    if random.random() < 0.05:
        others = ["wh_far"]
    lines = [
        ShippedLine(random.choice(shop.variants), random.randint(1, 3)) for _ in range(random.choice((1, 1, 2, 3)))
    ]
    transfer_id = "" if random.random() < 0.5 else f"transfer-{random.randrange(8)}"
    organization = random.choice(shop.organizations)
    return ShipTransfer(
        organization, transfer_id, sender, random.choice(others), tuple(lines), f"{name}-ship", *why(name)
    )


def _receipt(
    transfer: TransferRecord, random: Random, organization: str, transfer_id: str, request_id: str
) -> ReceiveTransfer:
    lines = []
    for line in transfer.lines:
        good = random.randint(0, line.sent)
        bad = random.choice((0, 0, 1))
        lost = random.choice((0, 0, 1))
        if good + bad + lost and random.random() < 0.8:
            lines.append(ArrivedLine(line.variant_id, good, bad, lost))
    is_last = not lines or random.random() < 0.15
    return ReceiveTransfer(organization, transfer_id, tuple(lines), is_last, request_id, *why(request_id))


def _question(shop: Moving, random: Random, organization: str, transfer_id: str) -> GetTransfer | ListTransfers:
    if random.random() < 0.5:
        return GetTransfer(organization, transfer_id)
    state = random.choice((None, *get_args(TransferState)))
    warehouse, limit, lines_max = (
        random.choice(("", *shop.warehouses)),
        random.choice((1, 2, 100)),
        random.choice((2, 1_000)),
    )
    return ListTransfers(organization, state, warehouse, None, limit, lines_max)
