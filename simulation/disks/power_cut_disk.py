"""A disk that loses power: a VFS for SQLite, in memory, that keeps nothing but what was synced.

What is written is volatile until `xSync`. When the power goes, the seed decides for every 512-byte sector
written since then whether it is there, and for every truncation, creation and deletion that no sync has made durable.
The power can go at any write, truncation, sync or deletion, so a sync that is missing, or comes too early, loses what
was acknowledged.
"""

import sqlite3
from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Any

import apsw
from msgspec import Struct

SECTOR_BYTES = 512
SECTORS_KEPT = (0.0, 0.5, 0.9, 1.0)  # a cut draws one: each of its sectors is kept with that probability

_numbers = count(1)


class PowerCut(sqlite3.OperationalError):
    """The power went during this call. Its work may be done, done in part, or not done."""


class SimulatedFile:
    """One file: what is durable, what a process sees, and the writes and truncations between the two."""

    def __init__(self, durable: bytes = b"") -> None:
        self._durable = bytearray(durable)
        self._pending: list[tuple[int, bytes | None]] = []  # None: a truncation to that size
        self.contents = bytearray(durable)

    def __repr__(self) -> str:
        return f"<SimulatedFile bytes={len(self.contents)} durable={len(self._durable)} unsynced={len(self._pending)}>"

    def write(self, offset: int, data: bytes) -> None:
        self._pending.append((offset, data))
        _put(self.contents, offset, data)

    def truncate(self, size: int) -> None:
        self._pending.append((size, None))
        _resize(self.contents, size)

    def sync(self) -> None:
        for offset, data in self._pending:
            if data is None:
                _resize(self._durable, offset)
            else:
                _put(self._durable, offset, data)
        self._pending.clear()

    def after_cut(self, random: Random, kept: float) -> "SimulatedFile":
        """What the next process finds: each unsynced sector and truncation there with the probability `kept`."""
        found = bytearray(self._durable)
        for offset, data in self._pending:
            if data is not None:
                for begin, end in _sectors(offset, len(data)):
                    if random.random() < kept:
                        _put(found, begin, data[begin - offset : end - offset])
            elif random.random() < kept:
                _resize(found, offset)
        return SimulatedFile(bytes(found))


def _put(contents: bytearray, offset: int, data: bytes) -> None:
    if len(contents) < offset:
        _resize(contents, offset)
    contents[offset : offset + len(data)] = data


def _resize(contents: bytearray, size: int) -> None:
    del contents[size:]
    contents.extend(bytes(size - len(contents)))


def _sectors(offset: int, size: int) -> Iterator[tuple[int, int]]:
    """The parts of a write that lie in one sector each."""
    begin, end = offset, offset + size
    while begin < end:
        border = min(end, begin - begin % SECTOR_BYTES + SECTOR_BYTES)
        yield begin, border
        begin = border


class PowerCutDiskStatistics(Struct, frozen=True):
    """Counts since the disk was made.

    Args:
        calls: writes, truncations, syncs and deletions.
        cuts: how often the power went.
        files: how many there are now.
    """

    calls: int
    cuts: int
    files: int


