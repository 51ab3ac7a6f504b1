"""The pytest plugin: the fixture `simulation`, its marker and its options. See `docs/testkit.md`.

It is loaded by every pytest that finds this distribution, so it imports nothing of it until a test asks.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from stockkeeper.testkit import Simulation

_MARKER = "simulation_seeds"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("simulation", "stockkeeper's simulation")
    group.addoption(
        "--simulation-seed", type=int, metavar="SEED", help="run every simulation with this seed and no other"
    )
    group.addoption(
        "--simulation-seeds",
        metavar="FIRST..END",
        help="run every simulation with these seeds, as 0..500; the end is not among them",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{_MARKER}(seeds): run the test's simulations once for each seed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker(_MARKER)
    if marker is not None and "simulation" in metafunc.fixturenames:
        (given,) = marker.args
        only = _only_seeds(metafunc.config)
        seeds = range(given) if isinstance(given, int) else given
        chosen = list(seeds if only is None else only)
        metafunc.parametrize("simulation", chosen, indirect=True, ids=[f"seed-{seed}" for seed in chosen])


@pytest.fixture
def simulation(request: pytest.FixtureRequest) -> "Simulation":
    """Runs scenarios against an inventory service in this process, in virtual time."""
    try:
        from stockkeeper.testkit import Simulation
    except ModuleNotFoundError as error:
        if error.name != "trio":
            raise
        raise pytest.UsageError("the fixture `simulation` needs trio: install stockkeeper[simulation]") from None
    seed: int | None = getattr(request, "param", None)
    nodeid = request.node.nodeid

    def again(failed: int) -> str:
        # Under the marker the seed is part of the test's name, and the option leaves only that one.
        return f"pytest {_quoted(nodeid.replace(f'seed-{seed}', f'seed-{failed}'))} --simulation-seed {failed}"

    return Simulation((0,) if seed is None else (seed,), _only_seeds(request.config), again)


def _quoted(nodeid: str) -> str:
    return f"'{nodeid}'" if set(nodeid) & set("[] ") else nodeid


def _only_seeds(config: pytest.Config) -> Iterable[int] | None:
    seed: int | None = config.getoption("--simulation-seed", None)
    text: str | None = config.getoption("--simulation-seeds", None)
    if seed is not None and text is not None:
        raise pytest.UsageError("give --simulation-seed or --simulation-seeds, and not both")
    if text is None:
        return None if seed is None else (seed,)
    first, dots, end = text.partition("..")
    if not (dots and text.isascii() and first.isdecimal() and end.isdecimal() and int(first) < int(end)):
        raise pytest.UsageError(f"--simulation-seeds looks like 0..500, not {text!r}")
    return range(int(first), int(end))
