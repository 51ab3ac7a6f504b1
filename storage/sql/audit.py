"""Whether the tables agree with each other: conservation, the ledger's chain, and reservations against `reserved`.

Plain SQL over one connection, in one transaction, so that it sees one moment of a database that is in use
(`storage.sql.snapshot`). Each check names its first disagreement. It looks at all rows and is meant for an operator,
not for the path of a request.

Where housekeeping has moved movements out, a row's ledger begins at its opening balance instead of at nothing, and
what the archive still has must lead up to that balance. The archive may have been emptied: it is its operator's.
"""

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Connection, text

from storage.sql.schema_check import missing_indexes
from storage.sql.schema_upkeep import check_schema


class Disagreement(Struct, frozen=True):
    """Two things in the database that contradict each other."""

    check: str
    sentence: str


class Audit(Struct, frozen=True):
    """What was looked at, and the first disagreement of each check that found one."""

    stock_rows: int
    movements: int
    reservations: int
    archived_movements: int
    archived_reservations: int
    disagreements: tuple[Disagreement, ...]

    @property
    def summary(self) -> str:
        seen = f"{self.stock_rows} stock rows, {self.movements} movements, {self.reservations} reservations"
        if self.archived_movements or self.archived_reservations:
            seen += f"; archived: {self.archived_movements} movements, {self.archived_reservations} reservations"
        return seen


class _Check(Struct, frozen=True):
    """A query that returns contradictions, and the sentence for its first row."""

    name: str
    query: str
    sentence: str


_QUANTITIES = ("available", "reserved", "damaged", "in_transit")
_ROW = "organization_id, variant_id, warehouse_id"
_ITEM_ROW = "i.organization_id, i.variant_id, i.warehouse_id"
_MOVED_ROW = "m.organization_id, m.variant_id, m.warehouse_id"

_IN_ROW_ORDER = f"OVER (PARTITION BY {_ROW} ORDER BY lsn, position)"

_STOCK: Sequence[_Check] = (
    _Check(
        "quantities",
        f"SELECT {_ROW}, total, available, reserved, damaged, in_transit FROM stock"
        " WHERE available < 0 OR reserved < 0 OR damaged < 0 OR in_transit < 0"
        " OR total <> available + reserved + damaged + in_transit",
        "{0}/{1}@{2} has total {3}, but {4} available, {5} reserved, {6} damaged and {7} in transit",
    ),
    *(
        _Check(
            f"conservation, {quantity}",
            f"SELECT {_ROW}, s.{quantity}, coalesce(o.{quantity}, 0) + coalesce(m.moved, 0)"
            f" FROM stock s LEFT JOIN stock_opening o USING ({_ROW}) LEFT JOIN ("
            f" SELECT {_ROW}, sum({quantity}_after - {quantity}_before) AS moved FROM stock_movement GROUP BY {_ROW}"
            f") m USING ({_ROW}) WHERE s.{quantity} <> coalesce(o.{quantity}, 0) + coalesce(m.moved, 0)",
            f"{{0}}/{{1}}@{{2}} has {{3}} {quantity}, but its movements add up to {{4}}",
        )
        for quantity in _QUANTITIES
    ),
)

