"""A deploy in check mode: it tells, and touches nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from tests.systemd.deployed import Host

# Names, modes and sizes of all files but those that a running system writes.
EVERYTHING = (
    "find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /dev -o -path /var/tmp -o -path /var/log"
    " -o -path /root/.ansible -o -path /var/lib/systemd \\) -prune -o -type f -printf '%p %m %s\\n' -o -printf '%p %m\\n' | sort"
)


def test_on_a_converged_host_it_finds_nothing_to_do(host: Host) -> None:
    pids = host.pid("vllm"), host.pid("backend")
    run = host.playbook("deploy.yml", "--check", "--diff")
    assert run.returncode == 0, run.stdout
    assert "changed=0 " in run.stdout
    assert (host.pid("vllm"), host.pid("backend")) == pids


def test_on_a_fresh_host_it_does_not_fail_and_leaves_nothing(
    host: Host, fresh_host: Callable[..., Host]
) -> None:
    fresh = fresh_host()
    model = subprocess.run(
        host.command("tar --create /srv/models"), stdout=subprocess.PIPE, check=True, timeout=60
    )
    subprocess.run(fresh.command("tar --extract --directory /"), input=model.stdout, check=True, timeout=60)
    before = fresh.told(EVERYTHING)
    run = fresh.playbook("deploy.yml", "--check", "--diff")
    assert run.returncode == 0, run.stdout
    assert "changed=0 " not in run.stdout
    assert fresh.told(EVERYTHING).splitlines() == before.splitlines()
