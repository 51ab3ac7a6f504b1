"""The fixture of pytest, the example and the manual."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from stockkeeper.testkit.requested_faults import RATES

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "test_order_service.py"
MANUAL = ROOT / "docs" / "testkit.md"


# ---- the plugin -----------------------------------------------------------------------------------------------------

A_FAILING_TEST = """
    import pytest

    async def scenario(world):
        world.note("the moment before")
        assert world.seed != 3, "three"

    def test_plain(simulation):
        simulation.run(scenario, seeds=range(10))

    @pytest.mark.simulation_seeds(5)
    def test_marked(simulation):
        simulation.run(scenario)
"""


def test_a_failing_seed_is_named_with_the_command_that_runs_it_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=A_FAILING_TEST)
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(passed=4, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*AssertionError: three",
            "*simulation seed 3 failed; its last steps:",
            "* 0.000 s  the moment before",
            "*pytest test_it.py::test_plain --simulation-seed 3",
            "*pytest 'test_it.py::test_marked?seed-3?' --simulation-seed 3",
        ]
    )
    for again in ("test_it.py::test_plain", "test_it.py::test_marked[seed-3]"):
        pytester.runpytest(again, "--simulation-seed", "3").assert_outcomes(failed=1)
    pytester.runpytest("test_it.py", "--simulation-seed", "4").assert_outcomes(passed=2)
    pytester.runpytest("test_it.py", "--simulation-seeds", "4..8").assert_outcomes(passed=5)


@pytest.mark.parametrize("seeds", ["8..4", "4", "a..b"])
def test_a_malformed_range_of_seeds_is_refused(pytester: pytest.Pytester, seeds: str) -> None:
    pytester.makepyfile(A_FAILING_TEST)
    result = pytester.runpytest("--simulation-seeds", seeds)
    assert f"--simulation-seeds looks like 0..500, not '{seeds}'" in result.stdout.str() + result.stderr.str()
    assert result.ret != 0


def test_loading_the_plugin_imports_nothing_of_the_service() -> None:
    program = "import sys, stockkeeper.pytest_plugin; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"trio", "grpc", "rpc", "simulation", "supervisor", "stockkeeper.testkit"} & set(done.stdout.split())


# ---- the example and the manual -------------------------------------------------------------------------------------


def test_the_example_finds_its_bug_and_passes_without() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(EXAMPLE)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


@pytest.mark.parametrize("part", ["checkout", "bug", "test", "expiry"])
def test_the_code_in_the_manual_is_the_examples(part: str) -> None:
    [code] = re.findall(rf"^# \[{part}\]\n(.*?)^# \[/{part}\]", EXAMPLE.read_text(), re.MULTILINE | re.DOTALL)
    assert f"```python\n{code.strip()}\n```" in MANUAL.read_text()


def test_the_failure_in_the_manual_is_what_is_printed(pytester: pytest.Pytester) -> None:
    found = EXAMPLE.read_text().replace(
        'with pytest.raises(AssertionError, match="mugs are held for no order"):', "if True:"
    )
    pytester.makepyfile(test_order_service=found)
    printed = pytester.runpytest("-k", "finds_the_bug").stdout.str()
    [shown] = re.findall(r"```text\n(E .*?)```", MANUAL.read_text(), re.DOTALL)
    for line in shown.splitlines():
        # Who does what at which moment may change with every change of the service; what it looks like must not.
        pattern = re.sub(r"\d+", r"\\d+", re.escape(line))
        assert "…" in line or re.search(f"^{pattern}$", printed, re.MULTILINE), line


def test_the_manual_has_every_fault_with_its_rate() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", MANUAL.read_text(), re.MULTILINE)
    assert {name: float(rate) for name, rate in rows} == dict(RATES)


def test_the_manuals_python_is_python() -> None:
    for code in re.findall(r"^```python\n(.*?)^```", MANUAL.read_text(), re.MULTILINE | re.DOTALL):
        compile(code, str(MANUAL), "exec")
