"""The names of the transports. In a module of its own: the command line needs them before gRPC is imported."""

from typing import Literal, TypeAlias

TransportName: TypeAlias = Literal["core", "grpc-aio"]
