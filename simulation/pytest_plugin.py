"""The pytest plugin of the distribution: a fixture, and nothing that is imported before somebody asks for it."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from simulation.kit import Simulation


@pytest.fixture
def simulation() -> "Simulation":
    """An inventory service in virtual time: see `simulation.kit`."""
    from simulation.kit import Simulation

    return Simulation()
