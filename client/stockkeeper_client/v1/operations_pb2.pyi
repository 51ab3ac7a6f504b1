from stockkeeper_client.v1 import protobuf as _containers
from stockkeeper_client.v1 import protobuf as _descriptor
from stockkeeper_client.v1 import protobuf as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetActivityRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetActivityResponse(_message.Message):
    __slots__ = ("last_lsn", "durable_lsn", "batches", "transactions", "answers_waiting", "recent", "refusals")
    LAST_LSN_FIELD_NUMBER: _ClassVar[int]
    DURABLE_LSN_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_WAITING_FIELD_NUMBER: _ClassVar[int]
    RECENT_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    last_lsn: int
    durable_lsn: int
    batches: int
    transactions: int
    answers_waiting: int
    recent: _containers.RepeatedCompositeFieldContainer[WrittenBatch]
    refusals: _containers.RepeatedCompositeFieldContainer[RefusalCount]
    def __init__(self, last_lsn: _Optional[int] = ..., durable_lsn: _Optional[int] = ..., batches: _Optional[int] = ..., transactions: _Optional[int] = ..., answers_waiting: _Optional[int] = ..., recent: _Optional[_Iterable[_Union[WrittenBatch, _Mapping[str, object]]]] = ..., refusals: _Optional[_Iterable[_Union[RefusalCount, _Mapping[str, object]]]] = ...) -> None: ...

class WrittenBatch(_message.Message):
    __slots__ = ("transactions", "commit_us")
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_US_FIELD_NUMBER: _ClassVar[int]
    transactions: int
    commit_us: int
    def __init__(self, transactions: _Optional[int] = ..., commit_us: _Optional[int] = ...) -> None: ...

class RefusalCount(_message.Message):
    __slots__ = ("reason", "count")
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    reason: str
    count: int
    def __init__(self, reason: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...
