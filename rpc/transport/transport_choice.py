"""Which of the two transports carries the calls."""

import logging
import re
from collections.abc import Sequence

import grpc

from rpc.network_bounds import DEFAULT_BOUNDS, NetworkBounds
from rpc.transport.addresses import Address
from rpc.transport.server_options import Options
from rpc.transport.tls_files import TlsFiles
from rpc.transport.transport_name import TransportName
from rpc.transport.transport_port import CallHandler, Listener

# The versions of grpcio that the transport on gRPC's core was tried with: from the first, below the second.
# `make test-grpcio` runs the contract suite at both ends.
GRPCIO_TRIED = ((1, 82, 2), (1, 86))

log = logging.getLogger(__name__)


def choose_transport(wanted: TransportName | None, grpcio_version: str = grpc.__version__) -> TransportName:
    """The transport to use: the one that is wanted; otherwise the core where the installed grpcio was tried with it.

    A choice that is not the usual one is logged in one line.

    Args:
        wanted: None leaves the choice to the installed version.
    """
    if is_tried(grpcio_version):
        return wanted or "core"
    if wanted is None:
        reason = f"grpcio {grpcio_version} was not tried with core"
        log.warning("transport_chosen", extra={"transport": "grpc-aio", "reason": reason})
        return "grpc-aio"
    if wanted == "core":
        log.warning("transport_untried", extra={"transport": "core", "grpcio": grpcio_version})
    return wanted


def build_listener(
    transport: TransportName,
    handler: CallHandler,
    addresses: Sequence[Address],
    options: Options,
    tls: TlsFiles | None = None,
    bounds: NetworkBounds = DEFAULT_BOUNDS,
) -> Listener:
    """The transport's listener, not open yet.

    Args:
        addresses: numeric ones with a port each.
        options: gRPC's own.
        tls: what its ports show callers; None: they are insecure.
        bounds: on answers that callers do not take.
    """
    # Only what is used is imported: the binding of the one may not exist in the grpcio that needs the other.
    if transport == "core":
        from rpc.transport.core_listener import CoreListener

        return CoreListener(handler, addresses, options, tls, bounds)
    from rpc.transport.aio_listener import AioListener

    return AioListener(handler, addresses, options, tls, bounds)


def is_tried(grpcio_version: str) -> bool:
    """Whether the core's transport was tried with a version."""
    first, below = GRPCIO_TRIED
    version = tuple(map(int, re.findall(r"\d+", grpcio_version)[:3]))
    return first <= version < below
