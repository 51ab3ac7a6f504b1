"""A new database gets its schema in one step; what that makes is what the migrations make one after the other."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from storage.sql.migrate import migrate
from storage.sql.schema import metadata
from storage.sql.schema_version import LATEST, VERSION_TABLE
from storage.sql.sqlite_session import SqliteSession
from storage.sql.sqlite_settings import CONNECT_ARGUMENTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "x.db", **CONNECT_ARGUMENTS)
    yield connection
    connection.close()


@pytest.fixture
def session(raw: sqlite3.Connection) -> Iterator[SqliteSession]:
    session = SqliteSession(raw)
    session.take_over("a test")
    yield session
    session.close()


def definitions(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
    return {name: " ".join(sql.split()) for name, sql in rows if name != "stockkeeper_schema_version"}


def contents(connection: sqlite3.Connection) -> dict[str, list[Any]]:
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables}


@pytest.fixture
def migrated() -> Iterator[sqlite3.Connection]:
    """What the migrations make, one after the other."""
    raw = sqlite3.connect(":memory:", **CONNECT_ARGUMENTS)
    engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    with engine.begin() as connection:
        migrate(connection)
    yield raw
    engine.dispose()


class TestMigrations:
    def test_a_new_database_is_as_they_make_it(
        self, session: SqliteSession, raw: sqlite3.Connection, migrated: sqlite3.Connection
    ) -> None:
        assert definitions(raw) == definitions(migrated)
        raw.execute("UPDATE ownership SET epoch = 0, owner = '', database_id = '', generation = ''")
        assert migrated.execute("UPDATE ownership SET database_id = '' WHERE length(database_id) = 32").rowcount == 1
        assert contents(raw) == contents(migrated)
        assert contents(raw)["stockkeeper_schema_version"] == [(LATEST,)]
        assert len(contents(raw)["sqlite_stat1"]) > 9

    def test_alembic_finds_no_difference(self, session: SqliteSession) -> None:
        def difference(connection: Connection) -> Any:
            return compare_metadata(
                MigrationContext.configure(connection, opts={"compare_type": True, "version_table": VERSION_TABLE}),
                metadata,
            )

        assert session.read(difference) == []

    def test_alembic_is_loaded_only_where_a_migration_is_missing(self, tmp_path: Path) -> None:
        program = (
            "import sqlite3, sys; from storage.sql.sqlite_session import SqliteSession;"
            "from storage.sql.sqlite_settings import CONNECT_ARGUMENTS;"
            "session = SqliteSession(sqlite3.connect(sys.argv[1], **CONNECT_ARGUMENTS));"
            "print([session.take_over('a test').epoch for again in range(2)], 'alembic' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, f"{tmp_path}/x.db"], capture_output=True, text=True, check=True, cwd=ROOT
        )
        assert done.stdout == "[1, 2] False\n"

    def test_a_second_run_changes_nothing_but_the_epoch(self, session: SqliteSession, raw: sqlite3.Connection) -> None:
        before = definitions(raw)
        assert session.take_over("again").epoch == 2
        assert definitions(raw) == before
        assert not raw.in_transaction
