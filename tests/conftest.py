"""What tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import cores


@pytest.fixture
def fair_cores() -> Iterator[None]:
    """Run the test with ``tests.cores.fair``."""
    with cores.fair():
        yield
