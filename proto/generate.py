"""Generates `client/stockkeeper_client/v1` from the contract, and `client/stockkeeper_client/sync` from the client.

With `--check` it only compares.

The generated code is committed, so that neither an installation nor a reader needs a compiler. It demands a grpcio and
a protobuf no older than those it was generated with, and a caller of the service has to satisfy that. So the version of
grpcio-tools is pinned in pyproject.toml (extra `dev`) to the oldest that serves, and anything else is refused here: a
newer one would change every file and raise what the client requires.

What protoc writes is changed in three ways:

- The Python package is `stockkeeper_client.v1` and not `inventory.v1`, a name that a shop may have for its own code.
- The messages live in a descriptor pool of their own (`stockkeeper_client.v1.protobuf`). In protobuf's, a caller's own
  generated code of the same contract would be refused as a duplicate.
- The type stubs name no type of protobuf or gRPC, which have types only where types-protobuf and types-grpcio are
  installed. Services, for which protoc writes no type stub, get one from `service_stubs`.
"""

import argparse
import importlib.metadata
import re
import sys
import tempfile
import tomllib
from pathlib import Path

from blocking_client import HEADER, blocking_client
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc
from service_stubs import service_stub

PROTO = Path(__file__).resolve().parent
ROOT = PROTO.parent
CLIENT = ROOT / "client"
PACKAGE = "stockkeeper_client.v1"
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the committed code differs")
    check: bool = parser.parse_args().check
    require_pinned_tools()
    with tempfile.TemporaryDirectory() as scratch:
        fresh = generate(Path(scratch)) | blocking_client()
    committed = read_generated(CLIENT) | read_blocking()
    changed = sorted(path for path in fresh.keys() | committed.keys() if fresh.get(path) != committed.get(path))
    if check:
        if changed:
            sys.exit(f"{', '.join(changed)} in client/ differ from what they are made of: run `make proto`.")
        return
    for path in changed:
        if path in fresh:
            (CLIENT / path).parent.mkdir(parents=True, exist_ok=True)
            (CLIENT / path).write_bytes(fresh[path])
        else:
            (CLIENT / path).unlink()
        sys.stdout.write(f"client/{path}\n")


def require_pinned_tools() -> None:
    """Exits with one sentence unless the installed grpcio-tools is the one that pyproject.toml pins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = re.findall(r"^grpcio-tools==(\S+)$", "\n".join(project["optional-dependencies"]["dev"]), re.M)
    if len(pins) != 1:
        sys.exit("pyproject.toml has to pin grpcio-tools to one version (grpcio-tools==…) in the extra `dev`.")
    pinned, installed = pins[0], importlib.metadata.version("grpcio-tools")
    if installed != pinned:
        sys.exit(f"grpcio-tools {installed} is installed, but pyproject.toml pins {pinned}: install that one.")


def generate(target: Path) -> dict[str, bytes]:
    """Runs protoc into `target`, and returns what it wrote by path relative to `target`."""
    sources = sorted(path.relative_to(PROTO).as_posix() for path in (PROTO / "inventory").rglob("*.proto"))
    descriptors = target / "descriptors.binpb"
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTO}",
            f"--proto_path={PROTO / 'third_party'}",
            f"--proto_path={Path(protoc.__file__).parent / '_proto'}",  # google.protobuf
            f"--python_out={target}",
            f"--pyi_out={target}",
            f"--grpc_python_out={target}",
            f"--descriptor_set_out={descriptors}",
            *sources,
            "google/rpc/status.proto",
        ]
    )
    if status != 0:
        sys.exit("protoc refused the contract, see above.")
    for file in FileDescriptorSet.FromString(descriptors.read_bytes()).file:
        stub = target / file.name.replace(".proto", "_pb2_grpc.pyi")
        if file.service:
            stub.write_text("\n".join(service_stub(file, PACKAGE)) + "\n", newline="\n")
        else:
            stub.with_suffix(".py").unlink()
    return move_into_client(target)


def move_into_client(target: Path) -> dict[str, bytes]:
    """What protoc wrote, by its path in `client/`, and as it is there."""
    written = read_generated(target)
    return {f"{PACKAGE.replace('.', '/')}/{Path(path).name}": adapt(path, written[path]) for path in written}


def adapt(path: str, written: bytes) -> bytes:
    """A generated file with its modules named by where they are installed. Names on the wire stay as they are."""
    text = written.decode()
    # protoc names a module by the folder of its .proto file.
    text = re.sub(r"^from (?:inventory\.v1|google\.rpc) import", f"from {PACKAGE} import", text, flags=re.M)
    text = re.sub(r"'(?:inventory\.v1|google\.rpc)\.(\w+_pb2)'", rf"'{PACKAGE}.\1'", text)
    text = re.sub(r"inventory/v1/(\w+_pb2_grpc\.py)", rf"{PACKAGE.replace('.', '/')}/\1", text)
    if path.endswith("_pb2_grpc.py"):
        text += blocking_stubs(text)
    elif path.endswith("_pb2.py"):
        text = with_own_pool(text)
    elif path.endswith("_pb2.pyi"):
        text = with_own_types(text)
    return text.encode()


def with_own_pool(text: str) -> str:
    """Registers the descriptors in the client's own pool, and in it too what they are made of."""
    text = text.replace(
        "from google.protobuf import descriptor_pool as _descriptor_pool\n", f"from {PACKAGE} import protobuf as _own\n"
    )
    text = text.replace("_descriptor_pool.Default().", "_own.POOL.")
    return re.sub(
        r"^(from google\.protobuf import \w+_pb2 as (\w+))$", r"\1\n_own.adopt(\2.DESCRIPTOR)", text, flags=re.M
    )


def with_own_types(text: str) -> str:
    text = re.sub(
        r"^from google\.protobuf(?:\.internal)? import \w+ as", f"from {PACKAGE} import protobuf as", text, flags=re.M
    )
    return text.replace("_Mapping]", "_Mapping[str, object]]")


def blocking_stubs(text: str) -> str:
    """The second name of each stub class, see `service_stubs`."""
    return "".join(f"\n\n{name}BlockingStub = {name}Stub\n" for name in re.findall(r"^class (\w+)Stub", text, re.M))


def read_generated(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for pattern in GENERATED
        for path in folder.rglob(pattern)
    }


def read_blocking() -> dict[str, bytes]:
    texts = {path: path.read_bytes() for path in (CLIENT / "stockkeeper_client/sync").glob("*.py")}
    mark = HEADER.partition("{")[0].encode()
    return {path.relative_to(CLIENT).as_posix(): text for path, text in texts.items() if text.startswith(mark)}


if __name__ == "__main__":
    main()
