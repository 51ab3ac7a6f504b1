"""The operator's tutorial, each command as it stands on the page, in one shell, and what it says there."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.packaging.environments import documented_installs
from tests.ports import free_port
from tests.system.servers import ROOT
from tests.system.test_documents import blurred

PAGE = "docs/tutorial-operator.md"
LISTENS = ("stockkeeper serve ", "prometheus ")  # they go on in a terminal of their own
END = "the block has ended with"
# Prometheus looks every 15 seconds, and the alert waits for a minute: the test has them wait for less.
SOONER = "sed -i 's/for: .*/for: 1s/; s/15s/1s/g' stockkeeper.rules.yml prometheus.yml"
pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl: apt-get install openssl")


class Shell:
    """A shell that stays open, as the operator's does."""

    def __init__(self, folder: Path) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._process = subprocess.Popen(
            ["bash", "-e"],
            cwd=folder,
            env={"PATH": path, "HOME": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __repr__(self) -> str:
        return f"<Shell {self._process.pid}>"

    def run(self, block: str) -> str:
        """What the commands say. Fails if one of them does."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{block}\necho {END} $?\n")
        self._process.stdin.flush()
        said: list[str] = []
        while not (line := self._process.stdout.readline()).startswith(END):
            assert line, f"{block}\nended the shell:\n{''.join(said)}"
            said.append(line)
        return "".join(said)

    def close(self) -> None:
        """End it, and all that it started."""
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.communicate(timeout=60)


@contextmanager
def shell(folder: Path) -> Iterator[Shell]:
    opened = Shell(folder)
    try:
        yield opened
    finally:
        opened.close()


def blocks() -> Iterator[tuple[str, str]]:
    """Each block of commands with what the page says they say, or with nothing."""
    page = re.sub(r"<!--.*?-->", "", (ROOT / PAGE).read_text(), flags=re.DOTALL)
    found = re.findall(r"^```(\w+)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    for place, (language, text) in enumerate(found):
        if language == "sh":
            following, said = found[place + 1] if place + 1 < len(found) else ("", "")
            yield text, said if following == "text" else ""


def started(block: str) -> str:
    """The same commands, with one that goes on put beside the others until it answers."""
    if not block.startswith(LISTENS):
        return block
    name, probe = "SERVER", "grep -qs 'listens on' SERVER.out"
    if block.startswith("prometheus "):
        name, probe = "PROMETHEUS", "curl -sf localhost:9090/-/ready > PROMETHEUS.ready"
    beside = f"{block.strip()} > {name}.out 2> {name}.log & {name}=$!\ndisown"
    return f"{beside}\nuntil {probe}; do sleep 0.1; done"


@pytest.mark.long
def test_every_command_of_the_tutorial_says_what_the_page_says(tmp_path: Path) -> None:
    assert documented_installs(PAGE) == documented_installs("docs/operations.md")  # tests/packaging installs so
    ports = {port: str(free_port()) for port in ("50053", "9464", "9090")}
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    (tmp_path / "try").mkdir()
    (first, _), *others = blocks()
    assert first.endswith("mkdir try\ncd try\n")
    has_prometheus = shutil.which("prometheus") is not None
    with shell(tmp_path / "try") as terminal:
        for block, expected in others:
            if "prom" in block or "9090" in block:
                if not has_prometheus:
                    continue
                block = block.replace("promtool check", f"{SOONER}\npromtool check")
            commands = started(block)
            for documented, free in ports.items():
                commands = commands.replace(documented, free)
            if block.startswith("stockkeeper serve"):
                commands = commands.replace(" --tls-cert", f" --port {ports['50053']} --tls-cert", 1)
            said = terminal.run(commands)
            assert not expected or blurred(said) == blurred(expected), block
    if not has_prometheus:
        pytest.skip("no alert was seen without Prometheus: apt-get install prometheus")
