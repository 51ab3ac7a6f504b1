"""What Prometheus reads of a real server: the figures are those of what was done. The dashboard and the alerts ask for
nothing else.
"""

import asyncio
import json
import re
import shlex
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import anyio
import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families
from stockkeeper_client.v1 import events_pb2
from stockkeeper_client.v1.events_pb2_grpc import EventsServiceStub

from stockkeeper.metrics.router_figures import CellFigures, RouterFigures
from stockkeeper.metrics.router_metrics import router_metrics
from tests.system.manual import commands
from tests.system.servers import ORGANIZATION, ROOT, ServerProcess, line, running_server

RULES = ROOT / "deploy" / "prometheus" / "stockkeeper.rules.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "stockkeeper.json"
MANUAL = ROOT / "docs" / "operations.md"
SERVICE = "inventory.v1.InventoryService"
OF_PROMETHEUS = {"instance", "job", "le"}  # labels that it adds, or that are of every histogram
CODES = {code.name for code in grpc.StatusCode}


class Page(NamedTuple):
    """Samples by their name and labels."""

    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]

    @classmethod
    def of(cls, text: str) -> "Page":
        families = text_string_to_metric_families(text)
        return cls({(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples})

    def value(self, name: str, **labels: str) -> float:
        return self.samples[name, frozenset(labels.items())]

    def sum(self, name: str, **labels: str) -> float:
        return sum(value for (its, of), value in self.samples.items() if its == name and labels.items() <= set(of))

    def labels(self, name: str) -> dict[str, set[str]]:
        """The values of each label; nothing if there is no such sample."""
        found: dict[str, set[str]] = {}
        for its, of in self.samples:
            if its == name:
                found.setdefault("", set())
                for label, value in of:
                    found.setdefault(label, set()).add(value)
        return found


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def pages_of(server: ServerProcess) -> list[str]:
    """Where its processes have said that they show metrics."""
    entries = [json.loads(text) for text in server.log.read_text().splitlines() if text.startswith("{")]
    shown = [entry for entry in entries if entry["event"] == "metrics_shown"]
    return [f"http://{entry['addresses'][0]}{entry['path']}" for entry in shown]


async def read(url: str) -> Page:
    status, text = await asyncio.to_thread(get, url)
    assert status == 200, text
    return Page.of(text)


async def trade(server: ServerProcess) -> None:
    """A day of a small shop: 3 reservations, one of them confirmed, one too large, and one row that is low."""
    async with server.client() as client:
        await client.stock.import_stock([line("mug", 50), line("pot", 0), {**line("cup", 5), "reorder_point": 9}])
        made = [
            await client.reserve_stock(ORGANIZATION, f"o{n}", [{"variant_id": "mug", "quantity": 2}]) for n in (1, 2, 3)
        ]
        await client.confirm_reservation(ORGANIZATION, made[0].reservation_id, "o1")
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError):
                await client.reserve_stock(ORGANIZATION, "o4", [{"variant_id": "mug", "quantity": 99}])


async def scrape(directory: Path) -> Page:
    first, *_ = commands("Watching it")  # as the manual has it, but for the port
    assert first == "stockkeeper serve --metrics-port 9464"
    async with running_server(directory / "stock.db", *shlex.split(first.replace("9464", "0"))[2:]) as server:
        await trade(server)
        assert (await read(pages_of(server)[0])).value("stockkeeper_serving") == 1
        hosts = {urlsplit(url).hostname for url in pages_of(server)}
        assert hosts <= {"127.0.0.1", "::1"}  # no other machine reaches it, unless that is asked for
    async with running_server(directory / "stock.db", "--metrics-port", "0", "--metrics-path", "/figures") as server:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            await EventsServiceStub(channel).TakeCursor(events_pb2.TakeCursorRequest(name="shop-events"))
            await trade(server)
            async with server.client() as client:  # what the first server did is nothing new, but this is
                await client.stock.import_stock([line("box", 50)])
            with pytest.raises(grpc.aio.AioRpcError):
                await channel.unary_unary("/no.such.Service/Method")(b"")  # type: ignore[arg-type]  # bytes
        page = pages_of(server)[-1]
        status, text = await asyncio.to_thread(get, page.replace("/figures", "/metrics"))
        assert (status, "/figures" in text) == (404, True)
        return await read(page)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return anyio.run(partial(scrape, tmp_path_factory.mktemp("metrics")))


