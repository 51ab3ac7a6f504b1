from stockkeeper_client.v1 import protobuf as _field_mask_pb2
from stockkeeper_client.v1 import inventory_pb2 as _inventory_pb2
from stockkeeper_client.v1 import protobuf as _containers
from stockkeeper_client.v1 import protobuf as _enum_type_wrapper
from stockkeeper_client.v1 import protobuf as _descriptor
from stockkeeper_client.v1 import protobuf as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TransferState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRANSFER_STATE_UNSPECIFIED: _ClassVar[TransferState]
    TRANSFER_STATE_IN_TRANSIT: _ClassVar[TransferState]
    TRANSFER_STATE_RECEIVED: _ClassVar[TransferState]
    TRANSFER_STATE_CANCELLED: _ClassVar[TransferState]

class StockStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STOCK_STATUS_UNSPECIFIED: _ClassVar[StockStatus]
    STOCK_STATUS_IN_STOCK: _ClassVar[StockStatus]
    STOCK_STATUS_LOW_STOCK: _ClassVar[StockStatus]
    STOCK_STATUS_OUT_OF_STOCK: _ClassVar[StockStatus]

class AlertLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ALERT_LEVEL_UNSPECIFIED: _ClassVar[AlertLevel]
    ALERT_LEVEL_CRITICAL: _ClassVar[AlertLevel]
    ALERT_LEVEL_WARNING: _ClassVar[AlertLevel]

class SourcingPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SOURCING_POLICY_UNSPECIFIED: _ClassVar[SourcingPolicy]
    SOURCING_POLICY_MOST_STOCK: _ClassVar[SourcingPolicy]
    SOURCING_POLICY_PRIORITY: _ClassVar[SourcingPolicy]
    SOURCING_POLICY_FEWEST_PARCELS: _ClassVar[SourcingPolicy]
TRANSFER_STATE_UNSPECIFIED: TransferState
TRANSFER_STATE_IN_TRANSIT: TransferState
TRANSFER_STATE_RECEIVED: TransferState
TRANSFER_STATE_CANCELLED: TransferState
STOCK_STATUS_UNSPECIFIED: StockStatus
STOCK_STATUS_IN_STOCK: StockStatus
STOCK_STATUS_LOW_STOCK: StockStatus
STOCK_STATUS_OUT_OF_STOCK: StockStatus
ALERT_LEVEL_UNSPECIFIED: AlertLevel
ALERT_LEVEL_CRITICAL: AlertLevel
ALERT_LEVEL_WARNING: AlertLevel
SOURCING_POLICY_UNSPECIFIED: SourcingPolicy
SOURCING_POLICY_MOST_STOCK: SourcingPolicy
SOURCING_POLICY_PRIORITY: SourcingPolicy
SOURCING_POLICY_FEWEST_PARCELS: SourcingPolicy

class ImportStockRequest(_message.Message):
    __slots__ = ("request_id", "lines", "lines_total")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    LINES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    lines: _containers.RepeatedCompositeFieldContainer[ImportLine]
    lines_total: int
    def __init__(self, request_id: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[ImportLine, _Mapping[str, object]]]] = ..., lines_total: _Optional[int] = ...) -> None: ...

class ImportLine(_message.Message):
    __slots__ = ("organization_id", "variant_id", "warehouse_id", "warehouse_name", "total_quantity", "damaged_quantity", "in_transit_quantity", "min_stock", "max_stock", "line_number", "reorder_point")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_NAME_FIELD_NUMBER: _ClassVar[int]
    TOTAL_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    IN_TRANSIT_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    MIN_STOCK_FIELD_NUMBER: _ClassVar[int]
    MAX_STOCK_FIELD_NUMBER: _ClassVar[int]
    LINE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    REORDER_POINT_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    variant_id: str
    warehouse_id: str
    warehouse_name: str
    total_quantity: int
    damaged_quantity: int
    in_transit_quantity: int
    min_stock: int
    max_stock: int
    line_number: int
    reorder_point: int
    def __init__(self, organization_id: _Optional[str] = ..., variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., warehouse_name: _Optional[str] = ..., total_quantity: _Optional[int] = ..., damaged_quantity: _Optional[int] = ..., in_transit_quantity: _Optional[int] = ..., min_stock: _Optional[int] = ..., max_stock: _Optional[int] = ..., line_number: _Optional[int] = ..., reorder_point: _Optional[int] = ...) -> None: ...

class ImportStockResponse(_message.Message):
    __slots__ = ("lines", "rows_created", "rows_changed", "rows_unchanged", "message", "new_organizations", "cells")
    LINES_FIELD_NUMBER: _ClassVar[int]
    ROWS_CREATED_FIELD_NUMBER: _ClassVar[int]
    ROWS_CHANGED_FIELD_NUMBER: _ClassVar[int]
    ROWS_UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NEW_ORGANIZATIONS_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    lines: int
    rows_created: int
    rows_changed: int
    rows_unchanged: int
    message: str
    new_organizations: _containers.RepeatedScalarFieldContainer[str]
    cells: _containers.RepeatedCompositeFieldContainer[CellImport]
    def __init__(self, lines: _Optional[int] = ..., rows_created: _Optional[int] = ..., rows_changed: _Optional[int] = ..., rows_unchanged: _Optional[int] = ..., message: _Optional[str] = ..., new_organizations: _Optional[_Iterable[str]] = ..., cells: _Optional[_Iterable[_Union[CellImport, _Mapping[str, object]]]] = ...) -> None: ...

class CellImport(_message.Message):
    __slots__ = ("cell", "lines", "rows_created", "rows_changed", "rows_unchanged")
    CELL_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    ROWS_CREATED_FIELD_NUMBER: _ClassVar[int]
    ROWS_CHANGED_FIELD_NUMBER: _ClassVar[int]
    ROWS_UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    cell: str
    lines: int
    rows_created: int
    rows_changed: int
    rows_unchanged: int
    def __init__(self, cell: _Optional[str] = ..., lines: _Optional[int] = ..., rows_created: _Optional[int] = ..., rows_changed: _Optional[int] = ..., rows_unchanged: _Optional[int] = ...) -> None: ...

