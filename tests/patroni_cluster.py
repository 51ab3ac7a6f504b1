"""Three PostgreSQL nodes that Patroni keeps, by an etcd, all of Debian's packages, in network namespaces.

Each node listens on both sides of the network. Patroni, etcd and replication use the first side alone. So a node may be
cut off from its cluster and yet be reached by a server, which is the worst of all cuts: it does not know what the
others have decided. The etcd is one, beside the nodes, where the majority of three would be: Postgres is what is tried.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.node_network import NodeNetwork, node_network

NODES = 3
ETCD_NODE = NODES + 1
POSTGRES_PORT, REST_PORT, ETCD_PORT, ETCD_PEER_PORT = 5432, 8008, 2379, 2380
USER, PASSWORD = "postgres", "s3cret"
TTL_S, LOOP_WAIT_S, RETRY_S = 5, 1, 2  # a loop and two tries have to fit into the time to live
PATIENCE_S = 300.0
PAUSE_S = 0.05
NEEDS = "patroni etcd-server postgresql"


@dataclass
class PatroniCluster:
    """It, begun by `patroni_cluster`.

    Attributes:
        directory: of all data and logs.
        programs: where Postgres' own are.
    """

    network: NodeNetwork
    directory: Path
    programs: Path
    etcd: "subprocess.Popen[bytes] | None" = None
    patronis: dict[int, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def url(self, side: int = 0) -> str:
        """All nodes, of which the one is meant that takes writes."""
        hosts = ",".join(self.network.address(node, side) for node in range(1, NODES + 1))
        parameters = "target_session_attrs=read-write&sslmode=disable"
        return f"postgresql+asyncpg://{USER}:{PASSWORD}@{hosts}/postgres?{parameters}"

    def begin(self, *, synchronous: bool) -> None:
        shutil.chown(self.directory, USER, USER)
        where = self.network.address(ETCD_NODE)
        client, peer = f"http://{where}:{ETCD_PORT}", f"http://{where}:{ETCD_PEER_PORT}"
        self.etcd = self._run(
            *(ETCD_NODE, "etcd", "etcd", "--name", "one", "--data-dir", str(self.directory / "etcd")),
            *("--listen-client-urls", client, "--advertise-client-urls", client, "--unsafe-no-fsync"),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"one={peer}"),
        )
        for node in range(1, NODES + 1):
            settings = self.directory / f"node-{node}.yml"  # which JSON is as well
            settings.write_text(json.dumps(self._settings(node, synchronous=synchronous)))
            self.start(node)
            if node == 1:
                self.until_primary()
        self.until_whole()

    def start(self, node: int) -> None:
        """Start a node, or the same after it was killed."""
        self.patronis[node] = self._run(node, f"node-{node}", "patroni", str(self.directory / f"node-{node}.yml"))

    def kill(self, node: int) -> None:
        """kill -9 of Patroni and of all of Postgres there."""
        patroni = self.patronis.pop(node)
        processes = self._postgres(node)
        patroni.kill()
        patroni.wait()
        for one in processes:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(processes, timeout=30)

    def primary(self) -> int | None:
        """The node that says that it leads, by the way of the servers."""
        found = [node for node in range(1, NODES + 1) if self._answer(node, "primary", side=1) is not None]
        return found[0] if len(found) == 1 else None

    def until_primary(self, beside: int = 0) -> int:
        """Wait until a node leads, another one than the one that is given. Returns it."""
        self._until(lambda: self.primary() not in (None, beside), "a node is the primary")
        return self.primary() or self.until_primary(beside)

    @property
    def is_whole(self) -> bool:
        """Whether all nodes are there, and one of them waits for the others' word."""
        said = self._answer(self.primary() or 1, "cluster") or {}
        members = said.get("members", [])
        roles = sorted(one["role"] for one in members if one["state"] in ("running", "streaming"))
        lags = [one.get("lag", 0) for one in members]
        follow = ["replica", "sync_standby"] if self._is_synchronous else ["replica", "replica"]
        return roles == ["leader", *follow] and lags == [0] * NODES

    def until_whole(self) -> float:
        """Wait for that. Returns the seconds it took."""
        return self._until(lambda: self.is_whole, "all nodes follow one primary")

    def end(self) -> None:
        for node in list(self.patronis):
            self.kill(node)
        if self.etcd is not None:
            self.etcd.kill()
            self.etcd.wait()

    @property
    def _is_synchronous(self) -> bool:
        return '"synchronous_mode": true' in (self.directory / "node-1.yml").read_text()

    def _postgres(self, node: int) -> list[psutil.Process]:
        with suppress(OSError, psutil.NoSuchProcess):
            pid = (self.directory / f"data-{node}" / "postmaster.pid").read_text().split()[0]
            postmaster = psutil.Process(int(pid))
            return [postmaster, *postmaster.children(recursive=True)]
        return []

    def _answer(self, node: int, path: str, side: int = 0) -> Any:
        """What a Patroni says; None: another status than 200, or nothing."""
        url = f"http://{self.network.address(node, side)}:{REST_PORT}/{path}"
        with suppress(OSError, urllib.error.URLError), urllib.request.urlopen(url, timeout=2) as answer:
            return json.load(answer)
        return None

    def _until(self, holds: Callable[[], bool], what: str) -> float:
        start_s = time.monotonic()
        while not holds():
            if time.monotonic() - start_s > PATIENCE_S:
                logs = "".join(f"\n{one}: {one.read_text()[-2000:]}" for one in self.directory.glob("*.log"))
                raise AssertionError(f"not within {PATIENCE_S:g} s: {what}{logs}")
            time.sleep(PAUSE_S)
        return time.monotonic() - start_s

    def _run(self, node: int, log: str, *command: str) -> "subprocess.Popen[bytes]":
        with (self.directory / f"{log}.log").open("ab") as output:
            inside = self.network.inside(node, USER)
            clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
            return subprocess.Popen(
                [*inside, *command],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**clean, "PATH": f"{os.defpath}:/usr/sbin", "HOME": str(self.directory)},
            )

    def _settings(self, node: int, *, synchronous: bool) -> Mapping[str, Any]:
        address = self.network.address(node)
        parameters = {"fsync": "off", "shared_buffers": "16MB", "wal_keep_size": "64MB", "max_connections": 60}
        login = {"username": USER, "password": PASSWORD}
        return {
            "scope": "stock",
            "name": f"node-{node}",
            "restapi": {"listen": f"0.0.0.0:{REST_PORT}", "connect_address": f"{address}:{REST_PORT}"},
            "etcd3": {"host": f"{self.network.address(ETCD_NODE)}:{ETCD_PORT}"},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL_S,
                    "loop_wait": LOOP_WAIT_S,
                    "retry_timeout": RETRY_S,
                    "primary_start_timeout": 0,  # a primary that was killed is not waited for
                    "synchronous_mode": synchronous,
                    "synchronous_mode_strict": synchronous,
                    "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": parameters},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums", "no-sync"],
                "pg_hba": ["local all all trust", "host replication all all trust", "host all all all scram-sha-256"],
            },
            "postgresql": {
                "listen": f"0.0.0.0:{POSTGRES_PORT}",
                "connect_address": f"{address}:{POSTGRES_PORT}",
                "data_dir": str(self.directory / f"data-{node}"),
                "bin_dir": str(self.programs),
                "pgpass": str(self.directory / f"pgpass-{node}"),
                "authentication": {"superuser": login, "replication": login},
                "remove_data_directory_on_diverged_timelines": True,
                "remove_data_directory_on_rewind_failure": True,
                "parameters": {"unix_socket_directories": str(self.directory / f"socket-{node}")},
            },
            "watchdog": {"mode": "off"},  # no machine is to be reset here
        }


@contextmanager
def patroni_cluster(*, synchronous: bool = True) -> Iterator[PatroniCluster]:
    """A running one for the length of a block; the test is skipped where a part is missing."""
    found = shutil.which("initdb", path=os.pathsep.join(map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))))
    if found is None or shutil.which("patroni") is None or shutil.which("etcd") is None:
        pytest.skip(f"PostgreSQL that fails over is not installed: apt-get install {NEEDS}")
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    directory = Path(tempfile.mkdtemp(prefix="patroni-"))
    try:
        with node_network(ETCD_NODE) as network:
            cluster = PatroniCluster(network, directory, Path(found).parent)
            for node in range(1, NODES + 1):
                (directory / f"socket-{node}").mkdir()
                shutil.chown(directory / f"socket-{node}", USER, USER)
            try:
                cluster.begin(synchronous=synchronous)
                yield cluster
            finally:
                cluster.end()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
