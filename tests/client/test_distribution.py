"""What the client is made of: the given contract, code generated from it, and what that code needs to run."""

import re
import sys
import tomllib
from pathlib import Path

import stockkeeper_client

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "client/stockkeeper_client/v1"


def found(match: re.Match[str] | None) -> re.Match[str]:
    assert match is not None
    return match


def test_the_given_contract_is_as_it_was_given() -> None:
    given = ROOT / "proto/baseline/inventory/v1/inventory.proto"
    assert (ROOT / "proto/inventory/v1/inventory.proto").read_bytes() == given.read_bytes()


def test_the_client_requires_no_less_than_its_generated_code_does() -> None:
    project = tomllib.loads((ROOT / "client/pyproject.toml").read_text(encoding="utf-8"))["project"]
    matches = [found(re.fullmatch(r"([\w-]+)>=([\d.]+),<\d+", line)) for line in project["dependencies"]]
    required = {match[1]: match[2] for match in matches}
    for path in GENERATED.glob("*_pb2_grpc.py"):
        assert found(re.search(r"GRPC_GENERATED_VERSION = '(.+)'", path.read_text()))[1] == required["grpcio"]
    for path in GENERATED.glob("*_pb2.py"):
        assert found(re.search(r"Protobuf Python Version: (.+)", path.read_text()))[1] == required["protobuf"]


def test_the_client_imports_nothing_that_it_does_not_require() -> None:
    allowed = {"stockkeeper_client", "grpc", "google"}
    for path in [*(ROOT / "client/stockkeeper_client").glob("*.py"), *GENERATED.parent.glob("sync/*.py")]:
        imported = set(re.findall(r"^(?:from|import) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        assert imported <= allowed | set(sys.stdlib_module_names), path


def test_it_is_typed_and_exports_what_it_names() -> None:
    assert (ROOT / "client/stockkeeper_client/py.typed").exists()
    assert all(hasattr(stockkeeper_client, name) for name in stockkeeper_client.__all__)


def requirements(path: str, *extras: str) -> dict[str, str]:
    """Names of distributions, each with the versions that are asked for."""
    project = tomllib.loads((ROOT / path).read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return {found(re.match(r"[\w-]+", line))[0]: found(re.match(r"[\w-]+(.*)", line))[1] for line in lines}


def test_the_server_asks_for_the_versions_of_grpc_that_the_client_asks_for() -> None:
    """And for none of those that read a message that is too long to its end."""
    wanted = requirements("client/pyproject.toml")["grpcio"]
    asked = {name: it for name, it in requirements("pyproject.toml", "server").items() if name.startswith("grpcio")}
    assert asked.pop("grpcio").replace("2,!=1.83.0", "1") == wanted
    assert asked
    assert set(asked.values()) == {wanted}


def test_the_test_kit_bounds_nothing_from_above_that_the_client_does_not() -> None:
    kit = requirements("pyproject.toml", "simulation")
    assert kit.pop("stockkeeper-client").startswith("==")
    assert {"anyio", "msgspec", "trio", "pytest", "cloudevents"} == kit.keys()
    assert all(re.fullmatch(r">=[\d.]+", versions) for versions in kit.values())