class ImportErrors(_message.Message):
    __slots__ = ("errors", "errors_total")
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    errors: _containers.RepeatedCompositeFieldContainer[ImportLineError]
    errors_total: int
    def __init__(self, errors: _Optional[_Iterable[_Union[ImportLineError, _Mapping[str, object]]]] = ..., errors_total: _Optional[int] = ...) -> None: ...

class ImportLineError(_message.Message):
    __slots__ = ("line_number", "reason")
    LINE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    line_number: int
    reason: str
    def __init__(self, line_number: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class ExportStockRequest(_message.Message):
    __slots__ = ("organization_id", "variant_prefix", "warehouse_id")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_PREFIX_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    variant_prefix: str
    warehouse_id: str
    def __init__(self, organization_id: _Optional[str] = ..., variant_prefix: _Optional[str] = ..., warehouse_id: _Optional[str] = ...) -> None: ...

class ReceiveStockRequest(_message.Message):
    __slots__ = ("organization_id", "request_id", "reason", "reference", "lines")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    request_id: str
    reason: str
    reference: str
    lines: _containers.RepeatedCompositeFieldContainer[ReceivedLine]
    def __init__(self, organization_id: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[ReceivedLine, _Mapping[str, object]]]] = ...) -> None: ...

class ReceivedLine(_message.Message):
    __slots__ = ("variant_id", "warehouse_id", "quantity", "damaged_quantity", "from_in_transit")
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    FROM_IN_TRANSIT_FIELD_NUMBER: _ClassVar[int]
    variant_id: str
    warehouse_id: str
    quantity: int
    damaged_quantity: int
    from_in_transit: bool
    def __init__(self, variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., quantity: _Optional[int] = ..., damaged_quantity: _Optional[int] = ..., from_in_transit: _Optional[bool] = ...) -> None: ...

class ReceiveStockResponse(_message.Message):
    __slots__ = ("message", "rows_created", "organization_created", "rows")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ROWS_CREATED_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_CREATED_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    message: str
    rows_created: int
    organization_created: bool
    rows: _containers.RepeatedCompositeFieldContainer[_inventory_pb2.StockInfo]
    def __init__(self, message: _Optional[str] = ..., rows_created: _Optional[int] = ..., organization_created: _Optional[bool] = ..., rows: _Optional[_Iterable[_Union[_inventory_pb2.StockInfo, _Mapping[str, object]]]] = ...) -> None: ...

class GoodsLine(_message.Message):
    __slots__ = ("variant_id", "warehouse_id", "quantity")
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    variant_id: str
    warehouse_id: str
    quantity: int
    def __init__(self, variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., quantity: _Optional[int] = ...) -> None: ...

class AnnounceStockRequest(_message.Message):
    __slots__ = ("organization_id", "request_id", "lines", "reason", "reference")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    request_id: str
    lines: _containers.RepeatedCompositeFieldContainer[GoodsLine]
    reason: str
    reference: str
    def __init__(self, organization_id: _Optional[str] = ..., request_id: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[GoodsLine, _Mapping[str, object]]]] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ...) -> None: ...

class AnnounceStockResponse(_message.Message):
    __slots__ = ("message", "rows_created", "organization_created", "rows")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ROWS_CREATED_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_CREATED_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    message: str
    rows_created: int
    organization_created: bool
    rows: _containers.RepeatedCompositeFieldContainer[_inventory_pb2.StockInfo]
    def __init__(self, message: _Optional[str] = ..., rows_created: _Optional[int] = ..., organization_created: _Optional[bool] = ..., rows: _Optional[_Iterable[_Union[_inventory_pb2.StockInfo, _Mapping[str, object]]]] = ...) -> None: ...

class DeductStockRequest(_message.Message):
    __slots__ = ("organization_id", "request_id", "lines", "reason", "reference")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    request_id: str
    lines: _containers.RepeatedCompositeFieldContainer[GoodsLine]
    reason: str
    reference: str
    def __init__(self, organization_id: _Optional[str] = ..., request_id: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[GoodsLine, _Mapping[str, object]]]] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ...) -> None: ...

class DeductStockResponse(_message.Message):
    __slots__ = ("message", "rows", "lines")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    message: str
    rows: _containers.RepeatedCompositeFieldContainer[_inventory_pb2.StockInfo]
    lines: _containers.RepeatedCompositeFieldContainer[GoodsLine]
    def __init__(self, message: _Optional[str] = ..., rows: _Optional[_Iterable[_Union[_inventory_pb2.StockInfo, _Mapping[str, object]]]] = ..., lines: _Optional[_Iterable[_Union[GoodsLine, _Mapping[str, object]]]] = ...) -> None: ...

class AdjustStockRequest(_message.Message):
    __slots__ = ("organization_id", "request_id", "adjustments", "reason", "reference", "release_uncovered")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ADJUSTMENTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    RELEASE_UNCOVERED_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    request_id: str
    adjustments: _containers.RepeatedCompositeFieldContainer[Adjustment]
    reason: str
    reference: str
    release_uncovered: bool
    def __init__(self, organization_id: _Optional[str] = ..., request_id: _Optional[str] = ..., adjustments: _Optional[_Iterable[_Union[Adjustment, _Mapping[str, object]]]] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ..., release_uncovered: _Optional[bool] = ...) -> None: ...

