"""The production path on the other distributions: deploy, no change, restart, removal. tests/systemd/test_scenario.py has Debian 12."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts.distributions import DEFAULT, DISTRIBUTIONS
from tests.systemd.deployed import START, Host
from tests.systemd.fixtures import booted, pytest_runtest_makereport
from tests.systemd.play import INVENTORY, REPOSITORY
from tests.systemd.removed.test_uninstall import NAMES, STAY, UNITS, USERS

__all__ = ["pytest_runtest_makereport"]

OTHERS = [name for name in DISTRIBUTIONS if name != DEFAULT]
RUN = REPOSITORY / ".tox/hosts/distribution"
# Who logged in, as Debian 13 keeps it; the test does so by ssh.
LOGINS = "/var/log/wtmp.db "
COMPLAINTS = (
    "journalctl --no-pager --boot | grep -E ' systemd\\[1\\]: .*(Unknown|deprecated|Failed to parse)'"
)


def bundle(python: str) -> Path:
    """Return an offline bundle for a Python; the first one takes minutes, and gigabytes from the package index."""
    directory = REPOSITORY / f".tox/bundle-{python}"
    program = Path(sys.executable).with_name("ansible-playbook")
    given = f"bundle_directory={directory} bundle_python={python}"
    command = [program, "-i", INVENTORY, "ansible/bundle.yml", "-e", given]
    subprocess.run(command, cwd=REPOSITORY, timeout=3600, check=True)
    return directory


def ours(host: Host) -> set[str]:
    """Return what a deploy may leave on a host: files, users and units."""
    return {line for command in (NAMES, USERS, UNITS) for line in host.told(command).splitlines()}


@pytest.mark.long
@pytest.mark.usefixtures("fair_cores")
@pytest.mark.parametrize("distribution", OTHERS)
def test_from_nothing_to_nothing(distribution: str) -> None:
    python = DISTRIBUTIONS[distribution].python
    given = ("-e", f"host_bundle={bundle(python)}")
    with booted(RUN, distribution=distribution) as host:
        assert host.told(f"python{python} -c 'print(1)'") == "1"
        before, complaints = ours(host), set(host.ssh(COMPLAINTS).stdout.splitlines())

        run = host.playbook("tests/systemd/prepare.yml", *given, seconds=3600)
        assert run.returncode == 0, run.stdout
        run = host.playbook("deploy.yml", *given, seconds=1800)
        assert run.returncode == 0, run.stdout
        assert host.tool_call()["name"] and host.ask("Hello", "one").ok
        assert set(host.ssh(COMPLAINTS).stdout.splitlines()) == complaints

        again = host.playbook("deploy.yml", *given)
        assert again.returncode == 0 and "changed=0 " in again.stdout, again.stdout

        pid = host.pid("vllm")
        host.told("systemctl restart vllm", seconds=START)
        host.until(host.serves, START, "vLLM serves again")
        assert host.pid("vllm") != pid and host.tool_call()["name"]

        run = host.playbook("ansible/uninstall.yml", *given)
        assert run.returncode == 0, run.stdout
        left = sorted(line for line in ours(host) - before if not line.startswith((*STAY, LOGINS)))
        assert not left, f"{len(left)} more than before: {left[:5]}"
