"""Fixtures for tests of a deployed host. A conftest.py imports them: ``from tests.systemd.fixtures import *``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.hosts.distributions import DEFAULT
from tests.systemd.deployed import START, Host
from tests.systemd.play import REPOSITORY

__all__ = ["deployed", "fresh_host", "host", "pytest_runtest_makereport", "unlocked"]
HOSTS = REPOSITORY / "tests/hosts/hosts.py"
LOCK = "/opt/vllm/deploy.lock"


@pytest.fixture(scope="session")
def deployed() -> Host:
    """The host of the run, whatever it does at the moment."""
    return Host()


@pytest.fixture
def host(deployed: Host) -> Host:
    """The host of the run, and it serves: what an earlier test left broken is deployed anew."""
    if not deployed.serves():
        starting = deployed.show("vllm", "ActiveState") == "activating"
        if starting:
            deployed.until(
                lambda: deployed.show("vllm", "ActiveState") != "activating", START, "vLLM started"
            )
        if not starting or not deployed.serves():
            run = deployed.playbook("deploy.yml", "-e", "deploy_lock_break=true")
            assert run.returncode == 0, run.stdout
    return deployed


@pytest.fixture(autouse=True)
def unlocked(deployed: Host) -> Iterator[None]:
    """Let no test leave a deploy lock, for which the next one's deploy would be refused; where one failed, remove it."""
    yield
    left = deployed.ssh(f"cat {LOCK} && rm -r {LOCK}")
    assert left.returncode, f"a deploy lock was left behind: {left.stdout}"


@contextmanager
def booted(run: Path, saved: Path | None = None, distribution: str = DEFAULT) -> Iterator[Host]:
    """Boot another host, anew or from a saved one, and remove it in the end."""
    environment = os.environ | {"HOSTS_DIRECTORY": str(run)}
    options = ["--from", str(saved)] if saved else []
    up = [sys.executable, str(HOSTS), "up", "--distribution", distribution, *options, "alpha"]
    try:
        subprocess.run(up, env=environment, timeout=900, check=True)
        yield Host(run)
    finally:
        subprocess.run([sys.executable, HOSTS, "down"], env=environment, timeout=120, check=True)


@pytest.fixture
def fresh_host() -> Iterator[Callable[..., Host]]:
    """Boots a further host for one test: ``fresh_host()`` has nothing, ``fresh_host(image())`` has vLLM and the model installed."""
    with ExitStack() as stack:
        yield lambda saved=None: stack.enter_context(booted(REPOSITORY / ".tox/hosts/fresh", saved))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show what the hosts of a failed test tell."""
    report = yield
    if report.failed:  # type: ignore[attr-defined]  # what pytest sends back has no type
        for each in getattr(item, "funcargs", {}).values():
            if isinstance(each, Host):
                try:
                    report.sections.append(("what the host tells", each.story()))
                except subprocess.TimeoutExpired as error:
                    report.sections.append(("what the host tells", f"nothing: {error}"))
    return report