class Adjustment(_message.Message):
    __slots__ = ("variant_id", "warehouse_id", "delta", "mark_damaged", "repair", "write_off_damaged", "count")
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    MARK_DAMAGED_FIELD_NUMBER: _ClassVar[int]
    REPAIR_FIELD_NUMBER: _ClassVar[int]
    WRITE_OFF_DAMAGED_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    variant_id: str
    warehouse_id: str
    delta: int
    mark_damaged: int
    repair: int
    write_off_damaged: int
    count: Count
    def __init__(self, variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., delta: _Optional[int] = ..., mark_damaged: _Optional[int] = ..., repair: _Optional[int] = ..., write_off_damaged: _Optional[int] = ..., count: _Optional[_Union[Count, _Mapping[str, object]]] = ...) -> None: ...

class Count(_message.Message):
    __slots__ = ("counted_total", "expected_total")
    COUNTED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    counted_total: int
    expected_total: int
    def __init__(self, counted_total: _Optional[int] = ..., expected_total: _Optional[int] = ...) -> None: ...

class AdjustStockResponse(_message.Message):
    __slots__ = ("message", "rows", "released", "shortfall")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    SHORTFALL_FIELD_NUMBER: _ClassVar[int]
    message: str
    rows: _containers.RepeatedCompositeFieldContainer[_inventory_pb2.StockInfo]
    released: _containers.RepeatedScalarFieldContainer[str]
    shortfall: _containers.RepeatedCompositeFieldContainer[Shortfall]
    def __init__(self, message: _Optional[str] = ..., rows: _Optional[_Iterable[_Union[_inventory_pb2.StockInfo, _Mapping[str, object]]]] = ..., released: _Optional[_Iterable[str]] = ..., shortfall: _Optional[_Iterable[_Union[Shortfall, _Mapping[str, object]]]] = ...) -> None: ...

class Shortfall(_message.Message):
    __slots__ = ("reservation_id", "order_id", "variant_id", "warehouse_id", "pieces")
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    PIECES_FIELD_NUMBER: _ClassVar[int]
    reservation_id: str
    order_id: str
    variant_id: str
    warehouse_id: str
    pieces: int
    def __init__(self, reservation_id: _Optional[str] = ..., order_id: _Optional[str] = ..., variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., pieces: _Optional[int] = ...) -> None: ...

class DeleteStockRequest(_message.Message):
    __slots__ = ("organization_id", "request_id", "variant_id", "warehouse_id", "reason", "reference")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    request_id: str
    variant_id: str
    warehouse_id: str
    reason: str
    reference: str
    def __init__(self, organization_id: _Optional[str] = ..., request_id: _Optional[str] = ..., variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ...) -> None: ...

class DeleteStockResponse(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: str
    def __init__(self, message: _Optional[str] = ...) -> None: ...

class ExplainReservationRequest(_message.Message):
    __slots__ = ("organization_id", "items", "order_id", "allow_split")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ALLOW_SPLIT_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    items: _containers.RepeatedCompositeFieldContainer[GoodsLine]
    order_id: str
    allow_split: bool
    def __init__(self, organization_id: _Optional[str] = ..., items: _Optional[_Iterable[_Union[GoodsLine, _Mapping[str, object]]]] = ..., order_id: _Optional[str] = ..., allow_split: _Optional[bool] = ...) -> None: ...

class ExplainReservationResponse(_message.Message):
    __slots__ = ("message", "fits", "lines")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FITS_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    message: str
    fits: bool
    lines: _containers.RepeatedCompositeFieldContainer[ExplainedLine]
    def __init__(self, message: _Optional[str] = ..., fits: _Optional[bool] = ..., lines: _Optional[_Iterable[_Union[ExplainedLine, _Mapping[str, object]]]] = ...) -> None: ...

class ExplainedLine(_message.Message):
    __slots__ = ("variant_id", "quantity", "chosen", "why", "short", "alternatives", "frees_at")
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    SHORT_FIELD_NUMBER: _ClassVar[int]
    ALTERNATIVES_FIELD_NUMBER: _ClassVar[int]
    FREES_AT_FIELD_NUMBER: _ClassVar[int]
    variant_id: str
    quantity: int
    chosen: _containers.RepeatedCompositeFieldContainer[ChosenWarehouse]
    why: str
    short: int
    alternatives: _containers.RepeatedCompositeFieldContainer[WarehouseStock]
    frees_at: str
    def __init__(self, variant_id: _Optional[str] = ..., quantity: _Optional[int] = ..., chosen: _Optional[_Iterable[_Union[ChosenWarehouse, _Mapping[str, object]]]] = ..., why: _Optional[str] = ..., short: _Optional[int] = ..., alternatives: _Optional[_Iterable[_Union[WarehouseStock, _Mapping[str, object]]]] = ..., frees_at: _Optional[str] = ...) -> None: ...

class ChosenWarehouse(_message.Message):
    __slots__ = ("warehouse_id", "quantity")
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    warehouse_id: str
    quantity: int
    def __init__(self, warehouse_id: _Optional[str] = ..., quantity: _Optional[int] = ...) -> None: ...

class WarehouseStock(_message.Message):
    __slots__ = ("warehouse_id", "available")
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    warehouse_id: str
    available: int
    def __init__(self, warehouse_id: _Optional[str] = ..., available: _Optional[int] = ...) -> None: ...

class Transfer(_message.Message):
    __slots__ = ("transfer_id", "from_warehouse_id", "to_warehouse_id", "state", "lines", "shipped_at", "received_at", "cancelled_at")
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    TO_WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    SHIPPED_AT_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_AT_FIELD_NUMBER: _ClassVar[int]
    transfer_id: str
    from_warehouse_id: str
    to_warehouse_id: str
    state: TransferState
    lines: _containers.RepeatedCompositeFieldContainer[TransferLine]
    shipped_at: str
    received_at: str
    cancelled_at: str
    def __init__(self, transfer_id: _Optional[str] = ..., from_warehouse_id: _Optional[str] = ..., to_warehouse_id: _Optional[str] = ..., state: _Optional[_Union[TransferState, str]] = ..., lines: _Optional[_Iterable[_Union[TransferLine, _Mapping[str, object]]]] = ..., shipped_at: _Optional[str] = ..., received_at: _Optional[str] = ..., cancelled_at: _Optional[str] = ...) -> None: ...

class TransferLine(_message.Message):
    __slots__ = ("variant_id", "sent", "received", "damaged", "missing")
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    variant_id: str
    sent: int
    received: int
    damaged: int
    missing: int
    def __init__(self, variant_id: _Optional[str] = ..., sent: _Optional[int] = ..., received: _Optional[int] = ..., damaged: _Optional[int] = ..., missing: _Optional[int] = ...) -> None: ...

class ShipTransferRequest(_message.Message):
    __slots__ = ("organization_id", "request_id", "transfer_id", "from_warehouse_id", "to_warehouse_id", "lines", "reason", "reference")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    TO_WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    request_id: str
    transfer_id: str
    from_warehouse_id: str
    to_warehouse_id: str
    lines: _containers.RepeatedCompositeFieldContainer[ShippedLine]
    reason: str
    reference: str
    def __init__(self, organization_id: _Optional[str] = ..., request_id: _Optional[str] = ..., transfer_id: _Optional[str] = ..., from_warehouse_id: _Optional[str] = ..., to_warehouse_id: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[ShippedLine, _Mapping[str, object]]]] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ...) -> None: ...

