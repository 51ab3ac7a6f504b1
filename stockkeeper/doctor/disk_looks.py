"""Looks at the disk of a SQLite database: room, kind of file system, how long a sync takes, who may read the files."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import disk_usage
from statistics import median
from tempfile import NamedTemporaryFile

from stockkeeper.doctor.finding import Finding, advise, ok, problem
from storage.sql.sqlite_files import files_of

FREE_BYTES_MIN = 1 << 20  # below it a server does not start
FREE_BYTES_WANTED = 1 << 30
# SQLite's locks or its shared memory do not work there: https://sqlite.org/wal.html, https://sqlite.org/howtocorrupt.html
NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs")
GOES_AWAY = ("tmpfs", "ramfs", "overlay")
SYNCS = 20
SYNC_S_MAX = 0.02
SYNC_S_MIN = 0.00002  # no device is that fast


def look_at_disk(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> Iterator[Finding]:
    """All looks at the directory of a database.

    Args:
        path: the database, which need not exist.
        mounts: what is mounted where, as Linux tells it.
    """
    directory = path.parent
    if not directory.is_dir():
        yield problem("directory", f"{directory} does not exist", "Make it, for the server's user alone.")
        return
    if not os.access(directory, os.W_OK | os.X_OK):
        advice = f"Give it to the server's user: chown {os.geteuid()} {directory}."
        yield problem("directory", f"this user may not write in {directory}", advice)
        return
    yield look_at_room(directory, disk_usage(directory).free)
    yield look_at_file_system(directory, mounts)
    yield look_at_sync(directory, sync_s(directory))


def look_at_room(directory: Path, free_bytes: int) -> Finding:
    found = f"{free_bytes / 1_000_000:,.0f} MB are free in {directory}"
    if free_bytes < FREE_BYTES_MIN:
        return problem("disk", found, "Make room: a server does not start without, and refuses calls when it is gone.")
    if free_bytes < FREE_BYTES_WANTED:
        return advise("disk", found, "Make room, or set --keep-days and empty the archive.")
    return ok("disk", found)


def look_at_file_system(directory: Path, mounts: Path) -> Finding:
    kind = file_system(directory, mounts)
    if kind in NETWORK:
        return problem(
            "file system",
            f"{directory} is on {kind}, where SQLite's locks and shared memory cannot be relied upon",
            "Use a local disk, or Postgres.",
        )
    if kind in GOES_AWAY:
        return advise(
            "file system",
            f"{directory} is on {kind}, whose files go away with the machine or the container",
            "Mount a volume there, unless that is what you want.",
        )
    return ok("file system", f"{directory} is on {kind or 'a file system that is not known'}")


def file_system(directory: Path, mounts: Path) -> str:
    """The kind of file system, empty where that is not told."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    best, kind, place = -1, "", str(directory.resolve())
    for line in lines:
        fields = line.split(" ")
        point = fields[4].encode().decode("unicode_escape")
        is_above = point == "/" or place == point or place.startswith(f"{point}/")
        if is_above and len(point) >= best and "-" in fields:
            best, kind = len(point), fields[fields.index("-") + 1]
    return kind


def sync_s(directory: Path) -> float:
    """How long a small append and its sync take, at the median, in seconds."""
    took: list[float] = []
    with NamedTemporaryFile(dir=directory, prefix=".stockkeeper-doctor-") as file:
        for _ in range(SYNCS):
            began = time.perf_counter()
            file.write(bytes(4_096))
            file.flush()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return median(took)


def look_at_sync(directory: Path, took_s: float) -> Finding:
    found = f"a sync takes {took_s * 1_000:.2f} ms in {directory}"
    if took_s > SYNC_S_MAX:
        return advise("sync", found, "Every reservation waits for one: use a faster disk.")
    if took_s < SYNC_S_MIN:
        return advise("sync", found, "No device is that fast: a power cut may take what was acknowledged.")
    return ok("sync", found)


def look_at_permissions(path: Path) -> Finding:
    """Who may read the files of a database."""
    wide = [one.name for one in files_of(path) if one.exists() and one.stat().st_mode & 0o077]
    if wide:
        return advise(
            "permissions",
            f"others than the owner may read or write {', '.join(wide)}",
            f"chmod 600 {' '.join(str(path.with_name(name)) for name in wide)}",
        )
    return ok("permissions", "the database's files are their owner's alone")
