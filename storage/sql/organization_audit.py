"""The audit of one organization's rows: the checks of `storage.sql.audit`, which see nothing else.

Each table that a check names is replaced by what it has of the organization. The ledger has no index by organization
and is reached by the journal.
"""

import re
from functools import cache
from typing import Any

from sqlalchemy import Connection, TextClause, bindparam, text

from actors.organization_moves import OrganizationAudit
from storage.sql.audit import CHECKS, COUNTED
from storage.sql.rows import COLUMNS
from storage.sql.schema import KEY

OF_THE_WHOLE_JOURNAL = ("gaps of the journal", "last entry of the journal")
LEDGER = ("stock_movement", "stock_movement_archive")
GROWS_OR_RESTS = (
    *(*LEDGER, "journal_entry", "journal_entry_archive"),
    *("stock_opening", "reservation_archive", "reservation_item_archive"),
)
CHANGES = ("stock", "reservation", "reservation_item", "transfer", "transfer_line", "request", "warehouse", "sourcing")
TABLES = (*GROWS_OR_RESTS, *CHANGES)


def _sees_present(check: Any) -> bool:
    return any(re.search(rf"\b{name}\b", check.query) for name in CHANGES)


# What sees nothing but history comes first: it can be looked at before the rest is there.
CHECKS_OF_ONE = sorted((check for check in CHECKS if check.name not in OF_THE_WHOLE_JOURNAL), key=_sees_present)
PARTS = len(CHECKS_OF_ONE) + 1
PARTS_OF_HISTORY = sum(not _sees_present(check) for check in CHECKS_OF_ONE)


def audit_rows(connection: Connection, organization_id: str, part: int) -> OrganizationAudit:
    """One part of it; they count from 0."""
    if part < len(CHECKS_OF_ONE):
        check = CHECKS_OF_ONE[part]
        row = _run(connection, f"{check.query} LIMIT 1", organization_id).first()
        return OrganizationAudit(PARTS, PARTS_OF_HISTORY, "" if row is None else check.sentence.format(*row))
    counts = [_run(connection, f"SELECT count(*) FROM {name}", organization_id).scalar_one() for name in COUNTED]
    return OrganizationAudit(PARTS, PARTS_OF_HISTORY, "", counts)


def _run(connection: Connection, query: str, organization_id: str) -> Any:
    is_postgres = connection.dialect.name == "postgresql"
    if is_postgres:  # it cannot know how many rows there are, and would compare each with each
        connection.exec_driver_sql("SET enable_nestloop = off")
    try:
        return connection.execute(of_one(query, connection.dialect.name), {"the_organization": organization_id})
    finally:
        if is_postgres:
            connection.exec_driver_sql("RESET enable_nestloop")


@cache
def of_one(query: str, dialect: str) -> TextClause:
    """A query that sees nothing but one organization: `:the_organization`."""
    # Within what takes a table's name, SQLite needs the schema to mean the table.
    schema = "main." if dialect == "sqlite" else ""
    named = [name for name in TABLES if re.search(rf"\b{name}\b", query)]
    if any(name in LEDGER for name in named):
        entries = (
            f"SELECT lsn, organization_id FROM {schema}{name}" for name in ("journal_entry_archive", "journal_entry")
        )
        lsns = " UNION ALL ".join(f"{one} WHERE organization_id = :the_organization" for one in entries)
        parts = [f"the_lsns AS ({lsns})"]
    else:
        parts = []
    parts += [f"{name} AS ({_select(name, schema, dialect)})" for name in named]
    return text(f"WITH {', '.join(parts)} {query}").bindparams(bindparam("the_organization", type_=KEY))


def _select(name: str, schema: str, dialect: str) -> str:
    if name not in LEDGER:
        scope = "scope" if name == "request" else "organization_id"
        return f"SELECT * FROM {schema}{name} WHERE {scope} = :the_organization"
    columns = ", ".join(f"m.{column}" for column in COLUMNS["stock_movement"].split())
    same = "m.lsn = e.lsn AND m.organization_id = e.organization_id"
    if dialect == "postgresql":  # by the key of the ledger, whatever else is done in another way
        return f"SELECT m.* FROM the_lsns e, LATERAL (SELECT * FROM {name} m WHERE {same} OFFSET 0) m"
    return f"SELECT {columns} FROM the_lsns e JOIN {schema}{name} m ON {same}"
