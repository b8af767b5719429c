"""Faults of a deployed host: each case begins with everything serving, and ends with a row of docs/faults.md."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.deploys import refused
from tests.faults.left import Left
from tests.faults.rows import Report, forget
from tests.faults.serving import serve
from tests.systemd.deployed import Host
from tests.systemd.fixtures import deployed, fresh_host, pytest_runtest_makereport, unlocked

__all__ = [
    "deployed",
    "fresh_host",
    "host",
    "left",
    "pytest_runtest_makereport",
    "refused",
    "report",
    "unlocked",
]


@pytest.fixture
def host(deployed: Host) -> Host:
    """The host of the run; vLLM and the backend serve, and no start of an earlier case counts against this one's."""
    serve(deployed)
    return deployed


@pytest.fixture
def left(host: Host) -> Left:
    """What lies about before the fault; ``left.words()`` says what the fault added."""
    return Left(host)


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Iterator[Report]:
    """Takes what the case has seen: ``report(client="…", again=seconds or None, left="…")``. A case that fails has no row."""
    forget(request.node.nodeid)
    row, failed = Report(request.node), request.session.testsfailed
    yield row
    assert row.filled or request.session.testsfailed > failed, "the case ended without a call of report()"
