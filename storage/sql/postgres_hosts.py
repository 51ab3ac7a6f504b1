"""Several hosts of one Postgres database, each alone: `first_host.py` says why."""

from collections.abc import Mapping, Sequence

from sqlalchemy import URL

IN_THEIR_ORDER = "prefer-standby"  # only all of them together say which one is meant


def one_by_one(url: URL, query: Mapping[str, str], session: str) -> Sequence[str]:
    """For asyncpg, a URL for each host; none where it has to look at all of them itself.

    Args:
        query: what stands behind the `?`.
        session: which host will do, by libpq's name.
    """
    hosts = (url.host or query.get("host", "")).split(",")
    ports = query.get("port", "").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    if len(hosts) < 2 or len(ports) != len(hosts) or session == IN_THEIR_ORDER:
        return ()
    return [_alone(url, query, host, port) for host, port in zip(hosts, ports, strict=True)]


def _alone(url: URL, query: Mapping[str, str], host: str, port: str) -> str:
    own = {**query, **({"port": port} if port else {}), **({} if url.host else {"host": host})}
    return url.set(host=host if url.host else None, query=own).render_as_string(hide_password=False)
