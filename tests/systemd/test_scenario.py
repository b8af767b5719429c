"""The production path from nothing to nothing, by molecule: converge, idempotence, verify, destroy, and nothing left over."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hosts.traces import processes, traces
from tests.scenario import run
from tests.systemd.play import REPOSITORY

OURS = REPOSITORY / ".tox/hosts"  # directories of runs


def hosts(run: Path, subcommand: str) -> None:
    """Run a subcommand of hosts.py."""
    command = [sys.executable, REPOSITORY / "tests/hosts/hosts.py", subcommand]
    subprocess.run(command, env=os.environ | {"HOSTS_DIRECTORY": str(run)}, timeout=900, check=True)


@pytest.mark.skipif(
    os.geteuid() != 0,
    reason="NOT TESTED without root: the production path, that is deploys to real systemd hosts over SSH, and their faults",
)
@pytest.mark.usefixtures("fair_cores")
def test_scenario(tmp_path: Path) -> None:
    hosts(OURS, "install")
    for directory in OURS.glob("*"):  # a run that crashed
        hosts(directory, "down")
    # A namespace belongs to a process, and those of others on this machine come and go.
    before = traces() | {"namespaces": set()}
    environment = {
        "ANSIBLE_HOME": str(tmp_path / "a"),  # short: there are sockets below
        # As in ansible.cfg, but for the seconds that a connection outlives its play: they would be waited for here.
        "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=15s",
    }
    # Molecule names the hosts' inventory from the first step on, and it is made with the hosts.
    run("systemd", environment, expected=r"\[WARNING\]: Unable to parse .*/hosts\.yml as an inventory source")
    assert traces() | {"namespaces": set()} == before
    assert not list(OURS.iterdir())
    deadline = time.monotonic() + 30
    while left := [*processes(OURS), *processes(tmp_path)]:
        commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left]
        assert time.monotonic() < deadline, f"processes {left} are left: {commands}"
        time.sleep(1)
