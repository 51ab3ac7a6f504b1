"""What the generated modules share: a descriptor pool of their own.

In protobuf's default pool a name can be defined once in a process. A caller with generated code of its own for the same
contract, from another path or another version of it, would be refused as a duplicate symbol, or refuse this one. In a
pool of its own this code stands beside any other. Messages of the two are different classes, and the same on the wire.
(Not where protobuf runs without its C extension: its Python builder registers every message in the default pool too.)
"""

from google.protobuf import any_pb2, field_mask_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass, GetMessageClassesForFiles

__all__ = ["POOL", "Any", "FieldMask", "Message", "adopt"]

POOL = DescriptorPool()


def adopt(file: FileDescriptor) -> None:
    """Add a file of another pool, for the generated modules that refer to its messages."""
    POOL.AddSerializedFile(file.serialized_pb)
    GetMessageClassesForFiles([file.name], POOL)


adopt(any_pb2.DESCRIPTOR)
Any = GetMessageClass(POOL.FindMessageTypeByName("google.protobuf.Any"))
adopt(field_mask_pb2.DESCRIPTOR)
FieldMask = GetMessageClass(POOL.FindMessageTypeByName("google.protobuf.FieldMask"))
