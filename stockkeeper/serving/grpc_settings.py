"""gRPC's own settings in the environment. It reads them once, when it is first imported."""

import os
import sys

SETTINGS = {
    # Without this, events hop through a thread pool on their way to the poller: twice the context switches and an
    # eighth more CPU a call (grpcio 1.82, see docs/performance.md).
    "GRPC_EXPERIMENTS": "-event_engine_listener",
    # A forked process never calls gRPC; what gRPC does for those crashes children that are about to become
    # another program (https://github.com/grpc/grpc/issues/43055).
    "GRPC_ENABLE_FORK_SUPPORT": "0",
    # gRPC's core writes a line for each bad header of a client: 58 MB in 10 s, perhaps onto the database's disk.
    "GRPC_VERBOSITY": "NONE",
}


def apply_grpc_settings() -> None:
    """Set what the environment does not set already, for this process and those that it starts."""
    assert "grpc" not in sys.modules, "gRPC was imported before its settings were applied"
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
