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
CHECKS_OF_ONE = [check for check in CHECKS if check.name not in OF_THE_WHOLE_JOURNAL]
PARTS = len(CHECKS_OF_ONE) + 1
LEDGER = ("stock_movement", "stock_movement_archive")
TABLES = (
    *LEDGER,
    *("stock", "stock_opening", "reservation", "reservation_item", "reservation_archive", "reservation_item_archive"),
    *("transfer", "transfer_line", "journal_entry", "journal_entry_archive", "request"),
)


def audit_rows(connection: Connection, organization_id: str, part: int) -> OrganizationAudit:
    """One part of it; they count from 0."""
    if part < len(CHECKS_OF_ONE):
        check = CHECKS_OF_ONE[part]
        row = _run(connection, f"{check.query} LIMIT 1", organization_id).first()
        return OrganizationAudit(PARTS, "" if row is None else check.sentence.format(*row))
    counts = [_run(connection, f"SELECT count(*) FROM {name}", organization_id).scalar_one() for name in COUNTED]
    return OrganizationAudit(PARTS, "", counts)


def _run(connection: Connection, query: str, organization_id: str) -> Any:
    return connection.execute(_of_one(query, connection.dialect.name), {"the_organization": organization_id})


@cache
def _of_one(query: str, dialect: str) -> TextClause:
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
    parts += [f"{name} AS ({_select(name, schema)})" for name in named]
    return text(f"WITH {', '.join(parts)} {query}").bindparams(bindparam("the_organization", type_=KEY))


def _select(name: str, schema: str) -> str:
    if name not in LEDGER:
        scope = "scope" if name == "request" else "organization_id"
        return f"SELECT * FROM {schema}{name} WHERE {scope} = :the_organization"
    columns = ", ".join(f"m.{column}" for column in COLUMNS["stock_movement"].split())
    return (
        f"SELECT {columns} FROM the_lsns e JOIN {schema}{name} m"
        " ON m.lsn = e.lsn AND m.organization_id = e.organization_id"
    )