_LEDGER: Sequence[_Check] = (
    *(
        _Check(
            f"ledger chain, {quantity}",
            f"SELECT {_ROW}, lsn, before, last_after FROM ("
            f" SELECT {_ROW}, m.lsn, {quantity}_before AS before, coalesce(last_after, o.{quantity}, 0) AS last_after"
            f" FROM (SELECT *, lag({quantity}_after) {_IN_ROW_ORDER} AS last_after FROM stock_movement) AS m"
            f" LEFT JOIN stock_opening o USING ({_ROW})) AS chain WHERE before <> last_after ORDER BY lsn",
            f"{{0}}/{{1}}@{{2}}: LSN {{3}} begins at {{4}} {quantity}, but the movement before it ended at {{5}}",
        )
        for quantity in _QUANTITIES
    ),
    *(
        _Check(
            f"movements of {which} rows",
            f"SELECT {_ROW}, m.lsn FROM ("
            f" SELECT *, row_number() OVER (PARTITION BY {_ROW} ORDER BY lsn DESC, position DESC) AS newest"
            f" FROM stock_movement) AS m LEFT JOIN stock s USING ({_ROW}) WHERE newest = 1 AND {where} ORDER BY m.lsn",
            f"{{0}}/{{1}}@{{2}} {sentence}",
        )
        for which, where, sentence in (
            ("unknown", "s.stock_id IS NULL AND m.kind <> 'delete'", "does not exist, but LSN {3} moved it"),
            ("deleted", "s.stock_id IS NOT NULL AND m.kind = 'delete'", "was deleted by LSN {3}, but is there"),
        )
    ),
    _Check(
        "deletions of empty rows",
        f"SELECT {_ROW}, lsn FROM stock_movement WHERE kind = 'delete'"
        f" AND ({' OR '.join(f'{q}_before <> 0 OR {q}_after <> 0' for q in _QUANTITIES)}) ORDER BY lsn",
        "{0}/{1}@{2} was not empty when LSN {3} deleted it",
    ),
    _Check(
        "end of the journal",
        "SELECT o.last_lsn, newest.lsn FROM ownership o, (SELECT max(lsn) AS lsn FROM ("
        " SELECT max(lsn) AS lsn FROM stock_movement UNION ALL SELECT max(lsn) FROM reservation"
        " UNION ALL SELECT max(lsn) FROM request"
        " UNION ALL SELECT max(lsn) FROM journal_entry) AS each_table) AS newest WHERE newest.lsn > o.last_lsn",
        "the journal ends at LSN {0}, but there is a record of LSN {1}",
    ),
)

_ENTRIES: Sequence[_Check] = (
    _Check(
        "gaps of the journal",
        "SELECT lsn, last FROM (SELECT lsn, lag(lsn) OVER (ORDER BY lsn) AS last FROM ("
        " SELECT lsn FROM journal_entry UNION SELECT lsn FROM journal_entry_archive) AS every"
        " WHERE lsn >= (SELECT entries_from_lsn FROM ownership)) AS pairs"
        " WHERE lsn > last + 1 ORDER BY lsn",
        "LSN {0} of the journal follows LSN {1}",
    ),
    _Check(
        "last entry of the journal",
        "SELECT last_lsn, newest FROM ownership, (SELECT max(lsn) AS newest FROM journal_entry) AS entries"
        " WHERE last_lsn >= entries_from_lsn AND newest < last_lsn",
        "the journal ends at LSN {0}, but its last entry is of LSN {1}",
    ),
    _Check(
        "movements without entries",
        f"SELECT {_MOVED_ROW}, m.lsn FROM stock_movement m LEFT JOIN journal_entry e"
        " ON e.lsn = m.lsn AND e.organization_id = m.organization_id"
        " WHERE e.lsn IS NULL OR e.kind <> m.kind OR e.reservation_id <> m.reservation_id ORDER BY m.lsn",
        "{0}/{1}@{2} was moved by LSN {3}, of which the journal says nothing or something else",
    ),
    _Check(
        "reservations and the journal",
        "SELECT r.organization_id, r.reservation_id, r.state, e.lsn, e.state FROM ("
        " SELECT *, row_number() OVER (PARTITION BY organization_id, reservation_id ORDER BY lsn DESC) AS newest"
        " FROM journal_entry WHERE reservation_id <> '') AS e"
        " JOIN reservation r USING (organization_id, reservation_id)"
        " WHERE newest = 1 AND e.lsn >= (SELECT entries_from_lsn FROM ownership)"
        " AND (e.state <> r.state OR e.expires_at <> r.expires_at) ORDER BY e.lsn",
        "reservation {1} of {0} is {2}, but LSN {3} left it {4}, or with another time limit",
    ),
)