class ShippedLine(_message.Message):
    __slots__ = ("variant_id", "quantity")
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    variant_id: str
    quantity: int
    def __init__(self, variant_id: _Optional[str] = ..., quantity: _Optional[int] = ...) -> None: ...

class ShipTransferResponse(_message.Message):
    __slots__ = ("message", "transfer")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_FIELD_NUMBER: _ClassVar[int]
    message: str
    transfer: Transfer
    def __init__(self, message: _Optional[str] = ..., transfer: _Optional[_Union[Transfer, _Mapping[str, object]]] = ...) -> None: ...

class ReceiveTransferRequest(_message.Message):
    __slots__ = ("organization_id", "request_id", "transfer_id", "lines", "close", "reason", "reference")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    request_id: str
    transfer_id: str
    lines: _containers.RepeatedCompositeFieldContainer[ArrivedLine]
    close: bool
    reason: str
    reference: str
    def __init__(self, organization_id: _Optional[str] = ..., request_id: _Optional[str] = ..., transfer_id: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[ArrivedLine, _Mapping[str, object]]]] = ..., close: _Optional[bool] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ...) -> None: ...

class ArrivedLine(_message.Message):
    __slots__ = ("variant_id", "quantity", "damaged_quantity", "missing_quantity")
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    MISSING_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    variant_id: str
    quantity: int
    damaged_quantity: int
    missing_quantity: int
    def __init__(self, variant_id: _Optional[str] = ..., quantity: _Optional[int] = ..., damaged_quantity: _Optional[int] = ..., missing_quantity: _Optional[int] = ...) -> None: ...

class ReceiveTransferResponse(_message.Message):
    __slots__ = ("message", "transfer")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_FIELD_NUMBER: _ClassVar[int]
    message: str
    transfer: Transfer
    def __init__(self, message: _Optional[str] = ..., transfer: _Optional[_Union[Transfer, _Mapping[str, object]]] = ...) -> None: ...

class CancelTransferRequest(_message.Message):
    __slots__ = ("organization_id", "request_id", "transfer_id", "reason", "reference")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    request_id: str
    transfer_id: str
    reason: str
    reference: str
    def __init__(self, organization_id: _Optional[str] = ..., request_id: _Optional[str] = ..., transfer_id: _Optional[str] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ...) -> None: ...

class CancelTransferResponse(_message.Message):
    __slots__ = ("message", "transfer")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_FIELD_NUMBER: _ClassVar[int]
    message: str
    transfer: Transfer
    def __init__(self, message: _Optional[str] = ..., transfer: _Optional[_Union[Transfer, _Mapping[str, object]]] = ...) -> None: ...

class GetTransferRequest(_message.Message):
    __slots__ = ("organization_id", "transfer_id")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_ID_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    transfer_id: str
    def __init__(self, organization_id: _Optional[str] = ..., transfer_id: _Optional[str] = ...) -> None: ...

class GetTransferResponse(_message.Message):
    __slots__ = ("transfer", "message")
    TRANSFER_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    transfer: Transfer
    message: str
    def __init__(self, transfer: _Optional[_Union[Transfer, _Mapping[str, object]]] = ..., message: _Optional[str] = ...) -> None: ...

