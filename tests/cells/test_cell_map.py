"""The map of the cells: where an organization is looked for, and what the file may say."""

import asyncio
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cells.cell_map import CellMap, CellMapError, parse_map
from cells.map_file import MapFile, read_map
from cells.rendezvous import highest
from rpc.authorization.file_look import look_at
from tests.system.servers import run_cli

CELLS = '[cells.a]\naddress = "unix:/a"\n[cells.b]\naddress = "h:1"\n'
names = st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True), min_size=1, max_size=12, unique=True)
ids = st.text(min_size=1, max_size=20)


def a_map(cells: list[str], organizations: dict[str, str] | None = None, version: int = 1) -> CellMap:
    tables = "".join(f'[cells.{name}]\naddress = "unix:/{name}"\n' for name in cells)
    by_name = "".join(f'"{key}" = "{name}"\n' for key, name in (organizations or {}).items())
    return parse_map(f"version = {version}\n{tables}[organizations]\n{by_name}")


@settings(deadline=None)
@given(names, ids, st.randoms())
def test_an_organization_belongs_to_the_same_cell_in_whatever_order_the_cells_stand(
    cells: list[str], organization: str, random: Random
) -> None:
    there = highest(cells, organization)
    assert there in cells
    random.shuffle(cells)
    assert highest(cells, organization) == there


@settings(deadline=None)
@given(names, ids)
def test_a_cell_that_is_added_takes_organizations_and_none_moves_between_the_others(
    cells: list[str], organization: str
) -> None:
    *before, new = [*cells, "0-new"]
    assert highest([*before, new], organization) in (highest(before, organization), new)


def test_a_cell_that_is_added_takes_its_share_of_all_others_alike() -> None:
    organizations = [f"org_{number}" for number in range(20_000)]
    before, after = a_map(["a", "b", "c", "d"]), a_map(["a", "b", "c", "d", "e"])
    homes = [before.cell_of(one).name for one in organizations]
    assert all(4_700 < homes.count(name) < 5_300 for name in "abcd")
    moved = [home for home, one in zip(homes, organizations, strict=True) if after.cell_of(one).name != home]
    assert 3_750 < len(moved) < 4_250
    assert all(850 < moved.count(name) < 1_150 for name in "abcd")
    assert {after.cell_of(one).name for one in organizations} == set("abcde")


def test_where_an_organization_belongs_is_the_same_for_ever() -> None:
    """Other versions of the program share the map: none may find another cell."""
    there = a_map(["north", "south", "west"])
    found = [there.cell_of(one).name for one in ("shop", "org_1", "tienda-ñ", "店", "x" * 128)]
    assert found == ["south", "south", "west", "south", "west"]


def test_an_organization_that_is_named_belongs_there() -> None:
    there = a_map(["a", "b", "c"], {"shop": "c", "store": "a", "big.shop": "b"})
    assert [there.cell_of(one).name for one in ("shop", "store", "big.shop")] == ["c", "a", "b"]
    assert there.cell_of("other") == a_map(["a", "b", "c"]).cell_of("other")


