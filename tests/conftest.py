"""What every test gets: a state folder of its own, and property tests that do not judge by the speed of the machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("bolt", deadline=None, derandomize=True)
settings.load_profile("bolt")


@pytest.fixture(scope="session", autouse=True)
def bolt_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep tests out of the user's own state: a ledger of a real desk may live in the default BOLT_HOME."""
    home = tmp_path_factory.mktemp("bolt_home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOLT_HOME", str(home))
        yield home
