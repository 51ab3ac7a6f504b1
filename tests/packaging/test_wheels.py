"""What the wheels hold: one top-level package each, and no import that the repository's folders alone would serve."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from hatch_build import rehome
from tests.packaging.environments import ROOT

_NAMES = ("actors", "cells", "storage", "supervisor", "rpc", "events", "simulation")
ROOMS = {name: f"stockkeeper/{name}" for name in _NAMES}


def the_wheel(wheels: Path, distribution: str) -> ZipFile:
    [path] = wheels.glob(f"{distribution}-[0-9]*.whl")
    return ZipFile(path)


def modules(wheel: ZipFile) -> Iterator[tuple[str, ast.Module]]:
    for name in wheel.namelist():
        if name.endswith(".py"):
            yield name, ast.parse(wheel.read(name), name)


@pytest.mark.parametrize("distribution", ["stockkeeper", "stockkeeper_client"])
def test_a_wheel_installs_one_top_level_package(wheels: Path, distribution: str) -> None:
    tops = {name.partition("/")[0] for name in the_wheel(wheels, distribution).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {distribution}


def test_no_module_of_the_wheel_imports_a_bare_room(wheels: Path) -> None:
    for name, module in modules(the_wheel(wheels, "stockkeeper")):
        for node in ast.walk(module):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                imported = [node.module or ""]
            assert not {it.partition(".")[0] for it in imported} & {*ROOMS, "inventory"}, f"{name}: {ast.unparse(node)}"


def test_no_text_of_the_wheel_names_a_module_by_a_bare_room(wheels: Path) -> None:
    bare = re.compile(rf"(?!rpc\.(system|response)\.)({'|'.join(ROOMS)})(\.\w+)+[:.]\w+")  # but OpenTelemetry's names
    for name, module in modules(the_wheel(wheels, "stockkeeper")):
        texts = [node.value for node in ast.walk(module) if isinstance(node, ast.Constant)]
        assert not [text for text in texts if isinstance(text, str) and bare.fullmatch(text)], name


def test_the_wheel_holds_every_file_of_the_rooms(wheels: Path) -> None:
    installed = {name for name in the_wheel(wheels, "stockkeeper").namelist() if ".dist-info/" not in name}
    expected = {
        f"{'stockkeeper/' if room in ROOMS else ''}{path.relative_to(ROOT).as_posix()}"
        for room in (*ROOMS, "stockkeeper")
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert installed == expected


@pytest.mark.parametrize(
    ("written", "installed"),
    [
        ("from actors.records import StockKey\n", "from stockkeeper.actors.records import StockKey\n"),
        ("if x:\n    from rpc import frame\n", "if x:\n    from stockkeeper.rpc import frame\n"),
        ("from storage.sql import (\n    rows,\n)\n", "from stockkeeper.storage.sql import (\n    rows,\n)\n"),
        ("import storage.store as store\n", "import stockkeeper.storage.store as store\n"),
        # The name that an import binds is what it was: `storage`.
        ("import storage.store\n", "import stockkeeper.storage.store; from stockkeeper import storage\n"),
        ('f("storage.sql:migrations")\n', 'f("stockkeeper.storage.sql:migrations")\n'),
        ('é = "é", "storage.store.Store"\n', 'é = "é", "stockkeeper.storage.store.Store"\n'),
        ('log("storage.failed")\nactors = {}\nactors.get("rpc")\n', None),
        ("from stockkeeper_client import v1\nimport simulations\n", None),
    ],
)
def test_what_names_a_room_names_it_where_it_is_installed(written: str, installed: str | None) -> None:
    assert rehome(written, ROOMS, ROOT, "a.py") == (written if installed is None else installed)


def test_an_import_that_cannot_be_rewritten_ends_the_build() -> None:
    with pytest.raises(ValueError, match=r"a\.py:2 imports a room among others"):
        rehome("import os\nimport os, actors\n", ROOMS, ROOT, "a.py")


def test_an_editable_install_keeps_the_folders() -> None:
    found = importlib.util.find_spec("actors.records")
    assert found is not None
    assert found.origin == str(ROOT / "actors/records.py")
