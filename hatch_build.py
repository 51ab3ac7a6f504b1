"""Builds the wheel: the folders of the repository become packages inside of `stockkeeper`.

In the repository the rooms stand at the top, and are imported by their bare names. Installed so, `actors`, `storage` or
`rpc` would hide packages of those names that other people have, or be hidden by them. So the wheel has one top-level
package: `actors/records.py` goes to `stockkeeper/actors/records.py` (`[tool.hatch.build.targets.wheel.sources]` in
pyproject.toml says where each folder goes), and here the imports are rewritten to match. An editable install keeps the
folders as they are.

Turned down: relative imports, whose dots do not say what they name; the rooms as folders of a folder `stockkeeper`, one
more level in every path that a reader of the repository meets; an import hook at run time.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class RoomsHook(BuildHookInterface[Any]):
    """Puts a rewritten copy in the place of each module that names a room."""

    PLUGIN_NAME = "custom"
    _scratch: "TemporaryDirectory[str] | None" = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "standard":
            return  # editable
        self._scratch = TemporaryDirectory()
        root, config = Path(self.root), self.build_config.target_config
        rooms = config["sources"]
        for package in config["packages"]:
            for path in sorted((root / package).rglob("*.py")):
                place = path.relative_to(root).as_posix()
                text = path.read_text(encoding="utf-8")
                rehomed = rehome(text, rooms, root, place)
                if rehomed != text:
                    copy = Path(self._scratch.name, place)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    copy.write_text(rehomed, encoding="utf-8", newline="\n")
                    build_data["force_include"][str(copy)] = _installed(place, rooms)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self._scratch is not None:
            self._scratch.cleanup()


class Edit(NamedTuple):
    """A piece of a line, by its place in bytes, and what takes its place."""

    line: int
    start: int
    end: int
    text: str


def rehome(text: str, rooms: Mapping[str, str], root: Path, place: str) -> str:
    """The text of a module, with rooms named by where they are installed. No line moves.

    Args:
        rooms: where each folder goes, such as `{"actors": "stockkeeper/actors"}`.
        root: of the repository: a text counts as the name of a module if there is one.
        place: the module's own, for people.

    Raises:
        ValueError: an import is written in a way that nothing here knows.
    """
    lines = text.encode().splitlines(keepends=True)
    edits = (edit for node in ast.walk(ast.parse(text)) for edit in _edits(node, lines, rooms, root, place))
    for edit in sorted(edits, reverse=True):
        line = lines[edit.line - 1]
        lines[edit.line - 1] = line[: edit.start] + edit.text.encode() + line[edit.end :]
    return b"".join(lines).decode()


def _edits(node: ast.AST, lines: list[bytes], rooms: Mapping[str, str], root: Path, place: str) -> Iterator[Edit]:
    match node:
        case ast.ImportFrom(module=str(module), level=0) if _room(module) in rooms:
            start = lines[node.lineno - 1].index(module.encode(), node.col_offset)
            yield Edit(node.lineno, start, start + len(module), _renamed(module, rooms))
        case ast.Import(names=names) if any(_room(name.name) in rooms for name in names):
            if len(names) != 1 or node.end_lineno != node.lineno or node.end_col_offset is None:
                raise ValueError(f"{place}:{node.lineno} imports a room among others: give it a line of its own")
            yield Edit(node.lineno, node.col_offset, node.end_col_offset, _import(names[0], rooms))
        case ast.Constant(value=str(value)) if _names_module(value, rooms, root):
            start = lines[node.lineno - 1].index(value.encode(), node.col_offset)
            yield Edit(node.lineno, start, start + len(value), _renamed(value, rooms))


def _import(alias: ast.alias, rooms: Mapping[str, str]) -> str:
    """`import actors.records` binds the name `actors`, and so does what takes its place."""
    renamed = _renamed(alias.name, rooms)
    if alias.asname:
        return f"import {renamed} as {alias.asname}"
    package, _, room = _renamed(_room(alias.name), rooms).rpartition(".")
    return f"import {renamed}; from {package} import {room}"


def _names_module(text: str, rooms: Mapping[str, str], root: Path) -> bool:
    """Whether a text such as `storage.sql:migrations` names a module, perhaps with something in it."""
    if not re.fullmatch(r"[a-z_]+(\.\w+)+(:[\w.]+)?", text) or _room(text) not in rooms:
        return False
    first = root.joinpath(*re.split(r"[.:]", text)[:2])
    return first.is_dir() or first.with_suffix(".py").is_file()


def _room(module: str) -> str:
    return module.partition(".")[0]


def _renamed(module: str, rooms: Mapping[str, str]) -> str:
    room = _room(module)
    return rooms[room].replace("/", ".") + module[len(room) :]


def _installed(place: str, rooms: Mapping[str, str]) -> str:
    room, _, rest = place.partition("/")
    return f"{rooms.get(room, room)}/{rest}"
