"""Where calls come from, as gRPC writes it."""


def address_of(peer: str) -> str:
    """Where a connection comes from, without its port.

    >>> address_of("ipv4:127.0.0.1:50053"), address_of("ipv6:%5B::1%5D:50053")
    ('ipv4:127.0.0.1', 'ipv6:%5B::1%5D')
    """
    return peer.rpartition(":")[0]
