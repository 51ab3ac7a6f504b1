"""Nodes of a network on this machine: network namespaces, joined by two bridges, and cut off from either.

Each node has an address on both. A node that is taken from a bridge hears nothing from there, and no end is told, as
where a switch has failed.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import SystemRandom

import pytest

SIDES = ("a", "b")


@dataclass
class NodeNetwork:
    """The nodes 1, 2 … and this machine itself, which is number 254.

    Attributes:
        name: what its parts are called by, beside each other in the kernel.
        second: of its addresses, 10.SECOND.SIDE.NODE.
    """

    name: str
    second: int
    nodes: list[int] = field(default_factory=list)

    def address(self, node: int, side: int = 0) -> str:
        return f"10.{self.second}.{side}.{node}"

    def inside(self, node: int, user: str = "") -> list[str]:
        """What a command begins with that runs in a node, as a user."""
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        return ["ip", "netns", "exec", self._space(node), *as_user]

    def begin(self) -> None:
        for side in range(len(SIDES)):
            _ip("link", "add", self._bridge(side), "type", "bridge")
            _ip("addr", "add", f"{self.address(254, side)}/24", "dev", self._bridge(side))
            _ip("link", "set", self._bridge(side), "up")

    def add(self, node: int) -> None:
        self.nodes.append(node)
        space = self._space(node)
        _ip("netns", "add", space)
        _ip("-n", space, "link", "set", "lo", "up")
        for side in range(len(SIDES)):
            inner = f"eth{side}"
            _ip("link", "add", self._port(node, side), "type", "veth", "peer", "name", inner, "netns", space)
            _ip("-n", space, "addr", "add", f"{self.address(node, side)}/24", "dev", inner)
            _ip("-n", space, "link", "set", inner, "up")
            _ip("link", "set", self._port(node, side), "up")
        self.join(node)

    def join(self, node: int) -> None:
        """Have it hear all others."""
        for side in range(len(SIDES)):
            _ip("link", "set", self._port(node, side), "master", self._bridge(side))

    def cut(self, node: int, sides: Sequence[int] = range(len(SIDES))) -> None:
        """Have it hear nothing on these sides."""
        for side in sides:
            _ip("link", "set", self._port(node, side), "nomaster")

    def end(self) -> None:
        for node in self.nodes:
            _ip("netns", "del", self._space(node), must=False)
        for side in range(len(SIDES)):
            _ip("link", "del", self._bridge(side), must=False)

    def _space(self, node: int) -> str:
        return f"{self.name}-{node}"

    def _bridge(self, side: int) -> str:
        return f"{self.name}{SIDES[side]}"

    def _port(self, node: int, side: int) -> str:
        return f"{self.name}{SIDES[side]}{node}"


@contextmanager
def node_network(nodes: int) -> Iterator[NodeNetwork]:
    """For the length of a block; the test is skipped where the machine allows none."""
    if shutil.which("ip") is None or shutil.which("setpriv") is None:
        pytest.skip("`ip` or `setpriv` is not installed: apt-get install iproute2 util-linux")
    drawn = SystemRandom()
    network = NodeNetwork(f"sk{drawn.randrange(16**5):05x}", drawn.randint(128, 254))
    try:
        try:
            network.begin()
            for node in range(1, nodes + 1):
                network.add(node)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this machine allows no network namespaces: {error.stderr.strip()}")
        yield network
    finally:
        network.end()


def _ip(*arguments: str, must: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=must, capture_output=True, text=True, timeout=30)
