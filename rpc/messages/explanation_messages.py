"""A basket to be explained becomes a query, and its explanation a message in plain words."""

from stockkeeper_client.v1 import stock_pb2

from actors.queries import ExplainBasket
from actors.views import ExplainedLine, ExplainedPart, Explanation, Why
from rpc.messages.field_checks import basket_lines as _lines
from rpc.messages.field_checks import check_id as _check_id
from rpc.messages.field_checks import check_optional_id as _check_optional_id
from rpc.messages.field_checks import raise_if_any as _raise_if_any
from rpc.messages.responses import timestamp
from rpc.messages.rules import Violation

WORDS: dict[Why, str] = {
    "named": "It was asked for",
    "serves_all": "It can serve all lines that name no warehouse, and has the most of them",
    "has_most": "It has the most",
    "goes_first": "It has the highest priority of those that have enough",
    "fewest_parcels": "It is one of the fewest that can serve the basket together",
    "held": "The order has it there already",
    "split": "No warehouse has enough alone",
    "short": "Too few are available",
    "closed": "The warehouse is not active",
    "unknown": "There is no such stock",
}


def explain(request: stock_pb2.ExplainReservationRequest) -> ExplainBasket:
    """Raises `Invalid`, as all of `rpc.messages.validation` do."""
    faults: list[Violation] = []
    _check_id(faults, "organization_id", request.organization_id)
    _check_optional_id(faults, "order_id", request.order_id)
    lines = _lines(faults, request.items, quantity_min=1)
    _raise_if_any(faults)
    return ExplainBasket(request.organization_id, lines, request.order_id, request.allow_split)


def explanation(view: Explanation) -> stock_pb2.ExplainReservationResponse:
    return stock_pb2.ExplainReservationResponse(
        message="It could be reserved now" if view.fits else "It could not be reserved now",
        fits=view.fits,
        lines=[_line(line) for line in view.lines],
    )


def _line(line: ExplainedLine) -> stock_pb2.ExplainedLine:
    parts = line.parts or (ExplainedPart(line.warehouse_id, line.quantity),)
    chosen = [stock_pb2.ChosenWarehouse(warehouse_id=one.warehouse_id, quantity=one.quantity) for one in parts]
    return stock_pb2.ExplainedLine(
        variant_id=line.variant_id,
        quantity=line.quantity,
        chosen=chosen if line.warehouse_id else [],
        why=WORDS[line.why],
        short=line.short,
        alternatives=[
            stock_pb2.WarehouseStock(warehouse_id=other.warehouse_id, available=other.available)
            for other in line.alternatives
        ],
        frees_at=timestamp(line.frees_at_ms),
    )
