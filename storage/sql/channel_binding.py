"""Whether a login to Postgres has to be bound to its TLS connection, as libpq's `channel_binding` says."""

from collections.abc import MutableMapping

from storage.sql.libpq_defaults import find_parameter

VALUES = ("disable", "prefer", "require")
WEAKER_THAN_REQUIRE = ("allow", "prefer")


def take_binding(query: MutableMapping[str, str]) -> bool:
    """Take `channel_binding` out of a URL's parameters, and say whether a login has to be bound.

    There is nothing to bind one to without TLS, so `sslmode` then becomes `require` at least.

    Raises:
        ValueError: the parameters contradict each other, or have a value that libpq does not know.
    """
    binding = find_parameter(query, "channel_binding", "PGCHANNELBINDING", "prefer")
    query.pop("channel_binding", None)
    if binding not in VALUES:
        raise ValueError(
            "the database URL's parameter channel_binding (PGCHANNELBINDING) must be disable, prefer or require"
        )
    if binding != "require":
        return False
    mode = find_parameter(query, "sslmode", "PGSSLMODE", "prefer")
    if mode == "disable":
        raise ValueError(
            "the database URL's parameters sslmode=disable and channel_binding=require exclude each other: there is"
            " no TLS connection to bind a login to"
        )
    query["sslmode"] = "require" if mode in WEAKER_THAN_REQUIRE else mode
    return True
