"""A broken guarantee."""

from msgspec import Struct

SENTENCES = {
    "G1": "no oversell",
    "G2": "all or nothing",
    "G3": "what was acknowledged survives",
    "G4": "the history is linearizable in the order of the journal",
    "G5": "no false refusal",
    "G6": "a retry gets the same answer",
    "G7": "time limits hold",
    "G8": "the ledger adds up",
    "G9": "one owner",
    "G10": "every call ends",
    "G11": "organizations are apart",
}


class GuaranteeViolation(Struct, frozen=True):
    """Which guarantee of the design was broken, and how.

    Args:
        guarantee: G1 to G11, or in words where it is none of them.
        sentence: what happened.
        lsn: the entry of the journal that it is about; 0: none.
        operation: the number of the operation that it is about; -1: none.
    """

    guarantee: str
    sentence: str
    lsn: int = 0
    operation: int = -1

    def __str__(self) -> str:
        name = f"{self.guarantee} ({SENTENCES[self.guarantee]})" if self.guarantee in SENTENCES else self.guarantee
        return f"{name}: {self.sentence}"
