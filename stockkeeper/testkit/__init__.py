"""Other people's tests of their own code against an inventory service: in the test's process, in virtual time, with
faults that have names, and a seed that fixes all of it. `docs/testkit.md` is its manual.

It is the service and not a model of it. The client is InventoryClient with its stubs; the server is the real frame,
servicers, validation and error mapping before the real core. What is replaced is what a seed has to decide: the wire,
the disk, the clocks and the order in which tasks run. So no text and no status can drift from what a server in
production says; a test compares the two call by call all the same.

Turned down: a fake of InventoryClient with rules of its own (it would be wrong where it matters, at the edges);
grpc.aio over a socket (it knows real time and asyncio only, and its threads decide what runs next).
"""

from stockkeeper.testkit.kit_world import World
from stockkeeper.testkit.requested_faults import Fault
from stockkeeper.testkit.runs import Run, Simulation, SimulationFailed

__all__ = ["Fault", "Run", "Simulation", "SimulationFailed", "World"]
