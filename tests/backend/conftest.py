"""Fixtures: a backend of its own, or the one that tests share, and the model server behind it."""

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "backend"))

from replay import Replay
from running import Backend, Start, starting

# Its tests need a served model; named on the command line, they run and say what is missing.
collect_ignore = [] if "BACKEND_URL" in os.environ else ["test_served.py"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start backends of one test."""
    with starting(tmp_path) as run:
        yield run


@pytest.fixture(scope="session")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Backend, Replay]]:
    server = Replay()
    with starting(tmp_path_factory.mktemp("shared")) as run:
        yield run(VLLM_BASE_URL=server.url), server
    server.stop()


@pytest.fixture
def peer(_served: tuple[Backend, Replay]) -> Iterator[Replay]:
    """A model server that the test can make fail."""
    _served[1].reset()
    yield _served[1]
    _served[1].reset()


@pytest.fixture
def backend(_served: tuple[Backend, Replay], peer: Replay) -> Backend:
    """The backend that tests share, as a start takes seconds; each test has a session of its own."""
    _served[0].session = uuid.uuid4().hex
    return _served[0]
