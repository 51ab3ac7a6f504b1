"""The client's side of HTTP/2, as much of it as a load generator needs.

A generator that shares the machine with the server must be cheap. gRPC's own clients take as much CPU a call as a
server does; this one takes a tenth of it, since it builds nothing for a call. It encodes a header block once for a
connection (the server's table then has all its fields, as with gRPC's own clients), it encodes messages before the
clock runs, and of an answer it parses the frames' heads and the header blocks that are new to it.
"""

import socket
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hpack import Decoder, Encoder
from hpack.table import HeaderTable

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS, PADDED_OR_PRIORITY = 1, 1, 4, 0x28
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 4, 5
WINDOW_BYTES = 2**31 - 1
WINDOW_BYTES_DEFAULT = 65_535
FRAME_BYTES_MAX = 16_384
RECEIVE_BYTES = 1 << 18

HEAD = struct.Struct(">HBBBL")
NUMBER = struct.Struct(">L")
PREFIX = struct.Struct(">BL")
STREAM_RESET = -1  # in place of a gRPC status


class Answer(NamedTuple):
    """The end of a call.

    Args:
        token: what the call was made with.
        status: gRPC's status, or STREAM_RESET.
        message: the encoded answer; empty where there is none.
    """

    token: int
    status: int
    message: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame with its head."""
    return HEAD.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


def prefixed(message: bytes) -> bytes:
    """A message as gRPC puts it into a stream."""
    return PREFIX.pack(0, len(message)) + message


class HeaderBlocks:
    """Encodes and decodes header fields, each distinct list once for as long as the table that it refers to stays."""

    def __init__(self, authority: str) -> None:
        self._authority = authority
        self._encoder, self._decoder = Encoder(), Decoder()
        self._encoded: dict[str, bytes] = {}
        self._statuses: dict[bytes, int] = {}

    def __repr__(self) -> str:
        return f"<HeaderBlocks encoded={len(self._encoded)} decoded={len(self._statuses)}>"

    def request(self, path: str) -> bytes:
        """The header block of a call of this method."""
        block = self._encoded.get(path)
        if block is None:
            before = _newest(self._encoder.header_table)
            block = self._encoder.encode(
                [
                    (":method", "POST"),
                    (":scheme", "http"),
                    (":path", path),
                    (":authority", self._authority),
                    ("te", "trailers"),
                    ("content-type", "application/grpc"),
                    ("user-agent", "stockkeeper-bench"),
                    ("grpc-timeout", "60S"),
                ]
            )
            if _newest(self._encoder.header_table) is before:
                self._encoded[path] = block
            else:
                self._encoded.clear()  # the table's entries have moved
        return block

    def status(self, block: bytes) -> int:
        """The gRPC status that a block of the answer carries, or STREAM_RESET if it carries none."""
        status = self._statuses.get(block)
        if status is None:
            before = _newest(self._decoder.header_table)
            fields = self._decoder.decode(block, raw=True)
            status = next((int(value) for name, value in fields if name == b"grpc-status"), STREAM_RESET)
            if _newest(self._decoder.header_table) is before:
                self._statuses[block] = status
            else:
                self._statuses.clear()
        return status


def _newest(table: HeaderTable) -> object:
    return table.dynamic_entries[0] if table.dynamic_entries else None


class Connection:
    """A connection to a gRPC server on this machine. `call` only queues, `flush` sends.

    Sending may block: a server takes what it has allowed with its windows.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._blocks = HeaderBlocks(f"127.0.0.1:{port}")
        self._next_stream = 1
        self._tokens: dict[int, int] = {}
        self._messages: dict[int, bytes] = {}
        self._out: list[bytes] = []
        self._waiting: list[tuple[int, bytes, int]] = []  # for the server's window: stream, what is left, last flags
        self._stream_windows: dict[int, int] = {}  # of the streams that stay open
        self._window = WINDOW_BYTES_DEFAULT
        self._stream_window = WINDOW_BYTES_DEFAULT
        self._received_bytes = 0
        self._rest = b""
        settings = struct.pack(">HL", INITIAL_WINDOW_SIZE, WINDOW_BYTES)
        self._out.append(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings))
        self._out.append(frame(WINDOW_UPDATE, 0, 0, NUMBER.pack(WINDOW_BYTES - WINDOW_BYTES_DEFAULT)))
        self.flush()

    def __repr__(self) -> str:
        return f"<Connection open={len(self._tokens)} waiting={len(self._waiting)} window={self._window}>"

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def call(self, path: str, message: bytes, token: int) -> None:
        """Queue a call with one message. Its answer carries the token."""
        stream = self._open(path, token)
        body = prefixed(message)
        if len(body) <= FRAME_BYTES_MAX and len(body) <= self._window and not self._waiting:
            self._window -= len(body)
            self._out.append(HEAD.pack(len(body) >> 8, len(body) & 0xFF, DATA, END_STREAM, stream) + body)
        else:
            assert len(body) <= self._stream_window, "a message larger than the window of a stream"
            self._waiting.append((stream, body, END_STREAM))
            self._send_waiting()

    def open_stream(self, path: str) -> int:
        """Begin a call that sends its messages one by one. Returns the stream's number."""
        stream = self._open(path, token=-1)
        self._stream_windows[stream] = self._stream_window
        return stream

    def send_message(self, stream: int, message: bytes) -> None:
        """Queue one more message."""
        self._waiting.append((stream, prefixed(message), 0))
        self._send_waiting()

    def take_messages(self, stream: int) -> Sequence[bytes]:
        """The messages that have come in a stream since the last call of this method."""
        data, begin, found = self._messages.get(stream, b""), 0, []
        while len(data) - begin >= PREFIX.size:
            end = begin + PREFIX.size + PREFIX.unpack_from(data, begin)[1]
            if end > len(data):
                break
            found.append(data[begin + PREFIX.size : end])
            begin = end
        self._messages[stream] = data[begin:]
        return found

    def _open(self, path: str, token: int) -> int:
        stream = self._next_stream
        self._next_stream += 2
        self._tokens[stream] = token
        block = self._blocks.request(path)
        self._out.append(HEAD.pack(len(block) >> 8, len(block) & 0xFF, HEADERS, END_HEADERS, stream) + block)
        return stream

    def _send_waiting(self) -> None:
        while self._waiting and self._window > 0:
            stream, body, flags = self._waiting[0]
            # A call with one message never needs more than the window it begins with.
            size = min(FRAME_BYTES_MAX, self._window, len(body), self._stream_windows.get(stream, len(body)))
            if size == 0:
                return
            self._window -= size
            if stream in self._stream_windows:
                self._stream_windows[stream] -= size
            self._out.append(frame(DATA, flags if size == len(body) else 0, stream, body[:size]))
            if size < len(body):
                self._waiting[0] = (stream, body[size:], flags)
            else:
                self._waiting.pop(0)

    def flush(self) -> None:
        """Send what is queued."""
        if self._out:
            self._socket.sendall(b"".join(self._out))
            self._out.clear()

    def receive(self) -> Sequence[Answer]:
        """Wait for bytes, and return the calls that they end.

        Raises:
            ConnectionError: the server has closed the connection.
        """
        answers: list[Answer] = []
        for kind, flags, stream, payload in self._frames():
            if kind == DATA:
                known = self._messages.get(stream)
                self._messages[stream] = payload if known is None else known + payload
                self._received_bytes += len(payload)
            elif kind == HEADERS:
                assert flags & (END_HEADERS | PADDED_OR_PRIORITY) == END_HEADERS, "headers as gRPC does not send them"
                status = self._blocks.status(payload)
                if flags & END_STREAM:
                    answers.append(self._end(stream, status))
            elif kind == RST_STREAM:
                if stream in self._tokens:
                    answers.append(self._end(stream, STREAM_RESET))
            else:
                self._control(kind, flags, stream, payload)
        if self._received_bytes > WINDOW_BYTES // 2:
            self._out.append(frame(WINDOW_UPDATE, 0, 0, NUMBER.pack(self._received_bytes)))
            self._received_bytes = 0
        return answers

    def _end(self, stream: int, status: int) -> Answer:
        return Answer(self._tokens.pop(stream), status, self._messages.pop(stream, b"")[PREFIX.size :])

    def _frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        received = self._socket.recv(RECEIVE_BYTES)
        if not received:
            raise ConnectionError("the server has closed the connection")
        data = self._rest + received
        begin, unpack = 0, HEAD.unpack_from
        while len(data) - begin >= HEAD.size:
            high, low, kind, flags, stream = unpack(data, begin)
            end = begin + HEAD.size + (high << 8 | low)
            if end > len(data):
                break
            yield kind, flags, stream, data[begin + HEAD.size : end]
            begin = end
        self._rest = data[begin:]

    def _control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            for name, value in struct.iter_unpack(">HL", payload):
                if name == INITIAL_WINDOW_SIZE:
                    for open_stream in self._stream_windows:
                        self._stream_windows[open_stream] += value - self._stream_window
                    self._stream_window = value
            self._out.append(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self._out.append(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            if stream == 0:
                self._window += NUMBER.unpack(payload)[0]
            elif stream in self._stream_windows:
                self._stream_windows[stream] += NUMBER.unpack(payload)[0]
            self._send_waiting()
        elif kind == GOAWAY:
            raise ConnectionError(f"the server says goodbye: {payload[8:]!r}")
