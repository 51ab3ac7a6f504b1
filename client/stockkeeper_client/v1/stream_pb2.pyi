from stockkeeper_client.v1 import status_pb2 as _status_pb2
from stockkeeper_client.v1 import inventory_pb2 as _inventory_pb2
from stockkeeper_client.v1 import protobuf as _containers
from stockkeeper_client.v1 import protobuf as _descriptor
from stockkeeper_client.v1 import protobuf as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReserveStockRequests(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[StreamedRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[StreamedRequest, _Mapping[str, object]]]] = ...) -> None: ...

class StreamedRequest(_message.Message):
    __slots__ = ("sequence", "request", "idempotency_key")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    request: _inventory_pb2.ReserveStockRequest
    idempotency_key: str
    def __init__(self, sequence: _Optional[int] = ..., request: _Optional[_Union[_inventory_pb2.ReserveStockRequest, _Mapping[str, object]]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class ReserveStockReplies(_message.Message):
    __slots__ = ("replies",)
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    replies: _containers.RepeatedCompositeFieldContainer[ReserveStockReply]
    def __init__(self, replies: _Optional[_Iterable[_Union[ReserveStockReply, _Mapping[str, object]]]] = ...) -> None: ...

class ReserveStockReply(_message.Message):
    __slots__ = ("sequence", "organization_id", "order_id", "response", "status")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    organization_id: str
    order_id: str
    response: _inventory_pb2.ReserveStockResponse
    status: _status_pb2.Status
    def __init__(self, sequence: _Optional[int] = ..., organization_id: _Optional[str] = ..., order_id: _Optional[str] = ..., response: _Optional[_Union[_inventory_pb2.ReserveStockResponse, _Mapping[str, object]]] = ..., status: _Optional[_Union[_status_pb2.Status, _Mapping[str, object]]] = ...) -> None: ...
