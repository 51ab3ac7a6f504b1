"""A backup is on the disk before it has its name, and its name is on the disk before it is said to be there."""

import os
import sqlite3
from pathlib import Path

import pytest

from storage.sql.backup import back_up
from storage.sql.sqlite_session import SqliteSession
from storage.sql.sqlite_settings import CONNECT_ARGUMENTS


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "x.db"
    raw = sqlite3.connect(path, **CONNECT_ARGUMENTS)
    session = SqliteSession(raw)
    session.take_over("a test")
    session.close()
    raw.close()
    return path


@pytest.mark.parametrize("replace", [False, True])
def test_the_copy_is_synced_before_it_gets_its_name_and_the_name_after(
    source: Path, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    synced: list[tuple[int, bool]] = []
    target = source.with_name("copy.db")
    if replace:
        target.write_text("an older one")
    real = os.fsync

    def fsync(descriptor: int) -> None:
        inode = os.fstat(descriptor).st_ino
        synced.append((inode, target.exists() and target.stat().st_ino == copy_inode(target)))
        real(descriptor)

    def copy_inode(path: Path) -> int:
        return path.stat().st_ino if path.read_bytes()[:6] == b"SQLite" else 0

    monkeypatch.setattr(os, "fsync", fsync)
    back_up(source, target, replace=replace)
    assert synced == [(target.stat().st_ino, False), (target.parent.stat().st_ino, True)]
