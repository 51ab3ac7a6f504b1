"""Everything that passes events on or does them is killed in turn: `tests/events/kills.py`, in full."""

import pytest

from tests.events.kills import MANY, run
from tests.events.real_brokers import HOW_TO_GET_RABBIT, RABBIT, running_broker
from tests.torture.scenario import Database, Finding

PAUSE_S = 3.0  # between two kills, at most


async def events_survive_kills_on_rabbitmq(database: Database, rounds: int, finding: Finding) -> None:
    """With the broker that Debian has."""
    if not RABBIT.exists():
        pytest.skip(HOW_TO_GET_RABBIT)
    await _survive("rabbit", database, rounds, finding)


async def events_survive_kills_on_nats(database: Database, rounds: int, finding: Finding) -> None:
    """With the one of PyPI."""
    await _survive("nats", database, rounds, finding)


async def _survive(kind: str, database: Database, rounds: int, finding: Finding) -> None:
    for number in range(rounds):
        home = database.directory / str(number)
        home.mkdir()
        with running_broker(kind, home / "broker") as broker:
            heard = await run(kind, home, broker, MANY, PAUSE_S)
        finding.notes.append(f"{len(heard.events):,} events, {heard.repeated:,} of them heard again")
        finding.problems += await Database(home).audit()
        finding.rounds += 1
