"""What the server does, for those who run it."""

from stockkeeper_client.v1 import operations_pb2 as pb

from actors.queries import GetActivity
from rpc.call_answers import Deferred
from rpc.inventory_port import Inventory
from rpc.messages.activity_messages import activity
from rpc.transport.transport_port import Context


class OperationsServicer:
    """`inventory.v1.OperationsService`."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def __repr__(self) -> str:
        return f"<OperationsServicer of {self._inventory!r}>"

    def GetActivity(self, request: pb.GetActivityRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.answer(GetActivity("")), activity)