class ListTransfersRequest(_message.Message):
    __slots__ = ("organization_id", "state", "warehouse_id", "page_size", "page_token")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    state: TransferState
    warehouse_id: str
    page_size: int
    page_token: str
    def __init__(self, organization_id: _Optional[str] = ..., state: _Optional[_Union[TransferState, str]] = ..., warehouse_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListTransfersResponse(_message.Message):
    __slots__ = ("transfers", "next_page_token", "message")
    TRANSFERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    transfers: _containers.RepeatedCompositeFieldContainer[Transfer]
    next_page_token: str
    message: str
    def __init__(self, transfers: _Optional[_Iterable[_Union[Transfer, _Mapping[str, object]]]] = ..., next_page_token: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class StockLevels(_message.Message):
    __slots__ = ("variant_id", "warehouse_id", "min_stock", "max_stock", "reorder_point")
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    MIN_STOCK_FIELD_NUMBER: _ClassVar[int]
    MAX_STOCK_FIELD_NUMBER: _ClassVar[int]
    REORDER_POINT_FIELD_NUMBER: _ClassVar[int]
    variant_id: str
    warehouse_id: str
    min_stock: int
    max_stock: int
    reorder_point: int
    def __init__(self, variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., min_stock: _Optional[int] = ..., max_stock: _Optional[int] = ..., reorder_point: _Optional[int] = ...) -> None: ...

class SetStockLevelsRequest(_message.Message):
    __slots__ = ("organization_id", "request_id", "levels", "reason", "reference")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    request_id: str
    levels: _containers.RepeatedCompositeFieldContainer[StockLevels]
    reason: str
    reference: str
    def __init__(self, organization_id: _Optional[str] = ..., request_id: _Optional[str] = ..., levels: _Optional[_Iterable[_Union[StockLevels, _Mapping[str, object]]]] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ...) -> None: ...

class SetStockLevelsResponse(_message.Message):
    __slots__ = ("message", "rows", "levels")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    message: str
    rows: _containers.RepeatedCompositeFieldContainer[_inventory_pb2.StockInfo]
    levels: _containers.RepeatedCompositeFieldContainer[StockLevels]
    def __init__(self, message: _Optional[str] = ..., rows: _Optional[_Iterable[_Union[_inventory_pb2.StockInfo, _Mapping[str, object]]]] = ..., levels: _Optional[_Iterable[_Union[StockLevels, _Mapping[str, object]]]] = ...) -> None: ...

class Warehouse(_message.Message):
    __slots__ = ("warehouse_id", "name", "code", "priority", "active")
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    warehouse_id: str
    name: str
    code: str
    priority: int
    active: bool
    def __init__(self, warehouse_id: _Optional[str] = ..., name: _Optional[str] = ..., code: _Optional[str] = ..., priority: _Optional[int] = ..., active: _Optional[bool] = ...) -> None: ...

class UpsertWarehouseRequest(_message.Message):
    __slots__ = ("organization_id", "request_id", "warehouse", "update_mask", "reason", "reference")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    request_id: str
    warehouse: Warehouse
    update_mask: _field_mask_pb2.FieldMask
    reason: str
    reference: str
    def __init__(self, organization_id: _Optional[str] = ..., request_id: _Optional[str] = ..., warehouse: _Optional[_Union[Warehouse, _Mapping[str, object]]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping[str, object]]] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ...) -> None: ...

class UpsertWarehouseResponse(_message.Message):
    __slots__ = ("message", "warehouse")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_FIELD_NUMBER: _ClassVar[int]
    message: str
    warehouse: Warehouse
    def __init__(self, message: _Optional[str] = ..., warehouse: _Optional[_Union[Warehouse, _Mapping[str, object]]] = ...) -> None: ...

class ListWarehousesRequest(_message.Message):
    __slots__ = ("organization_id", "active_only", "page_size", "page_token")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_ONLY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    active_only: bool
    page_size: int
    page_token: str
    def __init__(self, organization_id: _Optional[str] = ..., active_only: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListWarehousesResponse(_message.Message):
    __slots__ = ("warehouses", "next_page_token", "message")
    WAREHOUSES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    warehouses: _containers.RepeatedCompositeFieldContainer[Warehouse]
    next_page_token: str
    message: str
    def __init__(self, warehouses: _Optional[_Iterable[_Union[Warehouse, _Mapping[str, object]]]] = ..., next_page_token: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class SetSourcingPolicyRequest(_message.Message):
    __slots__ = ("organization_id", "request_id", "policy", "reason", "reference")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    request_id: str
    policy: SourcingPolicy
    reason: str
    reference: str
    def __init__(self, organization_id: _Optional[str] = ..., request_id: _Optional[str] = ..., policy: _Optional[_Union[SourcingPolicy, str]] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ...) -> None: ...

class SetSourcingPolicyResponse(_message.Message):
    __slots__ = ("message", "policy")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    message: str
    policy: SourcingPolicy
    def __init__(self, message: _Optional[str] = ..., policy: _Optional[_Union[SourcingPolicy, str]] = ...) -> None: ...

class GetSourcingPolicyRequest(_message.Message):
    __slots__ = ("organization_id",)
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    def __init__(self, organization_id: _Optional[str] = ...) -> None: ...

class GetSourcingPolicyResponse(_message.Message):
    __slots__ = ("message", "policy")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    message: str
    policy: SourcingPolicy
    def __init__(self, message: _Optional[str] = ..., policy: _Optional[_Union[SourcingPolicy, str]] = ...) -> None: ...

class FulfillReservationRequest(_message.Message):
    __slots__ = ("organization_id", "request_id", "reservation_id", "reference", "reason", "lines", "close")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    request_id: str
    reservation_id: str
    reference: str
    reason: str
    lines: _containers.RepeatedCompositeFieldContainer[GoodsLine]
    close: bool
    def __init__(self, organization_id: _Optional[str] = ..., request_id: _Optional[str] = ..., reservation_id: _Optional[str] = ..., reference: _Optional[str] = ..., reason: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[GoodsLine, _Mapping[str, object]]]] = ..., close: _Optional[bool] = ...) -> None: ...

class FulfillReservationResponse(_message.Message):
    __slots__ = ("success", "message", "fulfilled_at", "items_fulfilled", "total_quantity_fulfilled", "reservation")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FULFILLED_AT_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FULFILLED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_QUANTITY_FULFILLED_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    fulfilled_at: str
    items_fulfilled: int
    total_quantity_fulfilled: int
    reservation: Reservation
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., fulfilled_at: _Optional[str] = ..., items_fulfilled: _Optional[int] = ..., total_quantity_fulfilled: _Optional[int] = ..., reservation: _Optional[_Union[Reservation, _Mapping[str, object]]] = ...) -> None: ...

