"""What is to be done around a fork, by everything of this package that has gRPC or a lock.

gRPC's threads do not exist in a child, and its core cannot be used there if it was alive at the fork: the first call
hangs, beyond its deadline too (measured with grpcio 1.85). If no channel is open, its threads end, and the child can
open one. So the channels are closed for the moment of the fork, and opened again by the next call on either side. The
threads end some milliseconds after that: one of 40 children hung whose fork did not wait for them.

Turned down: to open another channel in the child when its process id is a new one, which hangs as said; and to ask
for GRPC_ENABLE_FORK_SUPPORT, which has to be set before gRPC is imported, and does nothing if calls are under way.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol
from weakref import ref

# How long a fork waits for calls under way, in seconds.
FORK_PATIENCE_S = 10.0
# And then for gRPC's threads to end. They remain if others in this process have channels too.
_THREADS_PATIENCE_S = 5.0
_THREADS = Path("/proc/self/task")
_NAMES_OF_THREADS = ("event_engine", "grpc_", "lifeguard", "default-exec", "resolver-exec")
_NOT_AFTER_THIS_FORK = (
    "This process was forked while its parent used gRPC, which cannot be used in it now. Fork when no calls are under "
    "way and no other gRPC channels are open, or set GRPC_ENABLE_FORK_SUPPORT=1 before gRPC is imported"
)


class Forking(Protocol):
    """Something that a fork concerns."""

    def before_fork(self) -> None: ...

    def after_fork_in_parent(self) -> None: ...

    def after_fork_in_child(self) -> None: ...


class ForkGate:
    """Calls all that were added, and still exist: before a fork the newest first."""

    def __init__(self) -> None:
        self._added: list[ref[Forking]] = []
        self._lock = threading.Lock()
        self._is_registered = False
        self._is_grpc_quiet = False
        self._is_grpc_lost = False

    def __repr__(self) -> str:
        return f"<ForkGate of {self.statistics()}>"

    def statistics(self) -> int:
        """How many it will call."""
        return sum(1 for one in self._added if one() is not None)

    def add(self, one: Forking) -> None:
        with self._lock:
            if not self._is_registered:
                self._is_registered = True
                os.register_at_fork(before=self._before, after_in_parent=self._in_parent, after_in_child=self._in_child)
            self._added = [*(known for known in self._added if known() is not None), ref(one)]

    def require_grpc(self) -> None:
        """Raises RuntimeError in a child where gRPC would hang."""
        if self._is_grpc_lost:
            raise RuntimeError(_NOT_AFTER_THIS_FORK)

    def _existing(self) -> list[Forking]:
        return [one for known in self._added if (one := known()) is not None]

    def _before(self) -> None:
        self._lock.acquire()  # until the fork is done: nothing is added, and no other thread forks, meanwhile
        for one in reversed(self._existing()):
            one.before_fork()
        self._is_grpc_quiet = follows_forks() or _threads_end()

    def _in_parent(self) -> None:
        for one in self._existing():
            one.after_fork_in_parent()
        self._lock.release()

    def _in_child(self) -> None:
        self._lock = threading.Lock()
        self._is_grpc_lost = self._is_grpc_lost or not self._is_grpc_quiet
        for one in self._existing():
            one.after_fork_in_child()


def follows_forks() -> bool:
    """Whether gRPC was told to start its threads anew in a child. Then its channels may stay open; a fork while one
    closes was seen to hang.
    """
    return os.environ.get("GRPC_ENABLE_FORK_SUPPORT", "0").lower() in ("1", "true", "yes")


def _threads_end() -> bool:
    """Whether gRPC has no threads any more, within a while."""
    ends_s = time.monotonic() + _THREADS_PATIENCE_S
    looks = 0  # a thread has its creator's name at first
    while looks < 2 and time.monotonic() < ends_s:
        looks = 0 if _has_threads() else looks + 1
        time.sleep(0.001)
    return looks >= 2


def _has_threads() -> bool:
    return any(name.startswith(_NAMES_OF_THREADS) for name in _names_of_threads())


def _names_of_threads() -> Iterator[str]:
    """None where there is no /proc."""
    for thread in _THREADS.glob("*/comm"):
        with suppress(OSError):  # it has ended
            yield thread.read_text()


class Turnstile:
    """Counts what is under way, and holds back what comes while the process forks."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._is_held = False

    def __repr__(self) -> str:
        return f"<Turnstile inside={self._inside} held={self._is_held}>"

    def statistics(self) -> int:
        """How many are inside."""
        return self._inside

    @contextmanager
    def inside(self) -> Iterator[None]:
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def enter(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_held)
            self._inside += 1

    def leave(self) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def hold(self) -> None:
        """From here on, what comes waits for `release`."""
        with self._changed:
            self._is_held = True

    def release(self) -> None:
        with self._changed:
            self._is_held = False
            self._changed.notify_all()

    def wait_until_empty(self, seconds: float) -> bool:
        """Whether all have left within this time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._inside, seconds)


# For the process, as its forks are. Nothing is registered before the first client is made.
FORK_GATE = ForkGate()
