"""A process that writes the journal's batches to a SQLite file, for a server whose loop has a crowd to serve meanwhile.

On a thread, what Python does for a batch and what it does for callers take turns, since there is one lock for both. So
the crowd waits for its batch, and then the disk waits for the crowd. Here one half of a crowd is written while the
other is served, on another core.

The server gives it batches one at a time, and writes nothing itself meanwhile. It has a connection of its own, and the
server's lock file open, so that no other server can have the database for as long as it lives: not even in the moment
after its server was killed. It ends when its server does, which the kernel sees to.

Its input is a socket. Each message is four bytes of length and then MessagePack: the epoch and the transactions. Each
answer is four bytes of length and then the error, pickled, or nothing.
"""

import pickle
import signal
import socket
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from ctypes import PyDLL
from pathlib import Path

import msgspec

from actors.records import Transaction
from storage.sql.batch_sqlite import write_batch
from storage.sql.sqlite_files import SqliteFiles
from storage.sql.sqlite_settings import CONNECT_ARGUMENTS, PRAGMAS, set_pragma

LENGTH_BYTES = 4
STDIN = 0
PR_SET_PDEATHSIG = 1  # prctl(2)

Message = tuple[int, Sequence[Transaction]]


def serve(server: socket.socket, path: Path) -> None:
    """Write what the server sends until it hangs up."""
    decoder = msgspec.msgpack.Decoder(Message)
    with (
        server.makefile("rb") as batches,
        closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, **CONNECT_ARGUMENTS)) as raw,
    ):
        for name, value in PRAGMAS.items():
            set_pragma(raw, name, value)
        files = SqliteFiles(path)
        server.sendall(bytes(LENGTH_BYTES))  # ready
        while head := batches.read(LENGTH_BYTES):
            body = batches.read(int.from_bytes(head))
            try:
                epoch, transactions = decoder.decode(body)
                write_batch(raw, epoch, transactions)
                files.check()
            except Exception as error:  # noqa: BLE001 - it is the server's
                answer = pickle.dumps(error)
            else:
                answer = b""
            server.sendall(len(answer).to_bytes(LENGTH_BYTES) + answer)


def main() -> None:
    """Run as a program, by `storage.sql.batch_writer`."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)  # its server decides when it ends
    if sys.platform == "linux":
        PyDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    with socket.socket(fileno=STDIN) as server, suppress(ConnectionError):  # its server is gone, and hears nothing
        serve(server, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
