"""The file of the map, read again when it changes.

A file that cannot be used leaves the last map in place, and so does one that is older, or that places organizations
otherwise under the version that was read before: with two maps of one version no process could tell which is newer.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cells.cell_map import CellMap, CellMapError, parse_map

log = logging.getLogger(__name__)

Look = tuple[int, int, int]
"""What changes when a file is written or replaced."""


class MapFileStatistics(NamedTuple):
    """How often a file that had changed was taken, and how often it could not be used."""

    reloads: int
    reloads_failed: int


class MapFile:
    """The newest good map of a file.

    Args:
        path: is read at once.
        look_at: tells whether a file has changed.

    Raises:
        CellMapError: it cannot be used.
    """

    def __init__(self, path: str, look_at: Callable[[str], Look]) -> None:
        self._path = path
        self._look_at = look_at
        self._seen = look_at(path)  # before it is read: what is written meanwhile is seen by the next look
        self.current = read_map(path)
        self._reloads = self._reloads_failed = 0

    def __repr__(self) -> str:
        return f"<MapFile {self._path} {self.current}>"

    def statistics(self) -> MapFileStatistics:
        return MapFileStatistics(self._reloads, self._reloads_failed)

    def look(self) -> bool:
        """Read the file again if it has changed. Returns whether there is another map now."""
        seen = self._look_at(self._path)
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            found = read_map(self._path)
            check_follows(self.current, found, self._path)
        except CellMapError as error:
            self._reloads_failed += 1
            log.error("cells_map_not_reloaded", extra={"reason": str(error)})
            return False
        self._reloads += 1
        self.current = found
        log.info("cells_map_reloaded", extra={"version": found.version, "cells": len(found.cells)})
        return True


def read_map(path: str) -> CellMap:
    """The map in a file.

    Raises:
        CellMapError: it cannot be read, or says something that is not understood.
    """
    try:
        return parse_map(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise CellMapError(f"The map {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CellMapError(f"The map {path} is not UTF-8.") from None
    except CellMapError as error:
        raise CellMapError(f"The map {path} {error}.") from None


def check_follows(known: CellMap, found: CellMap, path: str) -> None:
    """See that a map may take the place of another.

    Raises:
        CellMapError: it is older, or another one of the same version.
    """
    if found.version < known.version:
        raise CellMapError(f"The map {path} has version {found.version}, and version {known.version} is known already.")
    if found.version == known.version and found.digest != known.digest:
        raise CellMapError(
            f"The map {path} places organizations otherwise than before, and still has version {found.version}."
        )
