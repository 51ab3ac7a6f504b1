"""The examples in the docstrings of the storage are true."""

import doctest
import importlib
from pathlib import Path

import pytest

MODULES = ["storage.store", "storage.sql.sql_store", "storage.sql.database_url", "storage.sql.instants"]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
