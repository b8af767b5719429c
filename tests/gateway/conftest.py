"""A door that the tests of a file share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.door import HAPROXY, Door, opened


@pytest.fixture(scope="session", autouse=True)
def haproxy() -> None:
    """Say loudly that without HAProxy nothing of this is tested."""
    if not Path(HAPROXY).exists():
        pytest.skip("no HAProxy is installed: apt-get install haproxy")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """Short waits, so that a test of them is short."""
    home: Path = tmp_path_factory.mktemp("d")
    with opened(
        home, gateway_header_seconds=2, gateway_hold_seconds=30, gateway_hold_requests=5, gateway_body_mib=1
    ) as door:
        yield door