def test_calls_are_counted_by_method_and_status(page: Page) -> None:
    count = partial(page.value, "rpc_server_call_duration_seconds_count", rpc_system_name="grpc")
    reserve = f"{SERVICE}/ReserveStock"
    assert (
        count(rpc_method=reserve, rpc_response_status_code="OK") == 3
    )  # again: what the first server did is not its own
    assert count(rpc_method=reserve, rpc_response_status_code="FAILED_PRECONDITION") == 2
    assert count(rpc_method=f"{SERVICE}/ConfirmReservation", rpc_response_status_code="OK") == 1
    assert count(rpc_method="_OTHER", rpc_response_status_code="UNIMPLEMENTED") == 1
    buckets = partial(page.value, "rpc_server_call_duration_seconds_bucket", rpc_system_name="grpc", rpc_method=reserve)
    bounds = sorted(page.labels("rpc_server_call_duration_seconds_bucket")["le"], key=float)
    cumulated = [buckets(rpc_response_status_code="OK", le=bound) for bound in bounds]
    assert cumulated == sorted(cumulated)
    assert cumulated[-1] == 3
    assert 0 < page.sum("rpc_server_call_duration_seconds_sum", rpc_method=reserve, rpc_response_status_code="OK") < 60


def test_the_core_tells_of_its_journal_its_holds_and_its_refusals(page: Page) -> None:
    assert page.value("stockkeeper_refusals_total", reason="INSUFFICIENT_STOCK") == 2
    # Of the three orders, only that which was confirmed is asked for again; the import is another one.
    written = page.value("stockkeeper_journal_batch_transactions_sum")
    assert written >= 1
    assert page.value("stockkeeper_journal_batch_transactions_count") == page.value(
        "stockkeeper_journal_commit_seconds_count"
    )
    assert page.value("stockkeeper_journal_last_lsn") == page.value("stockkeeper_journal_durable_lsn") > written
    assert page.value("stockkeeper_journal_undurable_entries") == 0
    assert page.value("stockkeeper_holds_total") >= 2
    assert page.value("stockkeeper_activations", kind="variants") == 4
    assert page.value("stockkeeper_serving") == 1
    assert page.value("stockkeeper_epoch") == 2
    assert page.value("stockkeeper_incarnations_total") == 1


def test_the_database_is_counted_at_the_start(page: Page) -> None:
    states = {state: page.value("stockkeeper_reservations", state=state) for state in ("active", "confirmed")}
    assert states == {"active": 2, "confirmed": 1}
    low = partial(page.value, "stockkeeper_low_stock_rows", organization_id=ORGANIZATION)
    assert low(alert_level="critical") == 1  # no piece is left of the pots
    assert low(alert_level="warning") == 1  # and few of the cups


def test_a_relay_tells_how_far_it_is(page: Page) -> None:
    behind = page.value("stockkeeper_relay_lag_transactions", cursor="shop-events")
    # It began at the end, and passes on nothing.
    assert behind == page.value("stockkeeper_journal_batch_transactions_sum")
    assert 0 < page.value("stockkeeper_relay_lag_seconds", cursor="shop-events") < 120
    assert page.value("stockkeeper_relay_running", cursor="shop-events") == 1


def test_the_process_tells_what_it_takes(page: Page) -> None:
    assert page.value("process_resident_memory_bytes") > 20e6
    assert page.value("process_open_fds") < page.value("process_max_fds")
    assert "" in page.labels("stockkeeper_event_loop_held_total")["rpc_method"]


# ---- what asks for them -------------------------------------------------------------------------------------------


def alerts() -> dict[str, Mapping[str, str]]:
    """The alerts by name, with their expression and where they are explained."""
    blocks = RULES.read_text().split("- alert: ")[1:]
    return {
        block.splitlines()[0].strip(): {key: found(rf"{key}: (.+)", block) for key in ("expr", "runbook_url")}
        for block in blocks
    }


def found(pattern: str, text: str) -> str:
    matched = re.search(pattern, text)
    assert matched is not None, (pattern, text)
    return matched[1]


def asked() -> Iterator[tuple[str, str]]:
    """Every expression, by who asks."""
    for name, alert in alerts().items():
        yield f"alert {name}", alert["expr"]
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']}", target["expr"]


SELECTOR = re.compile(r"\b((?:stockkeeper|rpc|process|python)_\w+|up)\b(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!=|!~|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|on|without|ignoring) \(([^)]*)\)")


def complaints_of(expression: str, page: Page) -> Iterator[str]:
    """What an expression asks for that the page does not have."""
    grouped = {label.strip() for group in GROUPING.findall(expression) for label in group.split(",")}
    known = set(OF_PROMETHEUS)
    selectors = SELECTOR.findall(GROUPING.sub("", expression))
    if not selectors:
        yield "no metric"
    for name, matchers in selectors:
        labels = {"job": {"stockkeeper"}, "": set()} if name == "up" else page.labels(name)
        if not labels:
            yield f"no metric {name}"
        known |= set(labels)
        for label, operator, value in MATCHER.findall(matchers):
            if label == "instance":
                continue
            if label not in labels:
                yield f"{name} has no label {label}"
            elif operator == "=" and value not in labels[label] | (CODES if label.endswith("_code") else set()):
                yield f"{label} of {name} is never {value}"
    if not grouped <= known:
        yield f"no label {sorted(grouped - known)}"


