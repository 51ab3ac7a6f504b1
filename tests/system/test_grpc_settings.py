"""gRPC runs with the program's settings: in the program, and in the tests that stand for it."""

import os
import subprocess
import sys
from pathlib import Path

from stockkeeper.serving.grpc_settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
# The command line, which imports grpc, is replaced: what it would find as it is imported is printed.
SHOW = """
import os, sys, types
import stockkeeper.__main__ as program
sys.modules["stockkeeper.command_line.cli"] = types.SimpleNamespace(main=lambda: print({what}))
program.main()
"""


def shown(what: str, **environment: str) -> str:
    command = (sys.executable, "-c", SHOW.format(what=what))
    clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    return subprocess.run(
        command, cwd=ROOT, env=clean | environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_program_has_its_settings_before_grpc_is_imported() -> None:
    for name, value in SETTINGS.items():
        assert shown(f"os.environ[{name!r}]") == value
    assert shown("'grpc' in sys.modules") == "False"


def test_a_setting_of_the_operator_stays() -> None:
    assert shown("os.environ['GRPC_EXPERIMENTS']", GRPC_EXPERIMENTS="") == ""


def test_the_tests_run_with_the_same_settings() -> None:
    assert {name: os.environ.get(name) for name in SETTINGS} == SETTINGS
