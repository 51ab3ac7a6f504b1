"""Whose a call is, whatever organization it names."""

from rpc.peer_address import address_of
from rpc.transport.transport_port import Context


def source_of(context: Context) -> str:
    """Whose a call is, whatever organization it names: that of a key or token, by its name, or of an address.

    An address is only looked at where no key is asked for: behind a proxy all callers have the same.
    """
    return context.caller or address_of(context.peer())
