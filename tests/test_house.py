"""The house rules that a linter does not know, each of them a test. `make check` runs it."""

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import median
from typing import NamedTuple, get_args

import grimp
import pytest

from actors.commands import Command
from actors.queries import AnyQuery

ROOT = Path(__file__).parent.parent
ROOMS = ("actors", "storage", "supervisor", "rpc", "stockkeeper", "simulation", "client")
PACKAGES = (*ROOMS[:-1], "stockkeeper_client")
MEDIAN_LINES_MAX = 6
LINES_MAX = 60
FILE_LINES_MAX = 400
TELL_BY_THEIR_REPR = {
    # last as long as a call
    *("AioCall", "CoreCall", "FirstStatus", "ImportLines", "Permit", "Requests", "Search", "Space"),
    *("ChangeReader", "Connection", "LockFile", "ServiceClock", "StockCalls"),  # hold one thing, and count nothing
    *("PostgresBackend", "SqliteBackend"),  # their counts are the store's
}
ASKED = {asked.__name__ for asked in (*get_args(Command), *get_args(AnyQuery))}


class Source(NamedTuple):
    """One file of ours."""

    path: str
    definitions: tuple[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, ...]
    lines: int


class Function(NamedTuple):
    """One function of a file."""

    path: str
    node: ast.FunctionDef | ast.AsyncFunctionDef

    @property
    def name(self) -> str:
        return f"{self.path} {self.node.name}"

    @property
    def lines(self) -> int:
        """Without its decorators and its docstring."""
        first = self.node.body[0]
        documented = ast.get_docstring(self.node) is not None
        return _lines(self.node) - (_lines(first) if documented else 0)


def _lines(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def sources(*folders: str) -> tuple[Source, ...]:
    """All files under these folders but the generated ones."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")) if "_pb2" not in path.name]
    return tuple(_source(path) for path in paths)


@cache
def _source(path: Path) -> Source:
    text = path.read_text()
    nodes = ast.walk(ast.parse(text))
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    definitions = tuple(node for node in nodes if isinstance(node, kinds))
    return Source(str(path.relative_to(ROOT)), definitions, len(text.splitlines()))


def functions(*folders: str) -> Iterator[Function]:
    for source in sources(*folders):
        for node in source.definitions:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield Function(source.path, node)


def classes(*folders: str) -> Iterator[ast.ClassDef]:
    for source in sources(*folders):
        yield from (node for node in source.definitions if isinstance(node, ast.ClassDef))


def twice(names: Sequence[str]) -> set[str]:
    return {name for name, times in Counter(names).items() if times > 1}


def test_no_module_imports_itself_through_others() -> None:
    graph = grimp.build_graph(*PACKAGES)
    TopologicalSorter({one: graph.find_modules_directly_imported_by(one) for one in graph.modules}).prepare()


@pytest.mark.parametrize("room", ROOMS)
def test_half_of_the_functions_have_six_lines_at_most(room: str) -> None:
    assert median(function.lines for function in functions(room)) <= MEDIAN_LINES_MAX


def test_no_function_is_longer_than_a_screen() -> None:
    long = {function.name for function in functions(*ROOMS, "bench") if function.lines > LINES_MAX}
    assert not long


def test_no_file_has_more_than_four_hundred_lines() -> None:
    every = sources(*ROOMS, "bench", "tests", "examples", "proto")
    long = {source.path for source in every if source.lines > FILE_LINES_MAX}
    assert not long


def test_no_two_modules_have_the_same_name() -> None:
    stems = [Path(source.path).stem for source in sources(*ROOMS)]
    assert not twice([stem for stem in stems if stem not in ("__init__", "__main__")])


def test_no_two_classes_have_the_same_name() -> None:
    assert not twice([node.name for node in classes(*ROOMS)])


def test_nothing_is_written_a_second_time_for_the_case_that_need_not_wait() -> None:
    every = functions(*ROOMS, "bench", "examples", "tests")
    named = {function.node.name for function in every if function.node.name.endswith("_at_once")}
    assert not named


@pytest.mark.parametrize("word", ["nobody", "somebody", "whoever", "so_many", "the_own", "one_who"])
def test_no_name_is_made_of_words_that_read_as_translated(word: str) -> None:
    every = functions(*ROOMS, "bench", "examples", "tests")
    named = {function.name for function in every if f"_{word}_" in f"_{function.node.name}_"}
    assert not named


def test_a_match_over_commands_or_queries_names_each_of_them() -> None:
    lax = {one.node.name for one in functions(*ROOMS) for match in _matches(one.node) if _is_lax(match)}
    assert not lax


def _matches(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.Match]:
    return (node for node in ast.walk(function) if isinstance(node, ast.Match))


def _is_lax(match: ast.Match) -> bool:
    """Whether it names commands or queries and takes the rest together, where mypy would find that one is missing."""
    named = {ast.unparse(node.cls) for node in ast.walk(match) if isinstance(node, ast.MatchClass)}
    last = match.cases[-1]
    takes_the_rest = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None
    return bool(named & ASKED) and takes_the_rest and not ast.unparse(last.body[0]).startswith("assert_never(")


def test_what_has_a_state_tells_it() -> None:
    every = list(classes(*ROOMS, "bench"))
    telling = {node.name for node in every if _defines(node, "__repr__")}
    silent = {node.name for node in every if _keeps_state(node) and not _tells(node, telling)}
    assert not silent


def test_what_changes_counts_itself() -> None:
    every = list(classes(*(room for room in ROOMS if room not in ("stockkeeper", "simulation"))))
    counting = {node.name for node in every if _defines(node, "statistics")}
    silent = {node.name for node in every if _changes(node) and not counting & {node.name, *_bases(node)}}
    assert silent == TELL_BY_THEIR_REPR


def _changes(node: ast.ClassDef) -> bool:
    """Whether it sets attributes after it was made, or was made with something empty that others fill."""
    methods = [one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    later = [one for one in methods if one.name != "__init__"]
    makers = [one for one in methods if one.name == "__init__"]
    sets_later = any(_is_attribute_set(one) for method in later for one in ast.walk(method))
    return sets_later or any(_is_made_empty(one) for maker in makers for one in ast.walk(maker))


def _is_made_empty(node: ast.AST) -> bool:
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    return ast.unparse(node.value) in ("{}", "[]", "set()", "deque()", "bytearray()")


def _bases(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(base).split("[")[0] for base in node.bases}


def _defines(node: ast.ClassDef, name: str) -> bool:
    return any(isinstance(one, ast.FunctionDef) and one.name == name for one in node.body)


def _keeps_state(node: ast.ClassDef) -> bool:
    """Whether it sets attributes of its own as it is made."""
    makers = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
    return any(_is_attribute_set(one) for maker in makers for one in ast.walk(maker))


def _is_attribute_set(node: ast.AST) -> bool:
    if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store):
        return False
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def _tells(node: ast.ClassDef, telling: set[str]) -> bool:
    """It, or what it is derived from, has a `__repr__`; exceptions and tasks have one from Python."""
    return node.name in telling or bool(_bases(node) & (telling | {"Exception", "AssertionError", "asyncio.Task"}))
