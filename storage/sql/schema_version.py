"""Which version of the schema a database has."""

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, inspect, select

LATEST = "0017"  # the newest of `migrations/versions`; a test compares the two
MOVING = "half of a move"  # of no migration: no server serves what it does not know
VERSION_TABLE = "stockkeeper_schema_version"
OLD_VERSION_TABLE = "alembic_version"  # Alembic's default, which another program may use in the same database


def is_empty(connection: Connection) -> bool:
    """Whether none of our tables is there; tables of other programs may be."""
    there = set(inspect(connection).get_table_names())
    return not there & {VERSION_TABLE, "ownership", "stock", "stock_movement"}


def revisions(connection: Connection) -> set[str]:
    """The versions that the database says it has; none where it has no table of them."""
    name = version_table(connection)
    if not inspect(connection).has_table(name):
        return set()
    return set(connection.scalars(select(_table(name).c.version_num)))


def version_table(connection: Connection) -> str:
    """The table that has our version; the old name's is ours only where our other tables are."""
    there = set(inspect(connection).get_table_names())
    is_old = VERSION_TABLE not in there and {OLD_VERSION_TABLE, "ownership", "stock_movement"} <= there
    return OLD_VERSION_TABLE if is_old else VERSION_TABLE


def restamp(connection: Connection, version: str) -> None:
    """Say another version."""
    connection.execute(_table(VERSION_TABLE).update().values(version_num=version))


def drop_version(connection: Connection) -> None:
    _table(VERSION_TABLE).drop(connection)


def stamp_latest(connection: Connection) -> None:
    """Say that the tables are those of the latest version, in a table as Alembic makes it."""
    table = _table(VERSION_TABLE)
    table.create(connection)
    connection.execute(table.insert().values(version_num=LATEST))


def _table(name: str) -> Table:
    column = Column("version_num", String(32), nullable=False)
    return Table(name, MetaData(), column, PrimaryKeyConstraint("version_num", name=f"{name}_pkc"))