_RESERVATIONS: Sequence[_Check] = (
    _Check(
        "reservations",
        f"SELECT {_ROW}, reserved, held FROM ("
        f" SELECT {_ROW}, s.reserved, coalesce(h.held, 0) AS held FROM stock s"
        f" LEFT JOIN (SELECT i.organization_id, i.variant_id, i.warehouse_id, sum(i.quantity - i.fulfilled) AS held"
        f" FROM reservation_item i JOIN reservation r USING (organization_id, reservation_id)"
        f" WHERE r.state IN ('active', 'confirmed') GROUP BY 1, 2, 3) h USING ({_ROW})) AS both_sides"
        f" WHERE reserved <> held",
        "{0}/{1}@{2} has {3} reserved, but its active and confirmed reservations hold {4}",
    ),
    _Check(
        "items of unknown rows",
        f"SELECT {_ITEM_ROW}, i.reservation_id FROM reservation_item i"
        f" JOIN reservation r USING (organization_id, reservation_id) LEFT JOIN stock s USING ({_ROW})"
        " WHERE s.stock_id IS NULL AND r.state IN ('active', 'confirmed') AND i.fulfilled < i.quantity",
        "{0}/{1}@{2} does not exist, but reservation {3} has an item there",
    ),
    *(
        check
        for suffix, where in (("", ""), ("_archive", " in the archive"))
        for check in (
            _Check(
                f"items of unknown reservations{where}",
                f"SELECT organization_id, reservation_id FROM reservation_item{suffix} i"
                f" LEFT JOIN reservation{suffix} r USING (organization_id, reservation_id) WHERE r.state IS NULL",
                f"{{0}} has no reservation {{1}}{where}, but there are items of it",
            ),
            _Check(
                f"reservations without items{where}",
                f"SELECT organization_id, reservation_id FROM reservation{suffix} r"
                f" LEFT JOIN reservation_item{suffix} i USING (organization_id, reservation_id) WHERE i.line IS NULL",
                f"reservation {{1}} of {{0}}{where} has no items",
            ),
        )
    ),
    _Check(
        "reservations without movements",
        "SELECT r.organization_id, r.reservation_id, r.lsn FROM reservation r"
        " LEFT JOIN stock_movement m ON m.lsn = r.lsn AND m.reservation_id = r.reservation_id WHERE m.lsn IS NULL"
        " AND r.lsn > (SELECT coalesce(max(lsn), 0) FROM stock_opening) ORDER BY r.lsn",
        "reservation {1} of {0} was made by LSN {2}, which moved nothing for it",
    ),
    _Check(
        "orders of movements",
        f"SELECT {_MOVED_ROW}, m.lsn, m.order_id, m.reservation_id, r.order_id FROM stock_movement m"
        " JOIN reservation r USING (organization_id, reservation_id) WHERE m.order_id <> r.order_id ORDER BY m.lsn",
        "{0}/{1}@{2}: LSN {3} is of order {4}, but its reservation {5} is of order {6}",
    ),
)

_OF_TRANSFER = "transfer t LEFT JOIN transfer_line l USING (organization_id, transfer_id)"

_TRANSFERS: Sequence[_Check] = (
    _Check(
        "transfers without lines",
        f"SELECT organization_id, transfer_id FROM {_OF_TRANSFER} WHERE l.line IS NULL",
        "transfer {1} of {0} has no lines",
    ),
    _Check(
        "lines of unknown transfers",
        "SELECT organization_id, transfer_id FROM transfer_line l"
        " LEFT JOIN transfer t USING (organization_id, transfer_id) WHERE t.state IS NULL",
        "{0} has no transfer {1}, but there are lines of it",
    ),
    _Check(
        "transfers and what is open of them",
        "SELECT organization_id, transfer_id, state, open FROM ("
        " SELECT organization_id, transfer_id, t.state, sum(l.sent - l.received - l.damaged - l.missing) AS open"
        f" FROM {_OF_TRANSFER} GROUP BY organization_id, transfer_id, t.state) AS each_one"
        " WHERE (state = 'received' AND open <> 0) OR (state <> 'received' AND open = 0)",
        "transfer {1} of {0} is {2}, and {3} pieces of it are open",
    ),
    _Check(
        "transfers and the journal",
        "SELECT t.organization_id, t.transfer_id, t.state, e.lsn, e.kind FROM transfer t"
        " JOIN journal_entry e ON e.lsn = t.lsn AND e.organization_id = t.organization_id"
        " WHERE CASE t.state WHEN 'received' THEN e.kind <> 'receive_transfer'"
        " WHEN 'cancelled' THEN e.kind <> 'cancel_transfer'"
        " ELSE e.kind NOT IN ('ship_transfer', 'receive_transfer') END ORDER BY e.lsn",
        "transfer {1} of {0} is {2}, but LSN {3} left it so as a {4}",
    ),
)

