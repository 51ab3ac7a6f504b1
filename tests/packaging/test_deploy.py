"""The files of deploy/ and .github/ agree with the program and with each other. Their form: `make lint-deploy`."""

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stockkeeper.command_line.cli import app
from stockkeeper.config import DEFAULT_PORT
from tests.packaging.environments import ROOT
from tests.system.test_options import VARIABLES

DEPLOY = ROOT / "deploy"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
OTHERS_VARIABLES = {"PATH", "PYTHONDONTWRITEBYTECODE", "PGPASSWORD"}


def loaded(file: str) -> Any:
    return yaml.safe_load((DEPLOY / file).read_text())


def manifest(name: str) -> Any:
    return loaded(f"kubernetes/{name}.yaml")


POD = manifest("statefulset")["spec"]["template"]["spec"]
[SERVER] = POD["containers"]
COMPOSE = loaded("compose.yaml")["services"]
UNIT = dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / "systemd/stockkeeper.service").read_text(), re.MULTILINE))
CELLS_PLACE = DEPLOY / "kubernetes-cells"
CELLS = {
    (one["kind"], one["metadata"]["name"]): one
    for path in sorted(CELLS_PLACE.glob("*.yaml"))
    for one in yaml.safe_load_all(path.read_text())
    if path.name != "kustomization.yaml"
}
NORTH = CELLS["StatefulSet", "stockkeeper-north"]["spec"]["template"]["spec"]
ROUTERS = CELLS["Deployment", "stockkeeper-routers"]["spec"]["template"]["spec"]
CELL_UNIT, ROUTE_UNIT = [(DEPLOY / f"systemd/stockkeeper-{name}.service").read_text() for name in ("cell@", "route")]


def started(unit: str) -> list[str]:
    """The command of a unit, for the instance north."""
    [command] = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    return shlex.split(command.replace("%i", "north"))[1:]


COMMANDS = {
    "cell": NORTH["containers"][0]["args"],
    "routers": ROUTERS["containers"][0]["args"],
    "cell's unit": started(CELL_UNIT),
    "router's unit": started(ROUTE_UNIT),
    "kubernetes": SERVER["args"],
    "compose": COMPOSE["stockkeeper"]["command"],
    "systemd": shlex.split(UNIT["ExecStart"])[1:],
}
SECONDS_TO_STOP = {
    "cell": NORTH["terminationGracePeriodSeconds"],
    "routers": ROUTERS["terminationGracePeriodSeconds"],
    "cell's unit": int(re.findall(r"^TimeoutStopSec=(.*)$", CELL_UNIT, re.MULTILINE)[0]),
    "router's unit": int(re.findall(r"^TimeoutStopSec=(.*)$", ROUTE_UNIT, re.MULTILINE)[0]),
    "kubernetes": POD["terminationGracePeriodSeconds"],
    "compose": int(COMPOSE["stockkeeper"]["stop_grace_period"].removesuffix("s")),
    "systemd": int(UNIT["TimeoutStopSec"]),
}


@pytest.mark.parametrize("place", COMMANDS)
def test_the_server_is_given_options_that_it_knows_and_time_to_stop(place: str) -> None:
    function, given, _ = app.parse_args(COMMANDS[place], exit_on_error=False, print_error=False)
    assert getattr(function, "__name__", "") == ("route" if "router" in place else "serve")
    assert 0 < given.arguments["grace_s"] <= SECONDS_TO_STOP[place] - 5


def test_the_variables_that_are_set_are_read() -> None:
    names = {one["name"] for one in SERVER["env"]} | COMPOSE["stockkeeper"]["environment"].keys()
    names |= {one["name"] for pod in (NORTH, ROUTERS) for one in pod["containers"][0]["env"]}
    names |= {*re.findall(r"^Environment=(\w+)=", CELL_UNIT + ROUTE_UNIT, re.MULTILINE)}
    names |= {UNIT["Environment"].partition("=")[0], *re.findall(r"^(?:ENV|   ) (\w+)=", CONTAINERFILE, re.MULTILINE)}
    assert names - OTHERS_VARIABLES <= {*VARIABLES}
    comments = "\n".join(path.read_text() for path in DEPLOY.rglob("*") if path.is_file())
    assert {*re.findall(r"(?:GRPC|STOCKKEEPER)_[A-Z_]+", comments)} <= {*VARIABLES}


