"""Where organizations are, as far as one router knows.

The map says where an organization is looked for first. What the router has found out goes before it: an organization
stays where it is when the map changes, until it is moved. What is known here may be wrong at any moment, and then the
cell says so (`WrongCell`): to be wrong costs a look at all cells, and nothing else.

Where no cell holds the organization, the one that the map names takes it by a claim, after every cell of the map has
said that it has joined this very map and does not hold it. If one does not answer, or has another map, the router
waits: `supervisor/held_organizations.py` argues why two cells can never hold one organization so.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

from actors.cell_records import CellAnswer, CellRecord
from actors.queries import ClaimOrganization, FindOrganization
from actors.reply import Reply
from actors.unavailable import Unavailable, cell_away, cells_disagree, moving, shutting_down
from cells.cell_map import CellMap
from cells.owner_port import Owner

log = logging.getLogger(__name__)

KNOWN_MAX = 100_000


class WhereaboutsStatistics(NamedTuple):
    """Organizations of which the cell is known, looks at all cells, and claims."""

    known: int
    looks: int
    claims: int


class Whereabouts:
    """Finds the cell of an organization.

    Args:
        look: has the file of the map read again if it has changed, and returns the newest good map.
        first: the map to begin with.
        owner_of: the owner of a cell of the map. Raises `Unavailable`: there is none now.
    """

    def __init__(self, first: CellMap, look: Callable[[], CellMap], owner_of: Callable[[str], Owner]) -> None:
        self._map = first
        self._look = look
        self._owner_of = owner_of
        self._known: dict[str, str] = {}
        self._finding: dict[str, Reply[str]] = {}
        self._looks = self._claims = 0

    def __repr__(self) -> str:
        return f"<Whereabouts {self._map} {self.statistics()}>"

    def statistics(self) -> WhereaboutsStatistics:
        return WhereaboutsStatistics(len(self._known), self._looks, self._claims)

    @property
    def map_version(self) -> int:
        return self._map.version

    def take(self, newer: CellMap) -> None:
        """Go by this map from now on."""
        if newer is not self._map:
            self._map = newer
            self._known.clear()

    def likely(self, organization_id: str) -> str:
        """The cell to ask first."""
        name = self._known.get(organization_id)
        if name is None:
            name = self._map.cell_of(organization_id).name
            self._note(organization_id, name)
        return name

    async def sure(self, organization_id: str) -> str:
        """The cell that holds the organization now. Raises `Unavailable`: it cannot be found out."""
        name = self.likely(organization_id)
        answer = await self._owner_of(name).answer(FindOrganization(organization_id)).wait()
        return name if _holds(answer) else await self.find(organization_id)

    async def find(self, organization_id: str) -> str:
        """The same, of all cells; one that no cell holds is claimed. Those that look for one organization look once."""
        under_way = self._finding.get(organization_id)
        if under_way is not None:
            return await under_way.wait()
        finding: Reply[str] = Reply()
        self._finding[organization_id] = finding
        try:
            finding.set(await self._find(organization_id))
        except Exception as error:  # noqa: BLE001 - it is for all who wait
            finding.fail(error)
        finally:
            del self._finding[organization_id]
            if not finding.is_done:
                finding.fail(shutting_down())
        self._note(organization_id, finding.result())
        return finding.result()

    async def _find(self, organization_id: str) -> str:
        self.take(self._look())
        there = self._map
        self._looks += 1
        answers = await self._ask_all(there, organization_id)
        holders = [name for name, answer in answers.items() if _holds(answer)]
        if len(holders) > 1:  # two databases of before had it: no claim does that
            log.error("organization_in_two_cells", extra={"organization_id": organization_id, "cells": holders})
        if holders:
            return holders[0]
        if len(answers) < len(there.cells):
            raise cell_away()
        if any(answer.held is not None for answer in answers.values()):
            raise moving()  # it is gone from one, and has not arrived
        if any(not _has_joined(answer, name, there) for name, answer in answers.items()):
            raise cells_disagree()
        return await self._claim(there, organization_id)

    async def _ask_all(self, there: CellMap, organization_id: str) -> dict[str, CellAnswer]:
        """What each cell says, beginning with the one that the map names; those that say nothing are left out."""
        home = there.cell_of(organization_id).name
        asked: dict[str, Reply[CellAnswer]] = {}
        answers: dict[str, CellAnswer] = {}
        for name in (home, *(name for name in there.cells if name != home)):
            try:
                asked[name] = self._owner_of(name).answer(FindOrganization(organization_id))
            except Unavailable:
                continue
        for name, reply in asked.items():
            try:
                answers[name] = await reply.wait()
            except Unavailable:
                continue
        return answers

    async def _claim(self, there: CellMap, organization_id: str) -> str:
        home = there.cell_of(organization_id).name
        query = ClaimOrganization(organization_id, there.version, there.digest)
        answer = await self._owner_of(home).answer(query).wait()
        if not _holds(answer):
            raise cells_disagree()  # it has joined another map since
        self._claims += 1
        return home

    def _note(self, organization_id: str, name: str) -> None:
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        self._known[organization_id] = name


def _holds(answer: CellAnswer) -> bool:
    return answer.held is not None and answer.held.state != "gone"


def _has_joined(answer: CellAnswer, name: str, there: CellMap) -> bool:
    return answer.cell == CellRecord(name, there.version, there.digest)