class ReserveRequest(_message.Message):
    __slots__ = ("organization_id", "request_id", "order_id", "items", "ttl_minutes", "allow_split", "allow_partial", "reason", "reference")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    TTL_MINUTES_FIELD_NUMBER: _ClassVar[int]
    ALLOW_SPLIT_FIELD_NUMBER: _ClassVar[int]
    ALLOW_PARTIAL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    request_id: str
    order_id: str
    items: _containers.RepeatedCompositeFieldContainer[BasketItem]
    ttl_minutes: int
    allow_split: bool
    allow_partial: bool
    reason: str
    reference: str
    def __init__(self, organization_id: _Optional[str] = ..., request_id: _Optional[str] = ..., order_id: _Optional[str] = ..., items: _Optional[_Iterable[_Union[BasketItem, _Mapping[str, object]]]] = ..., ttl_minutes: _Optional[int] = ..., allow_split: _Optional[bool] = ..., allow_partial: _Optional[bool] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ...) -> None: ...

class BasketItem(_message.Message):
    __slots__ = ("variant_id", "warehouse_ids", "quantity")
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_IDS_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    variant_id: str
    warehouse_ids: _containers.RepeatedScalarFieldContainer[str]
    quantity: int
    def __init__(self, variant_id: _Optional[str] = ..., warehouse_ids: _Optional[_Iterable[str]] = ..., quantity: _Optional[int] = ...) -> None: ...

class ReserveResponse(_message.Message):
    __slots__ = ("message", "reservation", "short")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    SHORT_FIELD_NUMBER: _ClassVar[int]
    message: str
    reservation: Reservation
    short: _containers.RepeatedCompositeFieldContainer[ShortVariant]
    def __init__(self, message: _Optional[str] = ..., reservation: _Optional[_Union[Reservation, _Mapping[str, object]]] = ..., short: _Optional[_Iterable[_Union[ShortVariant, _Mapping[str, object]]]] = ...) -> None: ...

class ShortVariant(_message.Message):
    __slots__ = ("variant_id", "requested", "reserved")
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    variant_id: str
    requested: int
    reserved: int
    def __init__(self, variant_id: _Optional[str] = ..., requested: _Optional[int] = ..., reserved: _Optional[int] = ...) -> None: ...

class ExtendReservationRequest(_message.Message):
    __slots__ = ("organization_id", "request_id", "reservation_id", "ttl_minutes", "reason", "reference")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    TTL_MINUTES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    request_id: str
    reservation_id: str
    ttl_minutes: int
    reason: str
    reference: str
    def __init__(self, organization_id: _Optional[str] = ..., request_id: _Optional[str] = ..., reservation_id: _Optional[str] = ..., ttl_minutes: _Optional[int] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ...) -> None: ...

class ExtendReservationResponse(_message.Message):
    __slots__ = ("message", "reservation")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    message: str
    reservation: Reservation
    def __init__(self, message: _Optional[str] = ..., reservation: _Optional[_Union[Reservation, _Mapping[str, object]]] = ...) -> None: ...

class AmendReservationRequest(_message.Message):
    __slots__ = ("organization_id", "request_id", "reservation_id", "items", "reason", "reference")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    request_id: str
    reservation_id: str
    items: _containers.RepeatedCompositeFieldContainer[_inventory_pb2.ReservationItem]
    reason: str
    reference: str
    def __init__(self, organization_id: _Optional[str] = ..., request_id: _Optional[str] = ..., reservation_id: _Optional[str] = ..., items: _Optional[_Iterable[_Union[_inventory_pb2.ReservationItem, _Mapping[str, object]]]] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ...) -> None: ...

class AmendReservationResponse(_message.Message):
    __slots__ = ("message", "reservation")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    message: str
    reservation: Reservation
    def __init__(self, message: _Optional[str] = ..., reservation: _Optional[_Union[Reservation, _Mapping[str, object]]] = ...) -> None: ...

class ReacquireReservationRequest(_message.Message):
    __slots__ = ("organization_id", "request_id", "reservation_id", "ttl_minutes", "reason", "reference")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    TTL_MINUTES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    request_id: str
    reservation_id: str
    ttl_minutes: int
    reason: str
    reference: str
    def __init__(self, organization_id: _Optional[str] = ..., request_id: _Optional[str] = ..., reservation_id: _Optional[str] = ..., ttl_minutes: _Optional[int] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ...) -> None: ...

class ReacquireReservationResponse(_message.Message):
    __slots__ = ("message", "reservation")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    message: str
    reservation: Reservation
    def __init__(self, message: _Optional[str] = ..., reservation: _Optional[_Union[Reservation, _Mapping[str, object]]] = ...) -> None: ...

class ListStockRequest(_message.Message):
    __slots__ = ("organization_id", "variant_id", "warehouse_id", "page_size", "page_token", "variant_prefix", "status", "alert_level")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    VARIANT_PREFIX_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ALERT_LEVEL_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    variant_id: str
    warehouse_id: str
    page_size: int
    page_token: str
    variant_prefix: str
    status: StockStatus
    alert_level: AlertLevel
    def __init__(self, organization_id: _Optional[str] = ..., variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., variant_prefix: _Optional[str] = ..., status: _Optional[_Union[StockStatus, str]] = ..., alert_level: _Optional[_Union[AlertLevel, str]] = ...) -> None: ...

class ListStockResponse(_message.Message):
    __slots__ = ("stock_info", "next_page_token", "levels", "message")
    STOCK_INFO_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    stock_info: _containers.RepeatedCompositeFieldContainer[_inventory_pb2.StockInfo]
    next_page_token: str
    levels: _containers.RepeatedCompositeFieldContainer[StockLevels]
    message: str
    def __init__(self, stock_info: _Optional[_Iterable[_Union[_inventory_pb2.StockInfo, _Mapping[str, object]]]] = ..., next_page_token: _Optional[str] = ..., levels: _Optional[_Iterable[_Union[StockLevels, _Mapping[str, object]]]] = ..., message: _Optional[str] = ...) -> None: ...

