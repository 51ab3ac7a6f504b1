from stockkeeper_client.v1 import protobuf as _containers
from stockkeeper_client.v1 import protobuf as _descriptor
from stockkeeper_client.v1 import protobuf as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CheckAvailabilityRequest(_message.Message):
    __slots__ = ("organization_id", "variant_id", "warehouse_id", "quantity")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    variant_id: str
    warehouse_id: str
    quantity: int
    def __init__(self, organization_id: _Optional[str] = ..., variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., quantity: _Optional[int] = ...) -> None: ...

class CheckAvailabilityResponse(_message.Message):
    __slots__ = ("available", "available_quantity", "warehouse_id", "message")
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    available: bool
    available_quantity: int
    warehouse_id: str
    message: str
    def __init__(self, available: _Optional[bool] = ..., available_quantity: _Optional[int] = ..., warehouse_id: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class CheckBulkAvailabilityRequest(_message.Message):
    __slots__ = ("organization_id", "items")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    items: _containers.RepeatedCompositeFieldContainer[AvailabilityItem]
    def __init__(self, organization_id: _Optional[str] = ..., items: _Optional[_Iterable[_Union[AvailabilityItem, _Mapping[str, object]]]] = ...) -> None: ...

class AvailabilityItem(_message.Message):
    __slots__ = ("variant_id", "warehouse_id", "quantity")
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    variant_id: str
    warehouse_id: str
    quantity: int
    def __init__(self, variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., quantity: _Optional[int] = ...) -> None: ...

class CheckBulkAvailabilityResponse(_message.Message):
    __slots__ = ("all_available", "results")
    ALL_AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    all_available: bool
    results: _containers.RepeatedCompositeFieldContainer[AvailabilityResult]
    def __init__(self, all_available: _Optional[bool] = ..., results: _Optional[_Iterable[_Union[AvailabilityResult, _Mapping[str, object]]]] = ...) -> None: ...

class AvailabilityResult(_message.Message):
    __slots__ = ("variant_id", "warehouse_id", "available", "available_quantity", "requested_quantity", "message")
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    variant_id: str
    warehouse_id: str
    available: bool
    available_quantity: int
    requested_quantity: int
    message: str
    def __init__(self, variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., available: _Optional[bool] = ..., available_quantity: _Optional[int] = ..., requested_quantity: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class ReserveStockRequest(_message.Message):
    __slots__ = ("organization_id", "order_id", "items", "ttl_minutes")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    TTL_MINUTES_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    order_id: str
    items: _containers.RepeatedCompositeFieldContainer[ReservationItem]
    ttl_minutes: int
    def __init__(self, organization_id: _Optional[str] = ..., order_id: _Optional[str] = ..., items: _Optional[_Iterable[_Union[ReservationItem, _Mapping[str, object]]]] = ..., ttl_minutes: _Optional[int] = ...) -> None: ...

class ReservationItem(_message.Message):
    __slots__ = ("variant_id", "warehouse_id", "quantity")
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    variant_id: str
    warehouse_id: str
    quantity: int
    def __init__(self, variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., quantity: _Optional[int] = ...) -> None: ...

class ReserveStockResponse(_message.Message):
    __slots__ = ("success", "reservation_id", "reserved_items", "expires_at", "message")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    RESERVED_ITEMS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    reservation_id: str
    reserved_items: _containers.RepeatedCompositeFieldContainer[ReservedItem]
    expires_at: str
    message: str
    def __init__(self, success: _Optional[bool] = ..., reservation_id: _Optional[str] = ..., reserved_items: _Optional[_Iterable[_Union[ReservedItem, _Mapping[str, object]]]] = ..., expires_at: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class ReservedItem(_message.Message):
    __slots__ = ("reservation_item_id", "variant_id", "warehouse_id", "stock_id", "quantity", "stock_before", "stock_after")
    RESERVATION_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    STOCK_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    STOCK_BEFORE_FIELD_NUMBER: _ClassVar[int]
    STOCK_AFTER_FIELD_NUMBER: _ClassVar[int]
    reservation_item_id: str
    variant_id: str
    warehouse_id: str
    stock_id: str
    quantity: int
    stock_before: int
    stock_after: int
    def __init__(self, reservation_item_id: _Optional[str] = ..., variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., stock_id: _Optional[str] = ..., quantity: _Optional[int] = ..., stock_before: _Optional[int] = ..., stock_after: _Optional[int] = ...) -> None: ...

class ConfirmReservationRequest(_message.Message):
    __slots__ = ("organization_id", "reservation_id", "order_id")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    reservation_id: str
    order_id: str
    def __init__(self, organization_id: _Optional[str] = ..., reservation_id: _Optional[str] = ..., order_id: _Optional[str] = ...) -> None: ...

class ConfirmReservationResponse(_message.Message):
    __slots__ = ("success", "message", "confirmed_at")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_AT_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    confirmed_at: str
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., confirmed_at: _Optional[str] = ...) -> None: ...

class ReleaseReservationRequest(_message.Message):
    __slots__ = ("organization_id", "reservation_id", "reason")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    reservation_id: str
    reason: str
    def __init__(self, organization_id: _Optional[str] = ..., reservation_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ReleaseReservationResponse(_message.Message):
    __slots__ = ("success", "message", "items_released", "total_quantity_released")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ITEMS_RELEASED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_QUANTITY_RELEASED_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    items_released: int
    total_quantity_released: int
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., items_released: _Optional[int] = ..., total_quantity_released: _Optional[int] = ...) -> None: ...

class GetStockInfoRequest(_message.Message):
    __slots__ = ("organization_id", "variant_id", "warehouse_id")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    variant_id: str
    warehouse_id: str
    def __init__(self, organization_id: _Optional[str] = ..., variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ...) -> None: ...

class GetStockInfoResponse(_message.Message):
    __slots__ = ("stock_info",)
    STOCK_INFO_FIELD_NUMBER: _ClassVar[int]
    stock_info: _containers.RepeatedCompositeFieldContainer[StockInfo]
    def __init__(self, stock_info: _Optional[_Iterable[_Union[StockInfo, _Mapping[str, object]]]] = ...) -> None: ...

class StockInfo(_message.Message):
    __slots__ = ("stock_id", "variant_id", "warehouse_id", "warehouse_name", "total_quantity", "available_quantity", "reserved_quantity", "damaged_quantity", "in_transit_quantity", "min_stock", "max_stock", "stock_status")
    STOCK_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_ID_FIELD_NUMBER: _ClassVar[int]
    WAREHOUSE_NAME_FIELD_NUMBER: _ClassVar[int]
    TOTAL_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    RESERVED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    IN_TRANSIT_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    MIN_STOCK_FIELD_NUMBER: _ClassVar[int]
    MAX_STOCK_FIELD_NUMBER: _ClassVar[int]
    STOCK_STATUS_FIELD_NUMBER: _ClassVar[int]
    stock_id: str
    variant_id: str
    warehouse_id: str
    warehouse_name: str
    total_quantity: int
    available_quantity: int
    reserved_quantity: int
    damaged_quantity: int
    in_transit_quantity: int
    min_stock: int
    max_stock: int
    stock_status: str
    def __init__(self, stock_id: _Optional[str] = ..., variant_id: _Optional[str] = ..., warehouse_id: _Optional[str] = ..., warehouse_name: _Optional[str] = ..., total_quantity: _Optional[int] = ..., available_quantity: _Optional[int] = ..., reserved_quantity: _Optional[int] = ..., damaged_quantity: _Optional[int] = ..., in_transit_quantity: _Optional[int] = ..., min_stock: _Optional[int] = ..., max_stock: _Optional[int] = ..., stock_status: _Optional[str] = ...) -> None: ...
