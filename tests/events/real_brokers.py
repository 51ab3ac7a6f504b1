"""Real brokers for tests, each with a port and a directory of its own: RabbitMQ of Debian's, and NATS of PyPI's."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.authority import Authority
from tests.ports import free_port

START_S = 60.0
RABBIT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
HOW_TO_GET_RABBIT = "RabbitMQ is not installed: apt-get install rabbitmq-server"


CONFIG = """[
  {kernel, [{inet_dist_use_interface, {127,0,0,1}}]},
  {rabbit, [
    {ssl_listeners, [{"127.0.0.1", %d}]},
    {ssl_options, [{cacertfile, "%s"}, {certfile, "%s"}, {keyfile, "%s"}, {verify, verify_none}]}
  ]}
].
"""


class BrokerProcess:
    """A process group that is started and killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env={**os.environ, **self.environment()},
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        end_s = time.monotonic() + START_S
        while time.monotonic() < end_s:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as one:
                    one.settimeout(2)
                    if self.greets(one):
                        return
            except OSError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text(errors="replace")[-4_000:])

    def greets(self, connection: socket.socket) -> bool:
        return True

    def kill(self) -> None:
        """As kill -9 does, with all that it started."""
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def end(self) -> None:
        """Kill it, and leave nothing behind."""
        self.kill()


class RabbitServer(BrokerProcess):
    """RabbitMQ, with what it keeps in `folder`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._ports = (free_port(), free_port())
        self.tls_port = free_port()
        self._mapper: subprocess.Popen[bytes] | None = None
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"
        (folder / "plugins").write_text("[].")
        self.authority = authority = Authority(folder, "broker")
        self.tls_url = f"amqps://guest:guest@localhost:{self.tls_port}/?cafile={authority.file}"
        files = authority.files()
        (folder / "rabbitmq.config").write_text(
            CONFIG % (self.tls_port, authority.file, files.certificate, files.key), encoding="utf-8"
        )

    def start(self) -> None:
        """Its port mapper is started here too: the one that it would start itself outlives it."""
        if self._mapper is None:
            self._mapper = subprocess.Popen(["epmd", "-port", str(self._ports[1]), "-address", "127.0.0.1"])
        super().start()

    def end(self) -> None:
        super().end()
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait()

    def command(self) -> list[str]:
        return [str(RABBIT)]

    def environment(self) -> dict[str, str]:
        distribution, epmd = self._ports
        return {
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def greets(self, connection: socket.socket) -> bool:
        connection.sendall(b"AMQP\x00\x00\x09\x01")
        return connection.recv(1) != b""


class NatsServer(BrokerProcess):
    """NATS with JetStream, with what it keeps in `folder`."""

    def __init__(self, folder: Path, options: Sequence[str] = ()) -> None:
        super().__init__(folder)
        self.url = f"nats://127.0.0.1:{self.port}"
        self._options = options

    def command(self) -> list[str]:
        program = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or "nats-server"
        own = ("-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.folder / "stream"))
        return [program, *own, *self._options]

    def greets(self, connection: socket.socket) -> bool:
        return connection.recv(4) == b"INFO"


KINDS: dict[str, type[BrokerProcess]] = {"rabbit": RabbitServer, "nats": NatsServer}


@contextmanager
def running_broker(kind: str, folder: Path) -> Iterator[BrokerProcess]:
    """A broker that has just been started, for as long as the block."""
    folder.mkdir(parents=True, exist_ok=True)
    broker = KINDS[kind](folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.end()
