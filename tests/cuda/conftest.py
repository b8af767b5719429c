"""The installed environments of the locks for GPUs, and a driver without a GPU."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from python_checks.checks import config
from tests.cuda import driver
from tests.cuda.environment import LOCKS, installed
from tests.cuda.libraries import undefined

# The one that a host gets by default, and, with --long, each beside it.
CHOICES = [
    pytest.param(lock, id=lock.stem, marks=[] if lock.stem == "vllm-cuda" else pytest.mark.long)
    for lock in LOCKS
]


@pytest.fixture(scope="session", params=CHOICES)
def lock(request: pytest.FixtureRequest) -> Path:
    """A lock for GPUs."""
    path: Path = request.param
    return path


@pytest.fixture(scope="session")
def version(lock: Path) -> str:
    """The version of vLLM that it names."""
    (found,) = re.findall(r"(?m)^vllm==([\d.]+)", lock.read_text())
    return str(found)


@pytest.fixture(scope="session")
def engine(lock: Path) -> Iterator[Path]:
    """The interpreter of its environment."""
    with installed(lock) as python:
        yield python


@pytest.fixture(scope="session")
def libraries(engine: Path) -> dict[Path, set[str]]:
    """The shared libraries of the environment, each with the names that others must define."""
    return undefined(engine.parents[1])


@pytest.fixture(scope="session")
def driven(libraries: dict[Path, set[str]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What an environment needs for a driver without a GPU, and places of its own to write."""
    home = str(tmp_path_factory.mktemp("home"))
    directory = driver.make(libraries, tmp_path_factory.mktemp("driver"))
    # Bytecode of the environment is kept beside it: the next process, and the next run, need not compile it again.
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("VLLM", "CUDA", "PYTHON"))
    }
    places = dict.fromkeys(config.PLACES.split(), home)
    return kept | places | {"LD_LIBRARY_PATH": str(directory)}
