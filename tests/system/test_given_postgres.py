"""STOCKKEEPER_TEST_POSTGRES_URL: tests use the server that it names, in databases of their own, and never stop it."""

import os
import subprocess
import sys

from tests.postgres import URL_VARIABLE, PostgresServer, embedded_postgres
from tests.system.servers import ROOT


def databases(postgres: PostgresServer) -> str:
    return postgres.psql("SELECT datname FROM pg_database ORDER BY 1")


def test_the_tests_use_a_given_server_and_leave_it_as_it_was() -> None:
    with embedded_postgres() as given:
        given.psql("ALTER SYSTEM SET log_statement = 'ddl'")
        given.psql("SELECT pg_reload_conf()")
        before = databases(given)
        run = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"),
                "tests/storage/test_postgres.py::TestOwner::test_the_refusal_says_who_holds_the_lock",
                "tests/torture/test_torture.py::test_nothing_is_lost_or_doubled[postgres_falls on Postgres]",
            ],
            cwd=ROOT,
            env={**os.environ, URL_VARIABLE: given.get_uri()},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stdout
        assert "1 passed, 1 skipped" in run.stdout
        assert f"{URL_VARIABLE} is set, and this test stops the server" in run.stdout
        assert databases(given) == before
        assert "CREATE DATABASE stockkeeper_test_" in given.log
