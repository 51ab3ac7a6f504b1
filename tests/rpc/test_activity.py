"""Refusals are counted by the reasons that callers see."""

from typing import get_args

import pytest

from actors.activity import Activity, CountedRefusal, WrittenBatch
from actors.outcomes import AdjustmentsRefused, Refusal, Refused, RefusedAdjustment
from actors.records import StockRecord
from rpc.messages.activity_messages import activity
from rpc.messages.problems import describe
from supervisor.refusal_counts import RefusalCounts
from tests.rpc.test_errors import CASES

REFUSALS = [case[0] for case in CASES if isinstance(case[0], get_args(Refusal))]


def counted(*errors: Exception) -> dict[str, int]:
    counts = RefusalCounts()
    for error in errors:
        counts.note(error)
    view = Activity(7, 6, 2, 7, 1, (WrittenBatch(3, 800),), counts.most_frequent())
    return {one.reason: one.count for one in activity(view).refusals}


@pytest.mark.parametrize("refusal", REFUSALS, ids=[type(one).__name__ for one in REFUSALS])
def test_a_refusal_counts_under_the_reason_that_its_caller_sees(refusal: Refusal) -> None:
    problem = describe(Refused(refusal))
    assert problem is not None
    assert counted(Refused(refusal), Refused(refusal), ValueError()) == {problem.reason: 2}


def test_adjustments_count_by_their_first_cause_and_the_most_frequent_come_first() -> None:
    record = StockRecord("org", "a", "w", "s", version=1)
    stale = AdjustmentsRefused((RefusedAdjustment("stale", record, 1), RefusedAdjustment("too_large", record, 1)))
    few = AdjustmentsRefused((RefusedAdjustment("insufficient", record, 1),))
    short = next(one for one in REFUSALS if type(one).__name__ == "InsufficientStock")
    found = counted(Refused(stale), Refused(few), Refused(short))
    assert list(found.items()) == [("INSUFFICIENT_STOCK", 2), ("COUNT_IS_STALE", 1)]
    assert activity(Activity(7, 6, 2, 7, 1, (WrittenBatch(3, 800),), (CountedRefusal("stale", 1),))).recent[0].commit_us
