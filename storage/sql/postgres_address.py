"""A Postgres URL as libpq takes it, made into what asyncpg takes.

asyncpg reads most of libpq's parameters from a URL by itself, and sends every other one to the server as a setting,
which refuses it. So the ones that it reads are listed here, the settings that libpq sends too, and the few that need
a translation; any other is refused by name, before anything connects.
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct, field
from sqlalchemy import URL

from storage.sql.channel_binding import take_binding
from storage.sql.database_url import show_url
from storage.sql.libpq_defaults import find_parameter, with_service
from storage.sql.postgres_authorities import files_of, take_system
from storage.sql.postgres_hosts import one_by_one

CONNECT_TIMEOUT_S = 10.0

READ_BY_ASYNCPG = {
    *("host", "port", "dbname", "user", "password", "passfile", "target_session_attrs"),
    *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version", "krbsrvname", "gsslib"),
}
SETTINGS = {"application_name", "options"}
SESSIONS = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
# They find a lost peer, and the heartbeat does so sooner.
NOT_NEEDED = {*("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"), "tcp_user_timeout"}
# What libpq would do and asyncpg cannot; these values allow going without.
DISPENSABLE = {
    "load_balance_hosts": ("disable",),
    "sslcertmode": ("allow",),
    "sslcompression": ("0",),
    "sslsni": ("1",),
    "gssencmode": ("prefer", "disable"),
    "client_encoding": ("utf8", "auto"),
}


class PostgresAddress(Struct, frozen=True):
    """Where a Postgres database is and how to reach it.

    Args:
        name: for messages, without passwords.
        dsn: for asyncpg, with them.
        hosts: the same for each of several hosts alone.
        connect_timeout_s: for all of connecting to a host.
        settings: that the session has from its first moment.
        is_bound: the login has to be bound to the TLS connection.
        is_verified: the server's certificate has to be one for its name.
        trusts_system: it has to be of one of the system's authorities.
        files: that have to be there, by their parameters.
    """

    name: str
    dsn: str
    hosts: Sequence[str] = ()
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    settings: Mapping[str, str] = field(default_factory=dict)
    is_bound: bool = False
    is_verified: bool = False
    trusts_system: bool = False
    files: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<PostgresAddress {self.name}>"


def read_address(url: URL) -> PostgresAddress:
    """The address that a URL stands for.

    Raises:
        ValueError: it has a parameter that is not known here or cannot be kept, in a sentence that names it.
    """
    query = {name: value if isinstance(value, str) else ",".join(value) for name, value in url.query.items()}
    if "ssl" in query:  # SQLAlchemy's name for it
        query["sslmode"] = query.pop("ssl")
    query = with_service(query)
    if "hostaddr" in query and url.host is None and "host" not in query:
        query["host"] = query.pop("hostaddr")  # saves libpq asking for a name, of which there is none
    usual_name = query.pop("fallback_application_name", "stockkeeper")
    query = {name: value for name, value in query.items() if name not in NOT_NEEDED}
    settings = {name: query.pop(name) for name in SETTINGS & query.keys()}
    connect_timeout_s = _seconds(query.pop("connect_timeout", "0")) or CONNECT_TIMEOUT_S
    trusts_system, is_bound = take_system(query), take_binding(query)
    for name in DISPENSABLE.keys() & query.keys():
        _dispense_with(name, query.pop(name))
    session = find_parameter(query, "target_session_attrs", "PGTARGETSESSIONATTRS", "any")
    if session not in SESSIONS:
        raise ValueError(f"the database URL's parameter target_session_attrs must be one of {', '.join(SESSIONS)}")
    ports = query.get("port", "0").replace(",", "")
    if not (ports.isascii() and ports.isdecimal()):
        raise ValueError("the database URL's parameter port must be a number")
    for name in sorted(query.keys() - READ_BY_ASYNCPG):
        raise ValueError(f"the database URL's parameter {name} is not supported")
    plain = url.set(drivername="postgresql", query={})
    return PostgresAddress(
        name=show_url(plain.set(query=url.query).render_as_string(hide_password=False)),
        dsn=plain.set(query=query).render_as_string(hide_password=False),
        hosts=one_by_one(plain, query, session),
        connect_timeout_s=connect_timeout_s,
        settings={"application_name": usual_name, **settings},
        is_bound=is_bound,
        is_verified=find_parameter(query, "sslmode", "PGSSLMODE", "prefer") == "verify-full",
        trusts_system=trusts_system,
        files=files_of(query),
    )


def _seconds(value: str) -> int:
    if not value.isascii() or not value.isdigit():
        raise ValueError("the database URL's parameter connect_timeout must be a number of seconds")
    return int(value)


def _dispense_with(name: str, value: str) -> None:
    if value.lower().replace("-", "") not in DISPENSABLE[name]:
        allowed = " or ".join(DISPENSABLE[name])
        raise ValueError(f"the database URL's parameter {name} must be {allowed}: its driver knows no other way")