class PowerCutDisk:
    """A directory of files, and the power that they run on.

    After a cut the process still sees its files, so that it can be closed; the disk keeps nothing that it does. The
    next process starts after `switch_on`.

    Args:
        files: the durable contents at the start, by name.
        random: decides what a cut leaves.
    """

    def __init__(self, files: dict[str, bytes], random: Random) -> None:
        self.vfs_name = f"power-cut-{next(_numbers)}"
        self.calls = 0
        self.is_on = True
        self._random = random
        self._files = {name: SimulatedFile(durable) for name, durable in files.items()}
        self._linked = set(self._files)  # the files with a durable directory entry
        self._deleted: dict[str, SimulatedFile] = {}  # deleted, but the deletion is not durable yet
        self._survivors: dict[str, SimulatedFile] = {}
        self._cut_at: int | None = None
        self._cuts = 0
        self._vfs = _Vfs(self)

    def __repr__(self) -> str:
        return f"<PowerCutDisk {self.vfs_name} {'on' if self.is_on else 'off'} calls={self.calls} cuts={self._cuts}>"

    def statistics(self) -> PowerCutDiskStatistics:
        return PowerCutDiskStatistics(self.calls, self._cuts, len(self._files))

    def cut_after(self, calls: int) -> None:
        """Cut the power at a later call, counted from now: 1 is the next one."""
        self._cut_at = self.calls + calls

    def cut_no_more(self) -> None:
        """Take back `cut_after`."""
        self._cut_at = None

    def cut(self) -> None:
        """Cut the power, and decide what is left."""
        assert self.is_on
        self.is_on, self._cut_at = False, None
        self._cuts += 1
        kept = self._random.choice(SECTORS_KEPT)
        self._survivors = {}
        for name, file in self._deleted.items():
            if self._random.random() >= kept:
                self._survivors[name] = file.after_cut(self._random, kept)
        for name, file in self._files.items():
            if name in self._linked or self._random.random() < kept:
                self._survivors[name] = file.after_cut(self._random, kept)

    def switch_on(self) -> None:
        """Switch the power on again. The processes of before must be closed."""
        assert not self.is_on
        self.is_on = True
        self._files, self._linked, self._deleted = self._survivors, set(self._survivors), {}

    def exists(self, name: str) -> bool:
        return name in self._files

    def open(self, name: str) -> SimulatedFile:
        return self._files.setdefault(name, SimulatedFile())

    def sync(self, name: str, file: SimulatedFile) -> None:
        """Make a file durable; the first sync of a new file syncs its directory entry too, as SQLite does on Unix."""
        self.count_call()
        file.sync()
        self._linked.add(name)
        self._deleted.pop(name, None)

    def delete(self, name: str, *, is_durable: bool) -> None:
        file = self._files.pop(name)
        if name in self._linked:
            self._linked.remove(name)
            self._deleted[name] = file
        self.count_call()
        if is_durable:
            self._deleted.pop(name, None)

    def count_call(self) -> None:
        """Count a call that changes something.

        Raises:
            PowerCut: the power goes at this one.
        """
        self.calls += 1
        if self.is_on and self.calls == self._cut_at:
            self.cut()
            raise PowerCut("the power went")

    def close(self) -> None:
        self._vfs.unregister()


class _Vfs(apsw.VFS):
    def __init__(self, disk: PowerCutDisk) -> None:
        super().__init__(disk.vfs_name, base="")
        self._disk = disk

    def __repr__(self) -> str:
        return f"<_Vfs of {self._disk!r}>"

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> Any:
        flags[1] = flags[0]
        if name is None:
            return _OpenFile(None, "", SimulatedFile())
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        return _OpenFile(self._disk, path, self._disk.open(path))

    def xAccess(self, pathname: str, flags: int) -> bool:
        return self._disk.exists(pathname)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        if self._disk.exists(filename):
            self._disk.delete(filename, is_durable=syncdir)

    def xFullPathname(self, name: str) -> str:
        return name


class _OpenFile:
    """An open file, as SQLite holds it. A temporary file has no disk, and its calls are not counted."""

    def __init__(self, disk: PowerCutDisk | None, name: str, file: SimulatedFile) -> None:
        self._disk = disk
        self._name = name
        self._file = file

    def __repr__(self) -> str:
        return f"<_OpenFile {self._name or 'temporary'} {self._file!r}>"

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._file.contents[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._file.write(offset, bytes(data))
        self._count()

    def xTruncate(self, newsize: int) -> None:
        self._file.truncate(newsize)
        self._count()

    def xSync(self, flags: int) -> None:
        if self._disk is not None:
            self._disk.sync(self._name, self._file)

    def _count(self) -> None:
        if self._disk is not None:
            self._disk.count_call()

    def xFileSize(self) -> int:
        return len(self._file.contents)

    def xSectorSize(self) -> int:
        return 4096  # this and the next as SQLite has them on Unix

    def xDeviceCharacteristics(self) -> int:
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def xLock(self, level: int) -> None:
        pass

    def xUnlock(self, level: int) -> None:
        pass

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:
        return False

    def xClose(self) -> None:
        pass
