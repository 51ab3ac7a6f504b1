"""The `stockkeeper` command, also as `python -m stockkeeper`."""

import os

# gRPC reads these once, when it is first imported. Without the first, events hop through a thread pool on their way to
# the poller: twice the context switches and an eighth more CPU a call (grpcio 1.82, see docs/performance.md).
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")
# Nobody calls gRPC in a process that was forked; what gRPC does for those crashes children that are about to become
# another program (https://github.com/grpc/grpc/issues/43055).
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from stockkeeper.command_line.cli import main

if __name__ == "__main__":
    main()