class ListReservationsRequest(_message.Message):
    __slots__ = ("organization_id", "state", "order_id", "page_size", "page_token", "variant_id", "warehouse_id", "created_after", "created_before")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AFTER_FIELD_NUMBER: _ClassVar[int]
    CREATED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    state: str
    order_id: str
    page_size: int
    page_token: str
    variant_id: str
    warehouse_id: str
    created_after: str
    created_before: str
    def __init__(self, organization_id: _Optional[str] = ..., state: _Optional[str] = ..., order_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., created_after: _Optional[str] = ..., created_before: _Optional[str] = ...) -> None: ...

class ListReservationsResponse(_message.Message):
    __slots__ = ("reservations", "next_page_token", "message")
    RESERVATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reservations: _containers.RepeatedCompositeFieldContainer[Reservation]
    next_page_token: str
    message: str
    def __init__(self, reservations: _Optional[_Iterable[_Union[Reservation, _Mapping[str, object]]]] = ..., next_page_token: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class GetReservationRequest(_message.Message):
    __slots__ = ("organization_id", "reservation_id")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    reservation_id: str
    def __init__(self, organization_id: _Optional[str] = ..., reservation_id: _Optional[str] = ...) -> None: ...

class GetReservationResponse(_message.Message):
    __slots__ = ("reservation", "message")
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reservation: Reservation
    message: str
    def __init__(self, reservation: _Optional[_Union[Reservation, _Mapping[str, object]]] = ..., message: _Optional[str] = ...) -> None: ...

class Reservation(_message.Message):
    __slots__ = ("reservation_id", "organization_id", "order_id", "state", "created_at", "expires_at", "confirmed_at", "ended_at", "reason", "items", "fulfilled")
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    FULFILLED_FIELD_NUMBER: _ClassVar[int]
    reservation_id: str
    organization_id: str
    order_id: str
    state: str
    created_at: str
    expires_at: str
    confirmed_at: str
    ended_at: str
    reason: str
    items: _containers.RepeatedCompositeFieldContainer[_inventory_pb2.ReservedItem]
    fulfilled: _containers.RepeatedCompositeFieldContainer[FulfilledItem]
    def __init__(self, reservation_id: _Optional[str] = ..., organization_id: _Optional[str] = ..., order_id: _Optional[str] = ..., state: _Optional[str] = ..., created_at: _Optional[str] = ..., expires_at: _Optional[str] = ..., confirmed_at: _Optional[str] = ..., ended_at: _Optional[str] = ..., reason: _Optional[str] = ..., items: _Optional[_Iterable[_Union[_inventory_pb2.ReservedItem, _Mapping[str, object]]]] = ..., fulfilled: _Optional[_Iterable[_Union[FulfilledItem, _Mapping[str, object]]]] = ...) -> None: ...

class FulfilledItem(_message.Message):
    __slots__ = ("reservation_item_id", "variant_id", "warehouse_id", "quantity")
    RESERVATION_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    reservation_item_id: str
    variant_id: str
    warehouse_id: str
    quantity: int
    def __init__(self, reservation_item_id: _Optional[str] = ..., variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., quantity: _Optional[int] = ...) -> None: ...

class Quantities(_message.Message):
    __slots__ = ("available", "reserved", "damaged", "in_transit")
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_FIELD_NUMBER: _ClassVar[int]
    IN_TRANSIT_FIELD_NUMBER: _ClassVar[int]
    available: int
    reserved: int
    damaged: int
    in_transit: int
    def __init__(self, available: _Optional[int] = ..., reserved: _Optional[int] = ..., damaged: _Optional[int] = ..., in_transit: _Optional[int] = ...) -> None: ...

class ListMovementsRequest(_message.Message):
    __slots__ = ("organization_id", "variant_id", "warehouse_id", "reservation_id", "order_id", "reference", "kinds", "after", "before", "newest_first", "page_size", "page_token")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIRST_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    variant_id: str
    warehouse_id: str
    reservation_id: str
    order_id: str
    reference: str
    kinds: _containers.RepeatedScalarFieldContainer[str]
    after: str
    before: str
    newest_first: bool
    page_size: int
    page_token: str
    def __init__(self, organization_id: _Optional[str] = ..., variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., reservation_id: _Optional[str] = ..., order_id: _Optional[str] = ..., reference: _Optional[str] = ..., kinds: _Optional[_Iterable[str]] = ..., after: _Optional[str] = ..., before: _Optional[str] = ..., newest_first: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListMovementsResponse(_message.Message):
    __slots__ = ("movements", "next_page_token", "message")
    MOVEMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    movements: _containers.RepeatedCompositeFieldContainer[Movement]
    next_page_token: str
    message: str
    def __init__(self, movements: _Optional[_Iterable[_Union[Movement, _Mapping[str, object]]]] = ..., next_page_token: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Movement(_message.Message):
    __slots__ = ("movement_id", "lsn", "at", "kind", "variant_id", "warehouse_id", "before", "after", "reason", "reference", "reservation_id", "order_id", "actor", "correlation_id")
    MOVEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    LSN_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    movement_id: str
    lsn: int
    at: str
    kind: str
    variant_id: str
    warehouse_id: str
    before: Quantities
    after: Quantities
    reason: str
    reference: str
    reservation_id: str
    order_id: str
    actor: str
    correlation_id: str
    def __init__(self, movement_id: _Optional[str] = ..., lsn: _Optional[int] = ..., at: _Optional[str] = ..., kind: _Optional[str] = ..., variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., before: _Optional[_Union[Quantities, _Mapping[str, object]]] = ..., after: _Optional[_Union[Quantities, _Mapping[str, object]]] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ..., reservation_id: _Optional[str] = ..., order_id: _Optional[str] = ..., actor: _Optional[str] = ..., correlation_id: _Optional[str] = ...) -> None: ...

class GetStockAtRequest(_message.Message):
    __slots__ = ("organization_id", "variant_id", "warehouse_id", "at")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    variant_id: str
    warehouse_id: str
    at: str
    def __init__(self, organization_id: _Optional[str] = ..., variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., at: _Optional[str] = ...) -> None: ...

class GetStockAtResponse(_message.Message):
    __slots__ = ("message", "stock_info", "lsn")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STOCK_INFO_FIELD_NUMBER: _ClassVar[int]
    LSN_FIELD_NUMBER: _ClassVar[int]
    message: str
    stock_info: _inventory_pb2.StockInfo
    lsn: int
    def __init__(self, message: _Optional[str] = ..., stock_info: _Optional[_Union[_inventory_pb2.StockInfo, _Mapping[str, object]]] = ..., lsn: _Optional[int] = ...) -> None: ...

class WatchChangesRequest(_message.Message):
    __slots__ = ("organization_id", "token", "variant_ids", "warehouse_ids")
    class From(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        FROM_UNSPECIFIED: _ClassVar[WatchChangesRequest.From]
        FROM_NOW: _ClassVar[WatchChangesRequest.From]
        FROM_TOKEN: _ClassVar[WatchChangesRequest.From]
        FROM_SNAPSHOT: _ClassVar[WatchChangesRequest.From]
    FROM_UNSPECIFIED: WatchChangesRequest.From
    FROM_NOW: WatchChangesRequest.From
    FROM_TOKEN: WatchChangesRequest.From
    FROM_SNAPSHOT: WatchChangesRequest.From
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    VARIANT_IDS_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_IDS_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    token: str
    variant_ids: _containers.RepeatedScalarFieldContainer[str]
    warehouse_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, organization_id: _Optional[str] = ..., token: _Optional[str] = ..., variant_ids: _Optional[_Iterable[str]] = ..., warehouse_ids: _Optional[_Iterable[str]] = ..., **kwargs) -> None: ...

class WatchChangesResponse(_message.Message):
    __slots__ = ("token", "at", "kind", "rows", "reservation", "transfer", "notices", "fell_behind", "snapshot_done", "lsn", "reason", "reference", "request_id", "actor", "correlation_id", "continues", "warehouses", "sourcing_policy")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    FELL_BEHIND_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_DONE_FIELD_NUMBER: _ClassVar[int]
    LSN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    CONTINUES_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSES_FIELD_NUMBER: _ClassVar[int]
    SOURCING_POLICY_FIELD_NUMBER: _ClassVar[int]
    token: str
    at: str
    kind: str
    rows: _containers.RepeatedCompositeFieldContainer[ChangedRow]
    reservation: ChangedReservation
    transfer: Transfer
    notices: _containers.RepeatedCompositeFieldContainer[Notice]
    fell_behind: bool
    snapshot_done: bool
    lsn: int
    reason: str
    reference: str
    request_id: str
    actor: str
    correlation_id: str
    continues: bool
    warehouses: _containers.RepeatedCompositeFieldContainer[Warehouse]
    sourcing_policy: SourcingPolicy
    def __init__(self, token: _Optional[str] = ..., at: _Optional[str] = ..., kind: _Optional[str] = ..., rows: _Optional[_Iterable[_Union[ChangedRow, _Mapping[str, object]]]] = ..., reservation: _Optional[_Union[ChangedReservation, _Mapping[str, object]]] = ..., transfer: _Optional[_Union[Transfer, _Mapping[str, object]]] = ..., notices: _Optional[_Iterable[_Union[Notice, _Mapping[str, object]]]] = ..., fell_behind: _Optional[bool] = ..., snapshot_done: _Optional[bool] = ..., lsn: _Optional[int] = ..., reason: _Optional[str] = ..., reference: _Optional[str] = ..., request_id: _Optional[str] = ..., actor: _Optional[str] = ..., correlation_id: _Optional[str] = ..., continues: _Optional[bool] = ..., warehouses: _Optional[_Iterable[_Union[Warehouse, _Mapping[str, object]]]] = ..., sourcing_policy: _Optional[_Union[SourcingPolicy, str]] = ...) -> None: ...

class ChangedRow(_message.Message):
    __slots__ = ("variant_id", "warehouse_id", "before", "after", "movement_id")
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    MOVEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    variant_id: str
    warehouse_id: str
    before: Quantities
    after: Quantities
    movement_id: str
    def __init__(self, variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., before: _Optional[_Union[Quantities, _Mapping[str, object]]] = ..., after: _Optional[_Union[Quantities, _Mapping[str, object]]] = ..., movement_id: _Optional[str] = ...) -> None: ...

class ChangedReservation(_message.Message):
    __slots__ = ("reservation_id", "order_id", "state", "expires_at", "items")
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    reservation_id: str
    order_id: str
    state: str
    expires_at: str
    items: _containers.RepeatedCompositeFieldContainer[GoodsLine]
    def __init__(self, reservation_id: _Optional[str] = ..., order_id: _Optional[str] = ..., state: _Optional[str] = ..., expires_at: _Optional[str] = ..., items: _Optional[_Iterable[_Union[GoodsLine, _Mapping[str, object]]]] = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("kind", "variant_id", "warehouse_id", "available", "min_stock", "reorder_point")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Notice.Kind]
        KIND_LOW: _ClassVar[Notice.Kind]
        KIND_DEPLETED: _ClassVar[Notice.Kind]
        KIND_REPLENISHED: _ClassVar[Notice.Kind]
    KIND_UNSPECIFIED: Notice.Kind
    KIND_LOW: Notice.Kind
    KIND_DEPLETED: Notice.Kind
    KIND_REPLENISHED: Notice.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    MIN_STOCK_FIELD_NUMBER: _ClassVar[int]
    REORDER_POINT_FIELD_NUMBER: _ClassVar[int]
    kind: Notice.Kind
    variant_id: str
    warehouse_id: str
    available: int
    min_stock: int
    reorder_point: int
    def __init__(self, kind: _Optional[_Union[Notice.Kind, str]] = ..., variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., available: _Optional[int] = ..., min_stock: _Optional[int] = ..., reorder_point: _Optional[int] = ...) -> None: ...
