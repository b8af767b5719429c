"""The installed environment of the lock for GPUs, and a driver without a GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from python_checks.checks import config
from tests.cuda import driver
from tests.cuda.environment import installed
from tests.cuda.libraries import undefined


@pytest.fixture(scope="session")
def engine() -> Iterator[Path]:
    """The interpreter of the environment."""
    with installed() as python:
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
