"""What a relay makes faster than the libraries do is what they make."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import pytest

from events.envelope import answer_id, fact_id, moment

NAMESPACE = UUID("5b1f0f5e-2d0c-5c33-9f0e-6a6f5d1b7a10")  # for ever: ids of what was published follow from it


def test_an_id_is_a_uuid_of_its_place() -> None:
    for number in range(200):
        place = f"{number}/0/ínventory"
        assert fact_id("d", place) == str(uuid5(NAMESPACE, f"d/{place}"))
    assert answer_id("e", "x") == str(uuid5(NAMESPACE, "answer/e/x"))


@pytest.mark.parametrize("at_ms", [0, 999, 1_000, 1_790_000_000_123, 1_790_000_000_007, 253_402_300_799_999])
def test_a_moment_is_in_utc_to_the_millisecond(at_ms: int) -> None:
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    assert moment(at_ms) == expected.isoformat(timespec="milliseconds").replace("+00:00", "Z")
