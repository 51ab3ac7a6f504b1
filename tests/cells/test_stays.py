"""Histories that move again and again: their places are found, none is taken twice, and the numbers do not run out."""

from dataclasses import dataclass, field
from random import Random

import pytest

from actors.changes import Point
from actors.organization_stays import OPEN_END, Shift, Stay, grown, moved_in, place_here, shift_of

ROOM = 2_000_000
MOVES = 2_000


@dataclass
class Cell:
    """What `storage.sql.organization_tables` keeps, in few lines: where histories have been, and what was numbered."""

    database_id: str
    last_lsn: int = 0
    stays: dict[str, list[Stay]] = field(default_factory=dict)

    def up_to_now(self, organization_id: str) -> list[Stay]:
        known = self.stays.get(organization_id)
        if known is None:
            return [Stay(self.database_id, 0, self.last_lsn, 0, 1, 1)]
        *older, last = known
        assert last.upto_lsn == OPEN_END
        return [*older, Stay(last.database_id, last.from_lsn, self.last_lsn)]

    def receive(self, organization_id: str, stays: list[Stay]) -> Shift:
        of_all = [*stays, *(stay for known in self.stays.values() for stay in known)]
        floor_lsn = min([0, *(stay.from_lsn for stay in of_all if stay.database_id == self.database_id)]) - 1
        came = moved_in(stays, self.database_id, floor_lsn, ROOM)
        later = [*stays[:-1], Stay(stays[-1].database_id, stays[-1].from_lsn, stays[-1].upto_lsn + 5)]
        assert shift_of(later, grown(came, later, self.database_id) or ()) == shift_of(stays, came)
        self.last_lsn += 1  # so that places of two stays differ
        self.stays[organization_id] = [*came, Stay(self.database_id, self.last_lsn, OPEN_END)]
        return shift_of(stays, came)


def test_after_very_many_moves_each_place_is_found_in_its_order_and_there_is_room_for_more() -> None:
    random, cells = Random(7), [Cell(name) for name in "abc"]
    organizations = [f"shop-{number}" for number in range(6)]
    where = {one: cells[number % 3] for number, one in enumerate(organizations)}
    happened: dict[str, list[tuple[str, int, int]]] = {one: [] for one in organizations}  # the LSN of then, and of now
    for _ in range(MOVES):
        for _ in range(random.randint(0, 9)):
            one = random.choice(organizations)
            where[one].last_lsn += 1
            happened[one].append((where[one].database_id, where[one].last_lsn, where[one].last_lsn))
        one = random.choice(organizations)
        source, target = where[one], random.choice([cell for cell in cells if cell is not where[one]])
        shift = target.receive(one, source.up_to_now(one))
        where[one] = target
        happened[one] = [(name, lsn, shift.of(now)) for name, lsn, now in happened[one]]
    taken = set[tuple[str, int]]()
    for one, events in happened.items():
        now = [lsn for _, _, lsn in events]
        assert now == sorted(set(now)), one
        for name, lsn, here in random.sample(events, min(len(events), 200)):
            assert place_here(where[one].stays[one], name, Point(lsn, 3)) == Point(here, 3)
        more = {(where[one].database_id, lsn) for lsn in now}
        assert not more & taken
        taken |= more
    # The sum of all blocks that a cell ever had, each of which has room that was not needed: far from 2 ** 62.
    assert min(lsn for _, lsn in taken) > -(MOVES**2) * ROOM


@pytest.mark.parametrize("lsn", [-21, -20, -10, 500, 510])
def test_the_end_of_what_was_brought_and_the_beginning_of_what_came_after_it_are_different_places(lsn: int) -> None:
    stays = [Stay("a", 0, 10, -20), Stay("b", -21, -10), Stay("b", 500, 510)]
    came = moved_in(stays, "c", -1)
    shift = shift_of(stays, came)
    assert shift.of(500) == shift.of(-10) + 1
    assert place_here(came, "b", Point(lsn)) == Point(shift.of(lsn), Point(lsn).position)
