"""The container's packages: locked whole, by hash, and the server runs with them alone, as the container runs it."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.packaging.environments import QUIETLY, ROOT, TIMEOUT_S, make_once

OURS = {"stockkeeper", "stockkeeper-client"}
USER = "65532"
NEEDS_BWRAP = pytest.mark.skipif(
    not shutil.which("bwrap") or os.getuid() != 0,
    reason="needs root and bubblewrap: apt-get install bubblewrap",
)


def locked(file: str = "requirements.txt") -> dict[str, Requirement]:
    """The packages of a lock file by name. Each is pinned to one version and has a hash."""
    entries = re.split(r"\n(?=\S)", (ROOT / "deploy" / file).read_text().split("make lock\n", 1)[1].strip())
    assert all("--hash=sha256:" in entry for entry in entries)
    pinned = [Requirement(entry.split("\\")[0]) for entry in entries]
    assert all(re.fullmatch(r"==[\w.]+", str(one.specifier)) for one in pinned)
    return {canonicalize_name(one.name): one for one in pinned}


def needed(requirement: Requirement, seen: set[str]) -> Iterator[Requirement]:
    """A requirement, and what it needs in turn, by what is installed here and by our own files."""
    name = canonicalize_name(requirement.name)
    yield requirement
    for extra in {"", *requirement.extras}:
        if f"{name}[{extra}]" in seen:
            continue
        seen.add(f"{name}[{extra}]")
        for line in ours(name, extra) if name in OURS else requires(name) or []:
            under = Requirement(line)
            if under.marker is None or under.marker.evaluate({"extra": extra}):
                yield from needed(under, seen)


def ours(name: str, extra: str) -> list[str]:
    folder = ROOT if name == "stockkeeper" else ROOT / "client"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project.get("optional-dependencies", {}).get(extra, [])]


def test_the_lock_has_what_the_container_needs_and_no_more() -> None:
    pins = locked()
    every = [one for one in needed(Requirement("stockkeeper[container]"), set()) if one.name not in OURS]
    for one in every:
        pin = pins.get(canonicalize_name(one.name))
        assert pin is not None, f"{one} is not locked: make lock"
        pinned = str(pin.specifier).removeprefix("==")
        assert pinned in one.specifier, f"{one} is locked as {pinned}: make lock"
    if all(version(name) == str(pin.specifier).removeprefix("==") for name, pin in pins.items()):
        assert pins.keys() == {canonicalize_name(one.name) for one in every}, "make lock"


def test_what_builds_the_wheels_is_locked_as_both_projects_ask_for_it() -> None:
    pins = locked("requirements-build.txt")
    for folder in (ROOT, ROOT / "client"):
        for line in tomllib.loads((folder / "pyproject.toml").read_text())["build-system"]["requires"]:
            asked = Requirement(line)
            assert str(pins[asked.name].specifier).removeprefix("==") in asked.specifier


@pytest.fixture(scope="session")
def container(shared: Path, wheels: Path) -> Path:
    """What the Containerfile makes in /opt/stockkeeper: the locked packages, and the wheels."""
    folder = shared / "container"

    def make() -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "venv/bin/python")]
        install = [*pip, "install", *QUIETLY, "--no-deps", "--no-compile"]
        lock = str(ROOT / "deploy/requirements.txt")
        subprocess.run([*install, "--require-hashes", "-r", lock], check=True, timeout=TIMEOUT_S)
        subprocess.run([*install, "--no-index", *map(str, wheels.glob("*.whl"))], check=True, timeout=TIMEOUT_S)
        subprocess.run([*pip, "check", *QUIETLY], check=True, timeout=TIMEOUT_S)

    make_once(folder, make)
    return folder / "venv"


def contained(environment: Path, state: Path, *command: str) -> list[str]:
    """A command as the container's user, in a root that is read-only and has Python, the packages and one volume."""
    home = sys.base_prefix
    links = [word for name in ("lib", "lib64", "bin") for word in ("--symlink", f"usr/{name}", f"/{name}")]
    above = [*reversed(Path(home).parents), Path("/opt"), Path("/var"), Path("/var/lib")]
    mounts = [
        *(word for folder in above if folder != Path("/") for word in ("--perms", "0755", "--dir", str(folder))),
        *("--ro-bind", "/usr", "/usr", *links, "--ro-bind", home, home),
        *("--ro-bind", str(environment), "/opt/stockkeeper", "--bind", str(state), "/var/lib/stockkeeper"),
        *("--proc", "/proc", "--dev", "/dev", "--remount-ro", "/", "--chdir", "/var/lib/stockkeeper"),
    ]
    user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs", "--bounding-set=-all"]
    rights = [word for name in ("SETUID", "SETGID", "SETPCAP") for word in ("--cap-add", f"CAP_{name}")]
    return ["bwrap", "--unshare-pid", "--unshare-ipc", "--die-with-parent", *rights, *mounts, "--", *user, *command]


@pytest.mark.long
@NEEDS_BWRAP
def test_it_serves_as_a_user_without_rights_in_a_root_that_is_read_only(container: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, int(USER), int(USER))
    text = (ROOT / "deploy/Containerfile").read_text()
    [database] = re.findall(r"DATABASE_URL=(\S+)", text)
    program = "/opt/stockkeeper/bin/python", "-m", "stockkeeper"
    for place in ("/", "/opt/stockkeeper", "/tmp"):  # it needs none of them
        touch = contained(container, state, "touch", f"{place}/a")
        assert subprocess.run(touch, capture_output=True, timeout=TIMEOUT_S).returncode == 1, place
    serve = contained(container, state, *program, "serve", "--port", "0", "--sample")
    variables = {"PATH": os.environ["PATH"], "DATABASE_URL": database, "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert " listens on " in line, server.communicate()
            target = f"localhost:{line.split(' listens on ')[1].split(',')[0].split()[0].rpartition(':')[2]}"
            health = contained(container, state, *program, "health", "--target", target)
            done = subprocess.run(health, capture_output=True, text=True, timeout=TIMEOUT_S, env=variables)
            assert (done.returncode, done.stdout) == (0, "SERVING\n"), done
            files = {path.name: path.stat().st_uid for path in state.iterdir()}
            assert files["stockkeeper.db"] == int(USER)
        finally:
            server.terminate()
