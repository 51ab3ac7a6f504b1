"""A test that hangs fails by its name."""

import anyio
import pytest

from tests.conftest import limited


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_coroutine_that_hangs_fails_and_the_next_test_runs() -> None:
    with pytest.raises(TimeoutError):
        await limited(anyio.sleep_forever, 0.01)()
    await limited(anyio.lowlevel.checkpoint, 60)()


def test_every_other_test_has_a_limit_too(pytestconfig: pytest.Config) -> None:
    assert float(pytestconfig.getini("timeout")) == 300
