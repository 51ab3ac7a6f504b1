"""Programs under measurement: each in a process of its own, with the CPU time and the memory of all that it starts."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from stockkeeper.serving.grpc_settings import SETTINGS

ROOT = Path(__file__).resolve().parents[1]
STOP_TIMEOUT_S = 60.0


class Program:
    """A running program that prints one line with "listens on HOST:PORT" when it is ready.

    Args:
        command: what to run, from the repository's root.
        log: the file that its stderr goes to.
        environment: what is added to this process's.

    Raises:
        RuntimeError: it ended or said something else.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=ROOT,
                env={**os.environ, **SETTINGS, **(environment or {})},
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if " listens on " not in line:
            self.stop()
            raise RuntimeError(f"{' '.join(command)} did not start: {line!r} {log.read_text()[-2_000:]}")
        self.port = int(line.split(" listens on ")[1].split()[0].rstrip(",").rpartition(":")[2])

    def __repr__(self) -> str:
        return f"<Program pid={self.pid} {'running' if self.process.poll() is None else 'ended'}>"

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        """Send SIGTERM, and SIGKILL if the process does not end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def cpu_s(pids: Sequence[int]) -> float:
    """CPU time of these processes and all below them, those that have ended included, in seconds."""
    return sum(sum(process.cpu_times()[:4]) for process in _trees(pids))


def memory_mib(pids: Sequence[int]) -> float:
    """Memory of these processes and all below them; what they share is counted once."""
    return sum(_proportional_bytes(process) for process in _trees(pids)) / 2**20


def peak_memory_mib(pid: int) -> float:
    """The most that a process has had in memory, where the system knows it; else what it has now."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return float(psutil.Process(pid).memory_info().rss) / 2**20


def resident_mib(pid: int) -> float:
    """What a process has in memory now."""
    return float(psutil.Process(pid).memory_info().rss) / 2**20


def _proportional_bytes(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    return int(getattr(full, "pss", full.rss))


def _trees(pids: Sequence[int]) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            found[one.pid] = one
    return list(found.values())