def test_every_place_names_the_same_port() -> None:
    [named] = SERVER["ports"][:1]
    assert f"EXPOSE {DEFAULT_PORT}" in CONTAINERFILE
    assert named["containerPort"] == DEFAULT_PORT
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert SERVER[probe]["grpc"]["port"] == DEFAULT_PORT, probe
    [port, *_] = manifest("service")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (DEFAULT_PORT, named["name"])
    [rule, *_] = manifest("networkpolicy")["spec"]["ingress"]
    assert rule["ports"][0]["port"] == named["name"]
    assert COMPOSE["stockkeeper"]["ports"] == [f"127.0.0.1:{DEFAULT_PORT}:{DEFAULT_PORT}"]
    assert f"localhost:{DEFAULT_PORT}`" in (DEPLOY / "kubernetes/statefulset.yaml").read_text()


def test_prometheus_reads_where_the_server_shows_its_metrics() -> None:
    [port] = [one["containerPort"] for one in SERVER["ports"] if one["name"] == "metrics"]
    shown = {one["name"]: one.get("value") for one in SERVER["env"]}
    assert (shown["METRICS_HOST"], shown["METRICS_PORT"]) == ("0.0.0.0", str(port))
    assert manifest("service")["spec"]["ports"][1]["targetPort"] == "metrics"
    assert manifest("networkpolicy")["spec"]["ingress"][1]["ports"] == [{"port": "metrics"}]
    environment = COMPOSE["stockkeeper"]["environment"]
    assert (environment["METRICS_HOST"], environment["METRICS_PORT"]) == ("0.0.0.0", port)
    [job] = loaded("prometheus/prometheus.yml")["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"stockkeeper:{port}"]}]
    rules = loaded("prometheus/stockkeeper.rules.yml")["groups"][0]["rules"]
    [down] = [rule for rule in rules if rule["alert"] == "StockkeeperDown"]
    assert f'job="{job["job_name"]}"' in down["expr"]


def test_one_server_owns_the_database_and_what_is_about_it_means_its_pod() -> None:
    whole = manifest("statefulset")
    labels = whole["spec"]["template"]["metadata"]["labels"]
    assert (whole["kind"], whole["spec"]["replicas"]) == ("StatefulSet", 1)
    assert manifest("poddisruptionbudget")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert manifest("networkpolicy")["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert manifest("service")["spec"]["selector"].items() <= labels.items()
    assert whole["spec"]["serviceName"] == manifest("service")["metadata"]["name"]
    assert POD["serviceAccountName"] == manifest("serviceaccount")["metadata"]["name"]
    listed = set(loaded("kubernetes/kustomization.yaml")["resources"])
    assert listed == {it.name for it in (DEPLOY / "kubernetes").iterdir()} - {"kustomization.yaml"}
    volumes = {
        one["name"] for one in (*POD["volumes"], *(it["metadata"] for it in whole["spec"]["volumeClaimTemplates"]))
    }
    assert {one["name"] for one in SERVER["volumeMounts"]} == volumes


def patched(whole: Any, change: dict[str, Any]) -> None:
    """One operation of a JSON patch; a path that leads nowhere is a KeyError."""
    *way, last = change["path"].removeprefix("/").split("/")
    for step in way:
        whole = whole[int(step)] if isinstance(whole, list) else whole[step]
    match change["op"]:
        case "add" if isinstance(whole, list):
            whole.append(change["value"])
        case "add":
            whole[last] = change["value"]
        case "replace":
            assert last in whole
            whole[last] = change["value"]
        case _:
            del whole[last]


def test_with_a_standby_there_are_two_pods_that_live_and_one_that_is_ready() -> None:
    overlay = loaded("kubernetes-standby/kustomization.yaml")
    [patch] = overlay["patches"]
    assert patch["target"] == {"kind": "StatefulSet", "name": "stockkeeper"}
    whole = manifest("statefulset")
    for change in yaml.safe_load(patch["patch"]):
        patched(whole, change)
    [server] = whole["spec"]["template"]["spec"]["containers"]
    assert app.parse_args(server["args"], exit_on_error=False, print_error=False)[1].arguments["standby"]
    assert (whole["spec"]["replicas"], whole["spec"]["updateStrategy"]) == (2, {"type": "OnDelete"})
    lives = [server[probe] for probe in ("startupProbe", "livenessProbe")]
    assert all("grpc" not in probe and probe["tcpSocket"]["port"] == DEFAULT_PORT for probe in lives)
    assert server["readinessProbe"]["grpc"]["port"] == DEFAULT_PORT


def test_the_container_has_no_rights_and_writes_to_its_volume_alone() -> None:
    assert re.findall(r"^FROM \S+( AS build)?$", CONTAINERFILE, re.MULTILINE) == [" AS build", ""]
    [user] = re.findall(r"^USER (\d+):\d+$", CONTAINERFILE, re.MULTILINE)
    context = POD["securityContext"]
    assert context["runAsNonRoot"]
    assert context["runAsUser"] == context["fsGroup"] == int(user) > 0
    assert SERVER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    [state] = re.findall(r"DATABASE_URL=sqlite\+aiosqlite:///(/\S+)/", CONTAINERFILE)
    assert {"name": "state", "mountPath": state} in SERVER["volumeMounts"]
    assert UNIT["Environment"].endswith(f"{state}/stockkeeper.db")
    assert COMPOSE["stockkeeper"]["read_only"]


def test_the_container_is_built_from_every_folder_of_the_product() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    copied = set(re.findall(r"^COPY (\w+) \1$", CONTAINERFILE, re.MULTILINE))
    assert copied == {"client", *build["targets"]["wheel"]["packages"]}
    taken = re.findall(r"^COPY (?!--)(.+) \S+$", CONTAINERFILE, re.MULTILINE)
    patterns = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in " ".join(taken).split():
        assert (ROOT / name).exists(), name
        assert any(Path(name).match(pattern) for pattern in patterns), f"{name} is left out by .dockerignore"


def test_what_compose_mounts_and_asks_for_is_there() -> None:
    assert {"stockkeeper", "postgres", "rabbitmq", "prometheus", "grafana"} <= COMPOSE.keys()
    for service in COMPOSE.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert not source.startswith(".") or (DEPLOY / source).exists(), volume
        assert not service.get("depends_on", {}).keys() - COMPOSE.keys()
    asked = set(re.findall(r"\$\{(\w+):\?\}", (DEPLOY / "compose.yaml").read_text()))
    assert asked == set(re.findall(r"^(\w+)=", (DEPLOY / "compose.env.example").read_text(), re.MULTILINE))


def steps(value: Any) -> Iterator[dict[str, Any]]:
    for path in sorted((ROOT / ".github/workflows").glob("*.yaml")):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            yield from (step for step in job["steps"] if value in step)


def test_the_workflows_run_targets_of_the_makefile_and_every_action_is_pinned_by_its_digest() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = [target for step in steps("run") for target in re.findall(r"\bmake ([\w-]+)", step["run"])]
    assert {"check", "test", "test-grpcio", "lint-deploy", "release-check", "container"} <= {*targets}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]) for step in steps("uses"))


