"""What the server does, as a message. Refusals are named by the reasons that callers see."""

import re

from stockkeeper_client.v1 import operations_pb2 as pb

from actors.activity import Activity
from rpc.messages.status import REASON_OF_CAUSE

REASONS: dict[str, str] = {
    **{str(cause): reason for cause, reason in REASON_OF_CAUSE.items()},
    "ReservationWasReleased": "RESERVATION_RELEASED",
    "ReservationWasFulfilled": "RESERVATION_FULFILLED",
    "ReservationWasConfirmed": "RESERVATION_CONFIRMED",
    "ShippedAlready": "RESERVATION_PARTLY_FULFILLED",
}
"""Of those whose type is not called as their reason is."""


def reason_of(name: str) -> str:
    """The reason of a kind of refusal."""
    return REASONS.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def activity(view: Activity) -> pb.GetActivityResponse:
    counts: dict[str, int] = {}
    for one in view.refusals:  # two kinds may have one reason
        counts[reason_of(one.name)] = counts.get(reason_of(one.name), 0) + one.count
    return pb.GetActivityResponse(
        last_lsn=view.last_lsn,
        durable_lsn=view.durable_lsn,
        batches=view.batches,
        transactions=view.transactions,
        answers_waiting=view.answers_waiting,
        recent=[pb.WrittenBatch(transactions=one.transactions, commit_us=one.commit_us) for one in view.recent],
        refusals=[
            pb.RefusalCount(reason=reason, count=count)
            for reason, count in sorted(counts.items(), key=lambda item: -item[1])
        ],
    )
