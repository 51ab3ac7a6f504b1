"""The files of deploy/ for cells and routers agree with the map, with the program and with those for one server."""

import re
from typing import Any

import pytest

from cells.map_file import read_map
from stockkeeper.command_line.cli import app
from stockkeeper.config import DEFAULT_PORT
from tests.packaging.test_deploy import (
    CELL_UNIT,
    CELLS,
    CELLS_PLACE,
    COMMANDS,
    DEPLOY,
    NORTH,
    POD,
    ROUTE_UNIT,
    ROUTERS,
    SERVER,
    loaded,
)

MAP = read_map(str(CELLS_PLACE / "cells.toml"))
LINKS = ("cert", "key", "ca")
WHOLE_UNIT = (DEPLOY / "systemd/stockkeeper.service").read_text()


def options_of(place: str) -> dict[str, Any]:
    return app.parse_args(COMMANDS[place], exit_on_error=False, print_error=False)[1].arguments


def test_each_cell_of_the_map_is_a_stateful_set_of_one_and_all_are_alike() -> None:
    north = (CELLS_PLACE / "north.yaml").read_text()
    for name, cell in MAP.cells.items():
        assert (CELLS_PLACE / f"{name}.yaml").read_text() == north.replace("north", name)
        service, whole = CELLS["Service", f"stockkeeper-{name}"], CELLS["StatefulSet", f"stockkeeper-{name}"]
        ports = {one["name"]: one["port"] for one in service["spec"]["ports"]}
        assert cell.address == f"{service['metadata']['name']}:{ports['links']}"
        assert (whole["spec"]["replicas"], whole["spec"]["updateStrategy"]) == (1, {"type": "OnDelete"})
        assert whole["spec"]["serviceName"] == service["metadata"]["name"]
    given = options_of("cell")
    assert (given["cells"].cell, given["links"].link_name) == ("north", "stockkeeper-routers")
    assert given["links"].link_listen == f"0.0.0.0:{MAP.cells['north'].address.rpartition(':')[2]}"
    assert {kind for kind, name in CELLS if name == "stockkeeper-north"} == {
        "Service",
        "StatefulSet",
        "PodDisruptionBudget",
    }


def test_what_selects_pods_means_those_that_there_are() -> None:
    labels = {
        name: CELLS[kind, name]["spec"]["template"]["metadata"]["labels"]
        for kind, name in CELLS
        if kind in ("Deployment", "StatefulSet")
    }
    meant = {
        ("Service", "stockkeeper"): ["stockkeeper-routers"],
        ("PodDisruptionBudget", "stockkeeper-routers"): ["stockkeeper-routers"],
        ("NetworkPolicy", "stockkeeper-routers"): ["stockkeeper-routers"],
        ("NetworkPolicy", "stockkeeper-cells"): ["stockkeeper-north", "stockkeeper-south"],
        **{(kind, name): [name] for name in labels for kind in ("Service", "PodDisruptionBudget", "StatefulSet")},
        ("Deployment", "stockkeeper-routers"): ["stockkeeper-routers"],
    }
    for key, one in CELLS.items():
        if one["kind"] == "ServiceAccount":
            continue
        spec = one["spec"]
        selector = spec.get("podSelector") or spec["selector"]
        wanted = selector.get("matchLabels", selector)
        assert [name for name in sorted(labels) if wanted.items() <= labels[name].items()] == meant[key], key
        for rule in spec.get("ingress", []):
            known = {port["name"] for port in NORTH["containers"][0]["ports"]}
            assert {port["port"] for port in rule["ports"]} <= known
    from_routers = CELLS["NetworkPolicy", "stockkeeper-cells"]["spec"]["ingress"][0]["from"][0]["podSelector"]
    assert from_routers["matchLabels"].items() <= labels["stockkeeper-routers"].items()


@pytest.mark.parametrize("pod", [NORTH, ROUTERS], ids=["cell", "routers"])
def test_a_pod_has_what_its_command_reads_and_no_more_rights_than_the_single_server(pod: dict[str, Any]) -> None:
    [server] = pod["containers"]
    for key in ("securityContext", "serviceAccountName", "automountServiceAccountToken", "enableServiceLinks"):
        assert pod[key] == POD[key], key
    assert server["securityContext"] == SERVER["securityContext"]
    assert {one["name"] for one in server["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
    places = {one["mountPath"]: one["name"] for one in server["volumeMounts"]}
    assert not any("subPath" in one for one in server["volumeMounts"])  # Kubernetes would never change that file
    given = options_of("cell" if pod is NORTH else "routers")
    map_file = given["cells"].cells_map if pod is NORTH else given["cells_map"]
    files = [map_file, *(getattr(given["links"], f"link_{one}") for one in LINKS)]
    assert [places[file.rpartition("/")[0]] for file in files] == ["cells", "links", "links", "links"]
    [config] = [one["configMap"]["name"] for one in pod["volumes"] if "configMap" in one]
    generated = loaded("kubernetes-cells/kustomization.yaml")
    assert generated["configMapGenerator"] == [{"name": config, "files": [map_file.rpartition("/")[2]]}]
    assert generated["generatorOptions"] == {"disableNameSuffixHash": True}
    ports = {one["name"]: one["containerPort"] for one in server["ports"]}
    assert ports["grpc"] == DEFAULT_PORT
    assert server["readinessProbe"]["grpc"]["port"] == DEFAULT_PORT
    alive = {
        probe: next(iter(server[probe].keys() & {"grpc", "tcpSocket"})) for probe in ("startupProbe", "livenessProbe")
    }
    assert {*alive.values()} == {"grpc" if pod is NORTH else "tcpSocket"}


def test_all_that_is_there_is_applied_and_of_one_version() -> None:
    overlay = loaded("kubernetes-cells/kustomization.yaml")
    assert {*overlay["resources"]} == {one.name for one in CELLS_PLACE.glob("*.yaml")} - {"kustomization.yaml"}
    assert overlay["images"] == loaded("kubernetes/kustomization.yaml")["images"]


def test_the_units_of_cells_and_routers_are_as_hardened_as_the_servers() -> None:
    hardening = WHOLE_UNIT[WHOLE_UNIT.index("NoNewPrivileges=") :]
    for unit in (CELL_UNIT, ROUTE_UNIT):
        assert unit.endswith(hardening)
        assert {"User=stockkeeper", "UMask=0077", "Restart=on-failure"} <= {*unit.splitlines()}
    assert "RuntimeDirectory=stockkeeper\nRuntimeDirectoryMode=0700\nRuntimeDirectoryPreserve=yes" in CELL_UNIT
    assert re.findall(r"^RestartPreventExitStatus=(.*)$", CELL_UNIT + ROUTE_UNIT, re.MULTILINE) == ["2 3", "2"]
    cell, router = options_of("cell's unit"), options_of("router's unit")
    assert cell["cells"].cells_map == router["cells_map"]