@pytest.mark.parametrize(("workflow", "job"), [("check", "test"), ("release", "build")])
def test_the_workflows_have_the_programs_without_which_tests_skip(workflow: str, job: str) -> None:
    wanted = re.findall(r"packages\+=\((\S+)\)", (ROOT / ".ci/run").read_text())
    assert {"rabbitmq-server", "prometheus"} <= {*wanted}
    steps = yaml.safe_load((ROOT / f".github/workflows/{workflow}.yaml").read_text())["jobs"][job]["steps"]
    [installed] = [step["run"] for step in steps if "apt-get install" in step.get("run", "")]
    assert {*wanted} <= {*installed.split()}
    assert "make test" in {step.get("run") for step in steps}


def test_every_version_of_python_that_is_promised_is_tried() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/check.yaml").read_text())
    versions = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    promised = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert promised == f">={versions[0]}"
    [base] = re.findall(r"^ARG PYTHON_IMAGE=\S+:(3\.\d+)-", CONTAINERFILE, re.MULTILINE)
    assert base in versions


def test_the_versions_agree_and_a_tag_of_another_one_is_refused() -> None:
    def said(*tag: str) -> tuple[int, str]:
        command = [sys.executable, "deploy/release_version.py", *tag]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    assert said()[0] == 0
    status, text = said("v99.0.0")
    assert status == 1
    assert "the tag says 99.0.0, not " in text
