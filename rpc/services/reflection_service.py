"""grpc.reflection, versions 1 and 1alpha: what the server serves, told to tools such as grpcurl and `buf curl`.

The package grpcio-reflection has the older version only. The newer one has the same messages under another name, and
tools ask for it first; so it is made of the older one's description, and both are served by one servicer.
"""

from collections.abc import Sequence

from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection, reflection_pb2

from rpc.messages.descriptors import pool_of
from rpc.service_names import REFLECTION_V1, REFLECTION_V1ALPHA


def reflection_servicer(services: Sequence[str]) -> reflection.aio.ReflectionServicer:
    """The servicer of both versions. It lists and describes the services, and itself in both versions.

    Args:
        services: full names. Their generated code has been imported.
    """
    pool = pool_of([*services, REFLECTION_V1ALPHA])
    pool.Add(_description_of_v1())
    return reflection.aio.ReflectionServicer([*services, REFLECTION_V1ALPHA, REFLECTION_V1], pool)


def _description_of_v1() -> FileDescriptorProto:
    """The file of the newer version, by its official name."""
    file = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    file.ClearField("options")  # that it is deprecated, and packages of other languages
    text = text_format.MessageToString(file).replace("grpc.reflection.v1alpha", "grpc.reflection.v1")
    newer = text_format.Parse(text, FileDescriptorProto())
    newer.name = "grpc/reflection/v1/reflection.proto"
    return newer
