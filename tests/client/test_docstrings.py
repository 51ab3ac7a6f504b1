"""The examples in the client's docstrings run."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("module", ["circuit", "errors", "items"])
def test_the_examples_of_a_module_run(module: str) -> None:
    results = doctest.testmod(importlib.import_module(f"stockkeeper_client.{module}"))
    assert results.attempted > 0
    assert results.failed == 0
