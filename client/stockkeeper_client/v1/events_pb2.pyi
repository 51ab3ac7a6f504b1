from stockkeeper_client.v1 import protobuf as _containers
from stockkeeper_client.v1 import protobuf as _descriptor
from stockkeeper_client.v1 import protobuf as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FeedPlace(_message.Message):
    __slots__ = ("lsn", "position")
    LSN_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    lsn: int
    position: int
    def __init__(self, lsn: _Optional[int] = ..., position: _Optional[int] = ...) -> None: ...

class ReadFeedRequest(_message.Message):
    __slots__ = ("after", "from_time", "token", "wait_ms", "rows_max")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    FROM_TIME_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    ROWS_MAX_FIELD_NUMBER: _ClassVar[int]
    after: FeedPlace
    from_time: str
    token: str
    wait_ms: int
    rows_max: int
    def __init__(self, after: _Optional[_Union[FeedPlace, _Mapping[str, object]]] = ..., from_time: _Optional[str] = ..., token: _Optional[str] = ..., wait_ms: _Optional[int] = ..., rows_max: _Optional[int] = ...) -> None: ...

class ReadFeedResponse(_message.Message):
    __slots__ = ("entries", "upto", "token", "durable_lsn", "database_id", "lines", "after")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    UPTO_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    DURABLE_LSN_FIELD_NUMBER: _ClassVar[int]
    DATABASE_ID_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    entries: bytes
    upto: FeedPlace
    token: str
    durable_lsn: int
    database_id: str
    lines: bytes
    after: FeedPlace
    def __init__(self, entries: _Optional[bytes] = ..., upto: _Optional[_Union[FeedPlace, _Mapping[str, object]]] = ..., token: _Optional[str] = ..., durable_lsn: _Optional[int] = ..., database_id: _Optional[str] = ..., lines: _Optional[bytes] = ..., after: _Optional[_Union[FeedPlace, _Mapping[str, object]]] = ...) -> None: ...

class Cursor(_message.Message):
    __slots__ = ("name", "fence", "place", "token", "published", "unroutable", "moved_at")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    UNROUTABLE_FIELD_NUMBER: _ClassVar[int]
    MOVED_AT_FIELD_NUMBER: _ClassVar[int]
    name: str
    fence: int
    place: FeedPlace
    token: str
    published: int
    unroutable: int
    moved_at: str
    def __init__(self, name: _Optional[str] = ..., fence: _Optional[int] = ..., place: _Optional[_Union[FeedPlace, _Mapping[str, object]]] = ..., token: _Optional[str] = ..., published: _Optional[int] = ..., unroutable: _Optional[int] = ..., moved_at: _Optional[str] = ...) -> None: ...

class TakeCursorRequest(_message.Message):
    __slots__ = ("name", "from_token", "from_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FROM_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FROM_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    from_token: str
    from_time: str
    def __init__(self, name: _Optional[str] = ..., from_token: _Optional[str] = ..., from_time: _Optional[str] = ...) -> None: ...

class TakeCursorResponse(_message.Message):
    __slots__ = ("cursor", "lease_ms", "database_id")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    DATABASE_ID_FIELD_NUMBER: _ClassVar[int]
    cursor: Cursor
    lease_ms: int
    database_id: str
    def __init__(self, cursor: _Optional[_Union[Cursor, _Mapping[str, object]]] = ..., lease_ms: _Optional[int] = ..., database_id: _Optional[str] = ...) -> None: ...

class MoveCursorRequest(_message.Message):
    __slots__ = ("name", "fence", "place", "published", "unroutable", "rate", "problem", "release")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FENCE_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    UNROUTABLE_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    name: str
    fence: int
    place: FeedPlace
    published: int
    unroutable: int
    rate: float
    problem: str
    release: bool
    def __init__(self, name: _Optional[str] = ..., fence: _Optional[int] = ..., place: _Optional[_Union[FeedPlace, _Mapping[str, object]]] = ..., published: _Optional[int] = ..., unroutable: _Optional[int] = ..., rate: _Optional[float] = ..., problem: _Optional[str] = ..., release: _Optional[bool] = ...) -> None: ...

class MoveCursorResponse(_message.Message):
    __slots__ = ("cursor", "lease_ms")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    cursor: Cursor
    lease_ms: int
    def __init__(self, cursor: _Optional[_Union[Cursor, _Mapping[str, object]]] = ..., lease_ms: _Optional[int] = ...) -> None: ...

class DropCursorRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DropCursorResponse(_message.Message):
    __slots__ = ("message",)
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message: str
    def __init__(self, message: _Optional[str] = ...) -> None: ...

class ListCursorsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListCursorsResponse(_message.Message):
    __slots__ = ("cursors",)
    CURSORS_FIELD_NUMBER: _ClassVar[int]
    cursors: _containers.RepeatedCompositeFieldContainer[CursorState]
    def __init__(self, cursors: _Optional[_Iterable[_Union[CursorState, _Mapping[str, object]]]] = ...) -> None: ...

class CursorState(_message.Message):
    __slots__ = ("cursor", "held", "behind", "waiting_since", "rate", "problem")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    BEHIND_FIELD_NUMBER: _ClassVar[int]
    WAITING_SINCE_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    cursor: Cursor
    held: bool
    behind: int
    waiting_since: str
    rate: float
    problem: str
    def __init__(self, cursor: _Optional[_Union[Cursor, _Mapping[str, object]]] = ..., held: _Optional[bool] = ..., behind: _Optional[int] = ..., waiting_since: _Optional[str] = ..., rate: _Optional[float] = ..., problem: _Optional[str] = ...) -> None: ...
