"""Whether the tables agree with each other: conservation, the ledger's chain, and reservations against `reserved`.

Plain SQL over one connection, in one transaction, so that it sees one moment of a database that is in use. Each
check names its first disagreement. It looks at all rows and is meant for an operator, not for the path of a
request.
"""

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Connection, text


class Disagreement(Struct, frozen=True):
    """Two things in the database that contradict each other."""

    check: str
    sentence: str


class Audit(Struct, frozen=True):
    """What was looked at, and the first disagreement of each check that found one."""

    stock_rows: int
    movements: int
    reservations: int
    disagreements: tuple[Disagreement, ...]

    @property
    def summary(self) -> str:
        return f"{self.stock_rows} stock rows, {self.movements} movements, {self.reservations} reservations"


class _Check(Struct, frozen=True):
    """A query that returns contradictions, and the sentence for its first row."""

    name: str
    query: str
    sentence: str


_QUANTITIES = ("available", "reserved", "damaged", "in_transit")
_ROW = "organization_id, variant_id, warehouse_id"

_CHECKS: Sequence[_Check] = (
    _Check(
        "quantities",
        f"SELECT {_ROW}, total, available, reserved, damaged, in_transit FROM stock"
        " WHERE available < 0 OR reserved < 0 OR damaged < 0 OR in_transit < 0"
        " OR total <> available + reserved + damaged + in_transit",
        "{0}/{1}@{2} has total {3}, but {4} available, {5} reserved, {6} damaged and {7} in transit",
    ),
    *(
        _Check(
            f"ledger chain, {quantity}",
            f"SELECT {_ROW}, lsn, before, last_after FROM ("
            f" SELECT {_ROW}, lsn, {quantity}_before AS before,"
            f" lag({quantity}_after, 1, 0) OVER (PARTITION BY {_ROW} ORDER BY lsn, position) AS last_after"
            " FROM stock_movement) AS chain WHERE before <> last_after ORDER BY lsn",
            f"{{0}}/{{1}}@{{2}}: LSN {{3}} begins at {{4}} {quantity}, but the movement before it ended at {{5}}",
        )
        for quantity in _QUANTITIES
    ),
    *(
        _Check(
            f"conservation, {quantity}",
            f"SELECT s.organization_id, s.variant_id, s.warehouse_id, s.{quantity}, m.moved FROM stock s LEFT JOIN ("
            f" SELECT {_ROW}, sum({quantity}_after - {quantity}_before) AS moved FROM stock_movement GROUP BY {_ROW}"
            f") m USING ({_ROW}) WHERE s.{quantity} <> coalesce(m.moved, 0)",
            f"{{0}}/{{1}}@{{2}} has {{3}} {quantity}, but its movements add up to {{4}}",
        )
        for quantity in _QUANTITIES
    ),
    _Check(
        "movements of unknown rows",
        f"SELECT m.organization_id, m.variant_id, m.warehouse_id, m.lsn FROM stock_movement m"
        f" LEFT JOIN stock s USING ({_ROW}) WHERE s.stock_id IS NULL ORDER BY m.lsn",
        "{0}/{1}@{2} does not exist, but LSN {3} moved it",
    ),
    _Check(
        "reservations",
        f"SELECT {_ROW}, reserved, held FROM ("
        f" SELECT s.organization_id, s.variant_id, s.warehouse_id, s.reserved, coalesce(h.held, 0) AS held FROM stock s"
        f" LEFT JOIN (SELECT i.organization_id, i.variant_id, i.warehouse_id, sum(i.quantity) AS held"
        f" FROM reservation_item i JOIN reservation r USING (organization_id, reservation_id)"
        f" WHERE r.state IN ('active', 'confirmed') GROUP BY 1, 2, 3) h USING ({_ROW})) AS both_sides"
        f" WHERE reserved <> held",
        "{0}/{1}@{2} has {3} reserved, but its active and confirmed reservations hold {4}",
    ),
    _Check(
        "items of unknown rows",
        f"SELECT i.organization_id, i.variant_id, i.warehouse_id, i.reservation_id FROM reservation_item i"
        f" LEFT JOIN stock s USING ({_ROW}) WHERE s.stock_id IS NULL",
        "{0}/{1}@{2} does not exist, but reservation {3} has an item there",
    ),
    _Check(
        "end of the journal",
        "SELECT o.last_lsn, m.lsn FROM ownership o, (SELECT max(lsn) AS lsn FROM stock_movement) m"
        " WHERE m.lsn > o.last_lsn",
        "the journal ends at LSN {0}, but there is a movement of LSN {1}",
    ),
)


def audit(connection: Connection) -> Audit:
    """Run every check. The connection's transaction must see one moment; nothing is written."""
    disagreements = []
    for check in _CHECKS:
        row = connection.execute(text(f"{check.query} LIMIT 1")).first()
        if row is not None:
            disagreements.append(Disagreement(check.name, check.sentence.format(*row)))
    stock_rows, movements, reservations = (
        int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
        for table in ("stock", "stock_movement", "reservation")
    )
    return Audit(stock_rows, movements, reservations, tuple(disagreements))
