"""Environments that hold nothing but what a document says to install: other people's, for tests."""

import fcntl
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 300
QUIETLY = ("--quiet", "--disable-pip-version-check")
FOLDERS = {".": "stockkeeper", "./client": "stockkeeper_client"}
# What a shop may call its own packages, and so do the folders of this repository.
SHOPS_PACKAGES = ("actors", "cells", "storage", "rpc", "supervisor", "events", "simulation", "inventory")


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and a folder in which a shop's own code is found before anything installed."""

    folder: Path
    shop: Path

    def run(self, program: str, *arguments: str, status: int = 0) -> str:
        """What the program prints on both its streams. Fails unless it ends with `status`."""
        done = subprocess.run(
            [self.program(program), *arguments],
            cwd=self.shop,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
        )
        assert done.returncode == status, f"{program} {shlex.join(arguments)}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def program(self, name: str) -> str:
        return str(self.folder / "bin" / name)

    @property
    def installed(self) -> set[str]:
        """The names of all distributions."""
        names = "from importlib.metadata import distributions; print(*{it.name.lower() for it in distributions()})"
        return set(self.run("python", "-c", names).split())

    @property
    def variables(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.shop)}


def documented_installs(document: str) -> list[list[str]]:
    """The `pip install` lines of a document, each as its words."""
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [words for words in lines if words[:2] == ["pip", "install"]]


def make_environment(folder: Path, wheels: Path, document: str, *others: str) -> Environment:
    """An environment with what a document says to install, from this clone, and with `others`, which must agree.

    Args:
        wheels: a folder with the wheels of this clone, which pip would else make anew in an environment of its own.
    """
    environment = Environment(folder / "venv", folder / "shop")

    def make() -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment.folder], check=True)
        for package in SHOPS_PACKAGES:
            (environment.shop / package).mkdir(parents=True)
            (environment.shop / package / "__init__.py").write_text('"""The shop\'s own."""\n')
        installs = documented_installs(document)
        assert installs, f"{document} does not say how to install it"
        pip = [sys.executable, "-m", "pip", "--python", environment.program("python"), *QUIETLY]
        for _, *install in installs:
            command = [*pip, *(_of_wheel(word, wheels) for word in (*install, *others)), "--no-compile"]
            done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S)
            assert done.returncode == 0, f"{shlex.join(install)}\n{done.stderr}"

    make_once(folder, make)
    return environment


def _of_wheel(word: str, wheels: Path) -> str:
    """What pip would do with a folder of this clone, done with its wheel, for a word such as `.[server]`."""
    folder, bracket, extras = word.partition("[")
    if folder not in FOLDERS:
        return word
    [wheel] = wheels.glob(f"{FOLDERS[folder]}-[0-9]*.whl")
    return f"{wheel}{bracket}{extras}"


def make_once(folder: Path, make: Callable[[], None]) -> None:
    """Call `make` in the first process that comes; all others wait for it."""
    with _locked(folder):
        if not (folder / "made").exists():
            make()
            (folder / "made").touch()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
