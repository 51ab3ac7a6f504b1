"""A request to export stock becomes the query for its first page, and rows become lines that an import takes."""

from stockkeeper_client.v1 import stock_pb2

from actors.queries import ListStock
from actors.views import StockView
from rpc.messages.field_checks import check_id, check_optional_id, raise_if_any
from rpc.messages.rules import Violation

ROWS_A_PAGE = 500


def export_stock(request: stock_pb2.ExportStockRequest) -> ListStock:
    """Raises `Invalid`, as all of `rpc.messages.validation` do."""
    faults: list[Violation] = []
    check_id(faults, "organization_id", request.organization_id)
    check_optional_id(faults, "variant_prefix", request.variant_prefix)
    check_optional_id(faults, "warehouse_id", request.warehouse_id)
    raise_if_any(faults)
    return ListStock(
        request.organization_id,
        warehouse_id=request.warehouse_id,
        limit=ROWS_A_PAGE,
        variant_prefix=request.variant_prefix,
    )


def exported(view: StockView) -> stock_pb2.ImportLine:
    """The row as an import takes it. A warehouse that has no name but its id is given none."""
    record = view.record
    return stock_pb2.ImportLine(
        organization_id=record.organization_id,
        variant_id=record.variant_id,
        warehouse_id=record.warehouse_id,
        warehouse_name="" if view.warehouse_name == record.warehouse_id else view.warehouse_name,
        total_quantity=record.total,
        damaged_quantity=record.damaged,
        in_transit_quantity=record.in_transit,
        min_stock=record.min_stock,
        max_stock=record.max_stock,
        reorder_point=record.reorder_point,
    )
