"""What is said of an import that several cells have decided, each by itself.

The contract's answer is one. Where all cells have imported their lines it is their sum, and says which cell has done
what. Where one has not, it is that cell's refusal, so that a caller that knows nothing of cells never takes a part for
the whole. It names the cells that have imported theirs.
"""

from collections.abc import Sequence
from typing import NamedTuple

from actors.cell_records import CellImported
from actors.outcomes import ImportRejected, Refused, RefusedLine, StockImported
from actors.unavailable import Unavailable, partly_imported

LINES_NAMED_MAX = 1_000
ORGANIZATIONS_NAMED_MAX = 100


class CellOutcome(NamedTuple):
    """What one cell has said."""

    cell: str
    said: StockImported | Exception


def merged(outcomes: Sequence[CellOutcome]) -> StockImported:
    """The one answer.

    Raises:
        Unavailable: a cell could not decide; the same again, under the same request id, changes nothing twice.
        Refused: a cell has refused.
    """
    imported = tuple(_told(one.cell, one.said) for one in outcomes if isinstance(one.said, StockImported))
    done = tuple(sorted({one.cell for one in imported}))
    failures = [one for one in outcomes if isinstance(one.said, Exception)]
    if not failures:
        return _sum(outcomes, imported)
    rejected = [one for one in failures if _rejection(one.said) is not None]
    undecided = [one for one in failures if one not in rejected]
    if undecided:
        raise _undecided(undecided[0], done)
    if len(outcomes) == 1:
        raise _error(outcomes[0])
    raise Refused(_all_bad_lines(rejected, done))


def _sum(outcomes: Sequence[CellOutcome], imported: tuple[CellImported, ...]) -> StockImported:
    facts = [one.said for one in outcomes if isinstance(one.said, StockImported)]
    if len(facts) == 1:
        return facts[0]
    new = [name for fact in facts for name in fact.new_organizations]
    return StockImported(
        sum(fact.lines for fact in facts),
        sum(fact.rows_created for fact in facts),
        sum(fact.rows_changed for fact in facts),
        sum(fact.rows_unchanged for fact in facts),
        tuple(sorted(new)[:ORGANIZATIONS_NAMED_MAX]),
        imported,
    )


def _told(cell: str, fact: StockImported) -> CellImported:
    return CellImported(cell, fact.lines, fact.rows_created, fact.rows_changed, fact.rows_unchanged)


def _undecided(one: CellOutcome, done: Sequence[str]) -> Exception:
    error = _error(one)
    return partly_imported(one.cell, done, error) if done and isinstance(error, Unavailable) else error


def _all_bad_lines(rejected: Sequence[CellOutcome], done: tuple[str, ...]) -> ImportRejected:
    refusals = [refusal for one in rejected if (refusal := _rejection(one.said)) is not None]
    bad: list[RefusedLine] = sorted((line for refusal in refusals for line in refusal.errors), key=_place)
    total = sum(refusal.errors_total for refusal in refusals)
    return ImportRejected(tuple(bad[:LINES_NAMED_MAX]), total, done)


def _rejection(said: object) -> ImportRejected | None:
    return said.refusal if isinstance(said, Refused) and isinstance(said.refusal, ImportRejected) else None


def _place(line: RefusedLine) -> int:
    return line.line_number


def _error(one: CellOutcome) -> Exception:
    assert isinstance(one.said, Exception), one
    return one.said
