"""Looks at the machine: versions, clock, descriptors, memory."""

import ctypes
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc

from rpc.transport.transport_choice import GRPCIO_TRIED, is_tried
from stockkeeper.doctor.finding import Finding, advise, ok, problem

PYTHON_TRIED = ((3, 11), (3, 13))  # both are among them; 3.14 is only in the matrix of CI
MEMORY_BYTES_WANTED = 512 * 1024 * 1024
DESCRIPTORS_BESIDE = 100  # files of the database, of logs, of front-ends
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronized
TIMEX_BYTES = 512  # more than the struct has anywhere
CGROUP_MEMORY = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def look_at_python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    text = ".".join(map(str, version))
    first, last = PYTHON_TRIED
    if version[:2] < first:
        return problem("Python", f"Python {text} is too old", "Use Python 3.11 or newer.")
    if version[:2] > last:
        return advise("Python", f"Python {text} was not tried", f"If something fails, use one up to 3.{last[1]}.")
    return ok("Python", f"Python {text} was tried")


def look_at_grpcio(version: str = grpc.__version__) -> Finding:
    if is_tried(version):
        return ok("grpcio", f"grpcio {version} was tried")
    first, below = (".".join(map(str, one)) for one in GRPCIO_TRIED)
    return advise(
        "grpcio",
        f"grpcio {version} was not tried, so that the slower transport grpc-aio carries the calls",
        f"Install one from {first} on and below {below}.",
    )


def look_at_synchronization(state: int | None) -> Finding:
    """Args:
    state: the kernel's, as `clock_state` has it.
    """
    if state is None:
        return ok("time service", "the kernel does not tell whether the clock is synchronized")
    if state == TIME_ERROR:
        return advise(
            "time service",
            "the clock is not synchronized",
            "Run an NTP client (chrony, systemd-timesyncd): expiry goes by this clock.",
        )
    return ok("time service", "the clock is synchronized")


def clock_state() -> int | None:
    """What the kernel says of its clock; None where it says nothing."""
    try:
        state = int(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)))
    except (OSError, AttributeError):
        return None
    return state if state >= 0 else None


def look_at_descriptors(connections_max: int, hard: int | None = None) -> Finding:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1] if hard is None else hard
    wanted = connections_max + DESCRIPTORS_BESIDE
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return ok("file descriptors", f"there may be {'any number' if hard < 0 else hard}, and {wanted} are wanted")
    return advise(
        "file descriptors",
        f"there may be {hard}, and connections_max {connections_max} wants {wanted}",
        "Raise the limit (LimitNOFILE in systemd, nofile in limits.conf), or lower --connections-max.",
    )


def look_at_file_size(soft: int | None = None) -> Finding:
    soft = resource.getrlimit(resource.RLIMIT_FSIZE)[0] if soft is None else soft
    if soft == resource.RLIM_INFINITY:
        return ok("file size", "files may become as large as they need")
    return problem(
        "file size",
        f"no file may become larger than {soft / 1_000_000:,.0f} MB",
        "Take the limit away (ulimit -f unlimited, LimitFSIZE in systemd), or the database will be full there.",
    )


def look_at_memory(limit_bytes: int | None) -> Finding:
    """Args:
    limit_bytes: of this container, as `memory_limit` has it.
    """
    if limit_bytes is None:
        return ok("memory", "no limit is set for this program")
    found = f"this program may have {limit_bytes / 1_000_000:,.0f} MB"
    if limit_bytes < MEMORY_BYTES_WANTED:
        return advise("memory", found, "Give it 512 MB, or lower --variants-max, --orders-max and --answers-bytes-max.")
    return ok("memory", found)


def memory_limit() -> int | None:
    """The limit of this control group in bytes; None where there is none."""
    for path in CGROUP_MEMORY:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        return int(text) if text.isdecimal() and int(text) < 1 << 60 else None
    return None


def look_at_machine(connections_max: int) -> Iterator[Finding]:
    """All of it."""
    yield look_at_python()
    yield look_at_grpcio()
    yield look_at_synchronization(clock_state())
    yield look_at_descriptors(connections_max)
    yield look_at_file_size()
    yield look_at_memory(memory_limit())