@pytest.fixture(scope="module")
def pages(page: Page) -> Page:
    """With what a router shows beside; tests/system/test_route.py reads that of one that runs."""
    found = RouterFigures(1, (CellFigures("north", is_served=True, under_way=0),), 0, 0, 0, 0, 0, 0)
    samples = [sample for metric in router_metrics(found) for sample in metric.samples]
    return Page(page.samples | {(one.name, frozenset(one.labels.items())): one.value for one in samples})


def test_the_dashboard_and_the_alerts_ask_for_what_there_is(pages: Page) -> None:
    every = list(asked())
    assert len(every) > 70
    assert {who: wrong for who, expression in every if (wrong := list(complaints_of(expression, pages)))} == {}


def test_the_dashboard_shows_each_of_our_metrics_or_an_alert_asks_for_it(pages: Page) -> None:
    named = {re.sub(r"_(bucket|sum|count)$", "", name) for _, text in asked() for name, _ in SELECTOR.findall(text)}
    ours = {
        re.sub(r"_(bucket|sum|count)$", "", name) for name, _ in pages.samples if name.startswith(("stockk", "rpc_"))
    }
    assert ours - named == {
        "stockkeeper_census_age_seconds",
        "stockkeeper_core_calls_under_way",
        "stockkeeper_core_queries_under_way",
        "stockkeeper_event_loop_held_seconds_total",
        "stockkeeper_event_loop_longest_turn_seconds",
        "stockkeeper_housekeeping_failures_total",
        "stockkeeper_housekeeping_rows_total",
        "stockkeeper_lease_answers_waiting",
        "stockkeeper_loads_waiting",
        "stockkeeper_passivated_total",
        "stockkeeper_relay_running",
        "stockkeeper_stream_lines",
    }


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("stockkeeper_nothing > 1", "no metric stockkeeper_nothing"),
        ('stockkeeper_refusals_total{why="x"}', "stockkeeper_refusals_total has no label why"),
        ('stockkeeper_reservations{state="lost"}', "state of stockkeeper_reservations is never lost"),
        ("sum by (shop) (stockkeeper_serving)", "no label ['shop']"),
        ("1 + 1", "no metric"),
    ],
)
def test_a_wrong_expression_is_found(page: Page, expression: str, complaint: str) -> None:
    assert complaint in list(complaints_of(expression, page))


def test_each_alert_has_its_paragraph_in_the_manual() -> None:
    headings = re.findall(r"^### (Stockkeeper\w+)\n\n(.+)", MANUAL.read_text(), re.MULTILINE)
    assert [name for name, _ in headings] == list(alerts())
    for name, alert in alerts().items():
        assert alert["runbook_url"] == f"docs/operations.md#{name.lower()}"
        assert len(dict(headings)[name]) > 80, name


@pytest.mark.skipif(shutil.which("promtool") is None, reason="apt-get install prometheus has promtool")
def test_the_rules_are_well_formed_and_each_alert_fires() -> None:
    for arguments in (["check", "rules", str(RULES)], ["test", "rules", str(RULES.with_suffix(".test.yml"))]):
        done = subprocess.run(["promtool", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    tested = set(re.findall(r"alertname=\"(\w+)\"", RULES.with_suffix(".test.yml").read_text()))
    assert tested == set(alerts())


# ---- front-ends, and none -----------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_front_end_shows_its_calls_and_the_owner_the_core(tmp_path: Path) -> None:
    options = ("--frontends", "1", "--metrics-port", "0", "--metrics-host", "127.0.0.1")
    async with running_server(tmp_path / "stock.db", *options) as server:
        await trade(server)
        pages = [await read(url) for url in pages_of(server)]
        [owner] = [one for one in pages if one.labels("stockkeeper_serving")]
        [frontend] = [one for one in pages if one.labels("rpc_server_call_duration_seconds_count")]
        assert frontend is not owner
        assert owner.value("stockkeeper_refusals_total", reason="INSUFFICIENT_STOCK") == 2
        assert frontend.sum("rpc_server_call_duration_seconds_count", rpc_method=f"{SERVICE}/ReserveStock") == 5


@pytest.mark.anyio
async def test_a_port_that_is_in_use_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    async with running_server(tmp_path / "one.db", "--metrics-port", "0") as server:
        taken = found(r":(\d+)/", pages_of(server)[0])
        options = ("--port", "0", "--metrics-port", taken, "--database-url", f"sqlite+aiosqlite:///{tmp_path}/two.db")
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "stockkeeper", "serve", *options],
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
    assert (done.returncode, taken in done.stderr, len(done.stderr.splitlines())) == (1, True, 1), done.stderr


def test_without_metrics_nothing_of_prometheus_is_imported() -> None:
    imports = "import sys, stockkeeper.command_line.serve_command, stockkeeper.serving.serve"
    program = f"{imports}\nprint('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "False\n"
