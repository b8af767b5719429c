"""What tests of several folders share."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests import cores
from tests.outcome import pytest_collection_modifyitems, pytest_terminal_summary

__all__ = ["pytest_collection_modifyitems", "pytest_terminal_summary"]

# Some shells have it, an operator's has not, and it hides what is printed too late.
os.environ.pop("PYTHONUNBUFFERED", None)
AT_ONCE = 60  # seconds; a busy machine may be slow, too
MEMORY = 4 * 2**30  # bytes of addresses


class ByHost(LoadFileScheduling):
    """The tests of a file go to one process, and those of all files with the fixture ``prepared`` to one: a host takes half a minute."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self.scopes: dict[str, str] = {}

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        if file not in self.scopes:
            shares = "prepared: " in (self.config.rootpath / file).read_text(encoding="utf-8")
            self.scopes[file] = "prepared" if shares else file
        return self.scopes[file]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByHost | None:
    """Use it for what tox runs."""
    return ByHost(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(autouse=True)
def no_server_is_left() -> Iterator[None]:
    """Fail a test that leaves a server of its own in this process; see ``tests.serving``."""
    before = set(threading.enumerate())
    yield
    left = [each for each in threading.enumerate() if "serve_forever" in each.name and each not in before]
    for each in left:
        each.join(5)
    assert not [each for each in left if each.is_alive()], "end the server: tests/serving.py"


@pytest.fixture
def fair_cores() -> Iterator[None]:
    """Run the test with ``tests.cores.fair``."""
    with cores.fair():
        yield


@pytest.fixture
def at_once() -> Iterator[None]:
    """Fail a test that waits for a FIFO without a writer, or reads without end: else the run hangs, or the machine is out of memory."""

    def end(*_: object) -> None:
        pytest.fail(f"it still waits after {AT_ONCE} s")  # no Exception, so that nothing takes it for its own

    before, limits = signal.signal(signal.SIGALRM, end), resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY if limits[0] < 0 else min(MEMORY, limits[0]), limits[1]))
    signal.alarm(AT_ONCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)