_ARCHIVE: Sequence[_Check] = (
    *(
        _Check(
            f"archived chain, {quantity}",
            f"SELECT {_ROW}, lsn, {quantity}_before, last_after FROM ("
            f" SELECT *, lag({quantity}_after) {_IN_ROW_ORDER} AS last_after FROM stock_movement_archive) AS chain"
            f" WHERE {quantity}_before <> last_after ORDER BY lsn",
            f"{{0}}/{{1}}@{{2}}: LSN {{3}} in the archive begins at {{4}} {quantity},"
            " but the movement before it ended at {5}",
        )
        for quantity in _QUANTITIES
    ),
    _Check(
        "opening balances",
        f"SELECT {_ROW}, {', '.join(f'm.{q}_after' for q in _QUANTITIES)}, m.lsn,"
        f" {', '.join(f'o.{q}' for q in _QUANTITIES)}, o.lsn"
        f" FROM (SELECT *, row_number() OVER (PARTITION BY {_ROW} ORDER BY lsn DESC, position DESC) AS newest"
        f" FROM stock_movement_archive) m LEFT JOIN stock_opening o USING ({_ROW}) WHERE newest = 1"
        f" AND (o.lsn IS NULL OR m.lsn <> o.lsn OR {' OR '.join(f'm.{q}_after <> o.{q}' for q in _QUANTITIES)})",
        "{0}/{1}@{2}: the archive ends with {3} available, {4} reserved, {5} damaged and {6} in transit at LSN {7},"
        " but the ledger opens with {8}, {9}, {10} and {11} at LSN {12}",
    ),
    _Check(
        "movements before the opening",
        f"SELECT {_ROW}, m.lsn, o.lsn FROM stock_movement m JOIN stock_opening o USING ({_ROW})"
        " WHERE m.lsn <= o.lsn ORDER BY m.lsn",
        "{0}/{1}@{2}: LSN {3} is in the ledger, which opens after LSN {4}",
    ),
    _Check(
        "openings of unknown rows",
        # A row that was deleted is allowed one: either its deletion is in the ledger, or nothing is and it opens empty.
        f"SELECT {_ROW}, o.lsn FROM stock_opening o LEFT JOIN stock s USING ({_ROW}) LEFT JOIN ("
        f" SELECT {_ROW}, max(CASE kind WHEN 'delete' THEN 1 ELSE 0 END) AS deletions FROM stock_movement"
        f" GROUP BY {_ROW}) AS m USING ({_ROW}) WHERE s.stock_id IS NULL AND coalesce(m.deletions, 0) = 0"
        f" AND (m.deletions = 0 OR {' OR '.join(f'o.{q} <> 0' for q in _QUANTITIES)})",
        "{0}/{1}@{2} does not exist, but its ledger opens after LSN {3}",
    ),
    _Check(
        "archived reservations",
        "SELECT a.organization_id, a.reservation_id, a.state FROM reservation_archive a LEFT JOIN reservation r"
        " USING (organization_id, reservation_id)"
        " WHERE r.state IS NOT NULL OR a.state NOT IN ('fulfilled', 'released', 'expired')",
        "reservation {1} of {0} is in the archive as {2}, though it is not over or still among the others",
    ),
)


CHECKS = (*_STOCK, *_LEDGER, *_ENTRIES, *_RESERVATIONS, *_TRANSFERS, *_ARCHIVE)

COUNTED = ("stock", "stock_movement", "reservation", "stock_movement_archive", "reservation_archive")


def audit(connection: Connection) -> Audit:
    """Run every check. The connection's transaction must see one moment; nothing is written.

    Raises:
        SchemaTooNew, SchemaTooOld: the tables are not those of this program.
    """
    check_schema(connection)
    disagreements = [
        Disagreement("indexes", f"the index {index.name} is missing: the next start of a server makes it anew")
        for index in missing_indexes(connection)[:1]
    ]
    for check in CHECKS:
        row = connection.execute(text(f"{check.query} LIMIT 1")).first()
        if row is not None:
            disagreements.append(Disagreement(check.name, check.sentence.format(*row)))
    stock_rows, movements, reservations, archived_movements, archived_reservations = (
        int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()) for table in COUNTED
    )
    return Audit(stock_rows, movements, reservations, archived_movements, archived_reservations, tuple(disagreements))
