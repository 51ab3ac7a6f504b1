"""Where calls come from: an address, as gRPC writes it, or a key."""

from rpc.transport.transport_port import Context


def address_of(peer: str) -> str:
    """Where a connection comes from, without its port.

    >>> address_of("ipv4:127.0.0.1:50053"), address_of("ipv6:%5B::1%5D:50053")
    ('ipv4:127.0.0.1', 'ipv6:%5B::1%5D')
    """
    return peer.rpartition(":")[0]


def source_of(context: Context) -> str:
    """Whose a call is, whatever organization it names: that of a key or token, by its name, or of an address.

    An address is only looked at where no key is asked for: behind a proxy all callers have the same.
    """
    return context.caller or address_of(context.peer())
