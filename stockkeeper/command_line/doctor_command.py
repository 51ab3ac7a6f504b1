"""`stockkeeper doctor`: looks at everything a server stands on, and says what to do."""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio
import msgspec

from stockkeeper.bootstrap import build_store
from stockkeeper.command_line.config_command import settings_of
from stockkeeper.command_line.database_options import DEFAULT_DATABASE, Database
from stockkeeper.command_line.exit_status import EXIT_FAILURE
from stockkeeper.command_line.output import say
from stockkeeper.command_line.parameters import ConfigFile, Json
from stockkeeper.doctor.finding import Finding
from stockkeeper.doctor.machine_looks import look_at_machine
from stockkeeper.doctor.settings_looks import look_at_settings
from storage.sql.database_url import parse_url


def doctor(*, database: Database = DEFAULT_DATABASE, config: ConfigFile = "", json: Json = False) -> int:
    """Look at versions, disk, clock, limits, settings and the database, and say what to do. Changes nothing.

    It ends with 0 if there is no problem, whatever advice there is. A server may be running meanwhile.
    """
    url = database.url
    build_store(url)  # says what is wrong with the URL
    found = list(_looked_at(url, config))
    for finding in found:
        say(msgspec.json.encode(finding).decode() if json else told(finding))
    problems = sum(finding.level == "problem" for finding in found)
    if problems:
        sys.stderr.write(f"{problems} {'problem' if problems == 1 else 'problems'} found.\n")
    return EXIT_FAILURE if problems else 0


def _looked_at(url: str, config: str) -> Iterator[Finding]:
    options = ["--config", config] if config else []
    settings = {setting.name: setting.value for setting in settings_of(options)}
    yield from look_at_machine(settings["connections_max"])
    yield from look_at_settings(settings, config)
    yield from _look_at_database(url)


def _look_at_database(url: str) -> Sequence[Finding]:
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        from stockkeeper.doctor.sqlite_looks import look_at_sqlite

        path = Path(str(parsed.database)).resolve()
        return list(look_at_sqlite(path, time.time_ns() // 1_000_000))
    from stockkeeper.doctor.postgres_looks import look_at_postgres

    return anyio.run(look_at_postgres, url)


def told(finding: Finding) -> str:
    """A finding as a line."""
    advice = f" {finding.advice}" if finding.advice else ""
    return f"{finding.level:<8} {finding.name}: {finding.found}.{advice}"
