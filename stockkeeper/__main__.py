"""The `stockkeeper` command, also as `python -m stockkeeper`."""

import os

# gRPC reads this once, when it is first imported. Without it, events hop through a thread pool on their way to the
# poller: twice the context switches and an eighth more CPU a call (grpcio 1.82, see docs/performance.md).
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")

from stockkeeper.cli import main

if __name__ == "__main__":
    main()
