"""Playbook runs that tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playbooks import Playbook, run_playbook


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a short name: a host_directory that is too long for sockets is refused."""
    return tmp_path_factory.mktemp("t")


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    """Run a playbook with a fresh directory."""
    return lambda name, *arguments: run_playbook(name, tmp_path / "demo", *arguments)


@pytest.fixture(scope="session")
def prepared_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of a host that has passed the checks once, by a session with umask 077; its manager does not run yet."""
    directory = tmp_path_factory.mktemp("d") / "demo"
    first = run_playbook("ansible/check.yml", directory, umask=0o077)
    assert first.returncode == 0, first.stdout
    assert not (directory / "deploy.lock").exists(), "checks alone lock nothing"
    assert (directory / "supervisor/supervisord.conf").exists()
    assert not (directory / "supervisor/supervisord.pid").exists(), "checks alone start nothing"
    yield directory
    last = run_playbook("ansible/demo_stop.yml", directory)
    assert last.returncode == 0, last.stdout


@pytest.fixture
def prepared(prepared_directory: Path) -> Playbook:
    """Run a playbook on that host."""
    return lambda name, *arguments, **variables: run_playbook(
        name, prepared_directory, *arguments, **variables
    )
