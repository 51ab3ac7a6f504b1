"""SQLite on a disk that loses power."""

import sqlite3
from random import Random
from typing import cast

import pytest

from simulation.disks.database_file import empty_database
from simulation.disks.power_cut_database import NAME, ApswConnection
from simulation.disks.power_cut_disk import PowerCut, PowerCutDisk, SimulatedFile
from simulation.power_cut import cut_power
from storage.sql.batch_sqlite import write_batch
from storage.store import OwnershipLost, StorageError
from tests.storage.scribe import Scribe


def test_nothing_acknowledged_is_lost() -> None:
    report = cut_power(1, 250)
    assert report.violations == ()
    assert report.cuts == 250
    assert report.lost == 0
    assert 0 < report.kept < report.interrupted


def test_without_a_sync_at_each_commit_acknowledged_batches_are_lost() -> None:
    report = cut_power(1, 50, "NORMAL")
    assert report.violations == ()
    assert 0 < report.lost < 50


def test_without_any_sync_the_file_itself_breaks() -> None:
    assert cut_power(1, 100, "OFF").violations


def test_only_a_sync_makes_a_write_durable() -> None:
    file = SimulatedFile(b"a" * 1024)
    file.write(0, b"b" * 512)
    file.sync()
    file.write(256, b"c" * 512)
    left = {bytes(file.after_cut(Random(seed), 0.5).contents) for seed in range(40)}
    first, second = (b"b" * 512, b"b" * 256 + b"c" * 256), (b"a" * 512, b"c" * 256 + b"a" * 256)
    assert left == {one + other for one in first for other in second}


def test_every_call_of_a_commit_can_be_the_last() -> None:
    scribe = Scribe()
    received, reserved = scribe.receive(), scribe.reserve()
    found = []
    for calls in range(1, 100):
        for seed in range(4):
            disk = PowerCutDisk({NAME: empty_database()}, Random(f"{calls}/{seed}"))
            connection = ApswConnection(disk)
            write_batch(cast(sqlite3.Connection, connection), 0, [received])
            disk.cut_after(calls)
            try:
                write_batch(cast(sqlite3.Connection, connection), 0, [reserved])
            except PowerCut:
                assert not disk.is_on
            else:
                disk.cut()
            connection.close()
            disk.switch_on()
            connection = ApswConnection(disk)
            found += connection.execute("SELECT last_lsn FROM ownership").fetchone()
            connection.close()
        if found[-4:] == [2, 2, 2, 2]:
            break
    assert set(found[:-4]) == {1, 2}
    assert len(found) > 40
    assert found[0] == 1


def test_the_adapter_refuses_as_the_drivers_connection_does() -> None:
    disk = PowerCutDisk({NAME: empty_database()}, Random(0))
    connection = ApswConnection(disk)
    raw = cast(sqlite3.Connection, connection)
    scribe = Scribe()
    scribe.receive()
    with pytest.raises(StorageError):
        write_batch(raw, 0, [scribe.receive()])
    with pytest.raises(OwnershipLost):
        write_batch(raw, 7, [scribe.receive()])
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("UPDATE ownership SET singleton = 2")
    with pytest.raises(sqlite3.OperationalError):
        connection.execute("SELECT nothing")
    assert not connection.in_transaction
    connection.close()


def test_a_disk_counts_its_cuts() -> None:
    disk = PowerCutDisk({}, Random(1))
    disk.sync("a", disk.open("a"))
    disk.cut()
    disk.switch_on()
    counts = disk.statistics()
    assert (counts.calls, counts.cuts, counts.files) == (1, 1, 1)
    assert repr(disk) == f"<PowerCutDisk {disk.vfs_name} on calls=1 cuts=1>"
    disk.close()