def test_maps_have_the_same_digest_if_they_place_alike() -> None:
    there = a_map(["a", "b"], {"x": "a", "y": "b"})
    assert there.digest == a_map(["b", "a"], {"y": "b", "x": "a"}, version=2).digest
    for other in (a_map(["a", "c"]), a_map(["a", "b"]), a_map(["a", "b"], {"x": "b", "y": "b"})):
        assert other.digest != there.digest
    elsewhere = parse_map(f"version = 1\n{CELLS}")
    assert elsewhere.digest == a_map(["a", "b"]).digest


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (CELLS, "has no version: it needs version = 1, and one more with each change"),
        ("version = 1", "has no cells: it needs a table [cells.NAME]"),
        ("version = 1\ncells = {}", "cannot be used: expected `object` of length >= 1 - at `$.cells`"),
        (f"version = 0\n{CELLS}", "cannot be used: expected `int` >= 1 - at `$.version`"),
        (f"version = 'x'\n{CELLS}", "cannot be used: expected `int`, got `str` - at `$.version`"),
        (f"version = 1\nvesion = 2\n{CELLS}", "cannot be used: object contains unknown field `vesion`"),
        ("version = 1\n[cells.a]", "cannot be used: object missing required field `address` - at `$.cells[...]`"),
        ("version = 1\n[cells.a\n", "is not TOML: at line 2, column 9"),
        (
            f'version = 1\n{CELLS}[organizations]\nshop = "c"',
            "gives the organization 'shop' to the cell 'c', which it does not have",
        ),
        (f'version = 1\n{CELLS}[cells.c]\naddress = "h:1"', "gives the cells b and c the same address"),
        (
            'version = 1\n[cells.a]\naddress = "h:1"\ndatabase = "x:pass@y"\n'
            '[cells.b]\naddress = "h:2"\ndatabase = "x:pass@y"',
            "gives the cells a and b the same database",
        ),
        (
            'version = 1\n[cells.A]\naddress = "h:1"',
            "names a cell 'A', which must be a letter and then letters, digits and hyphens",
        ),
        (
            'version = 1\n[cells.a]\naddress = "unix:a"',
            "gives the cell a the socket 'a', which must be a path from the root on",
        ),
        (f'version = 1\n[cells.a]\naddress = "unix:/{"x" * 100}"', "gives the cell a a socket whose path has over 100"),
        *(
            (f'version = 1\n[cells.a]\naddress = "{address}"', f"gives the cell a the address '{address}', which must")
            for address in ("", "h", "h:", "h:0", "h:65536", "h:123456", "http://h:1", "a b:1")
        ),
    ],
)
def test_a_map_that_is_wrong_is_one_clear_sentence(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "cells.toml"
    file.write_text(text)
    with pytest.raises(CellMapError) as raised:
        read_map(str(file))
    said = str(raised.value)
    assert said.startswith(f"The map {file} {why}")
    assert said.endswith(".")
    assert "pass" not in said


def test_a_file_that_cannot_be_read_is_one_clear_sentence(tmp_path: Path) -> None:
    file = tmp_path / "cells.toml"
    with pytest.raises(CellMapError, match=r"^The map .*cells.toml cannot be read: No such file or directory\.$"):
        read_map(str(file))
    file.write_bytes(b"\xff")
    with pytest.raises(CellMapError, match=r"^The map .*cells.toml is not UTF-8\.$"):
        read_map(str(file))


def test_neither_a_cell_nor_a_map_shows_a_password() -> None:
    there = parse_map('version = 1\n[cells.a]\naddress = "h:1"\ndatabase = "postgresql://u:secret@h/d"')
    assert there.cells["a"].database.startswith("postgresql://u:secret")
    assert "secret" not in f"{there!r} {there.cells['a']!r} {there} {there.cells}"


def as_an_editor(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def as_a_config_map(path: Path, text: str) -> None:
    """The file is a link to ..data/, which is a link to a folder of this version; the one before is deleted."""
    data, new = path.with_name("..data"), path.with_name("..new")
    before = data.resolve()
    folder = path.with_name(f"..v{len(list(path.parent.glob('..v*'))) and int(before.name[3:]) + 1}")
    folder.mkdir()
    (folder / path.name).write_text(text)
    new.symlink_to(folder.name)
    new.rename(data)
    if before != data:
        shutil.rmtree(before)
    if not path.is_symlink():
        path.symlink_to(Path("..data", path.name))


@pytest.mark.parametrize("write", [as_an_editor, as_a_config_map])
def test_the_file_is_read_again_when_it_changes_and_the_last_good_map_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, write: Callable[[Path, str], None]
) -> None:
    path = tmp_path / "cells.toml"

    def replaced(text: str) -> bool:
        """Returns whether there is another map."""
        write(path, text)
        return file.look()

    write(path, f"version = 3\n{CELLS}")
    file = MapFile(str(path), look_at)
    first = file.current
    caplog.set_level(logging.INFO)
    assert not file.look()
    assert not replaced("version = ")
    assert not replaced(f"version = 2\n{CELLS}")
    assert not replaced(f'version = 3\n{CELLS}[organizations]\nshop = "a"')
    path.unlink()
    assert not file.look()
    assert not file.look()  # what is wrong is said once
    assert file.current is first
    assert [record.getMessage() for record in caplog.records] == ["cells_map_not_reloaded"] * 4
    reasons = [str(record.__dict__["reason"]).removeprefix(f"The map {path} ") for record in caplog.records]
    assert reasons == [
        "is not TOML: at end of document.",
        "has version 2, and version 3 is known already.",
        "places organizations otherwise than before, and still has version 3.",
        "cannot be read: No such file or directory.",
    ]
    assert replaced(f"version = 3\n{CELLS.replace('h:1', 'h:2')}")  # a cell has moved, and no organization
    assert file.current.cells["b"].address == "h:2"
    assert replaced(f'version = 4\n{CELLS}[organizations]\nshop = "a"')
    assert not file.look()
    assert file.current.cell_of("shop").name == "a"
    assert file.statistics() == (2, 4)
    assert caplog.records[-1].__dict__["version"] == 4


def test_the_command_line_says_where_organizations_belong(tmp_path: Path) -> None:
    file = tmp_path / "cells.toml"
    file.write_text(f'version = 1\n{CELLS}[organizations]\nshop = "b"\nother = "a"')
    assert asyncio.run(run_cli("cells", "where", str(file), "shop", "other")) == (
        0,
        "shop\tb\th:1\nother\ta\tunix:/a\n",
        "",
    )
    said = '{"cell": "a", "address": "unix:/a"}\n{"cell": "b", "address": "h:1"}\n'
    assert asyncio.run(run_cli("cells", "where", str(file), "--json")) == (0, said, "")
    file.write_text(CELLS)
    sentence = f"The map {file} has no version: it needs version = 1, and one more with each change.\n"
    assert asyncio.run(run_cli("cells", "where", str(file), "shop")) == (2, "", sentence)
