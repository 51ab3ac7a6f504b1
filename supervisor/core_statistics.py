"""What a running core says of itself."""

from msgspec import Struct

from supervisor.activations.directory import DirectoryStatistics
from supervisor.activations.loader import LoaderStatistics
from supervisor.background.expiry import ExpiryStatistics
from supervisor.background.expiry_hints import ExpiryHintsStatistics
from supervisor.background.housekeeping import HousekeepingStatistics
from supervisor.background.learning import LearningStatistics
from supervisor.background.sweeping import SweepingStatistics
from supervisor.cursors import CursorStatistics
from supervisor.held_organizations import HeldOrganizationsStatistics
from supervisor.ownership.heartbeat import HeartbeatStatistics
from supervisor.ownership.lease import LeaseStatistics
from supervisor.transactions.coordinator import CoordinatorStatistics
from supervisor.transactions.folding import FoldingStatistics
from supervisor.transactions.journal import JournalSizes, JournalStatistics
from supervisor.transactions.uploads import UploadsStatistics


class Statistics(Struct, frozen=True):
    """What is in memory and what was done in this incarnation."""

    calls_under_way: int
    queries_under_way: int
    journal: JournalStatistics
    variants: DirectoryStatistics
    orders: DirectoryStatistics
    requests: DirectoryStatistics
    transfers: DirectoryStatistics
    variant_loads: LoaderStatistics
    order_loads: LoaderStatistics
    expiry: ExpiryStatistics
    expiry_hints: ExpiryHintsStatistics
    housekeeping: HousekeepingStatistics
    learning: LearningStatistics
    lease: LeaseStatistics
    heartbeat: HeartbeatStatistics
    cursors: CursorStatistics
    coordinator: CoordinatorStatistics
    journal_sizes: JournalSizes
    uploads: UploadsStatistics
    folding: FoldingStatistics
    held: HeldOrganizationsStatistics
    sweeping: SweepingStatistics
