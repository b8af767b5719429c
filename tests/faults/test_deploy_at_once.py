"""One deploy at a time on a host."""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import Callable

import pytest

from tests.faults.deploys import difference, present, undisturbed
from tests.faults.rows import Report
from tests.faults.watching import canary
from tests.systemd.deployed import Host
from tests.systemd.play import said

Refused = Callable[..., str]
LOCK = "/opt/vllm/deploy.lock"


def test_two_deploys_at_once(host: Host, report: Report) -> None:
    """A second deploy starts while one is running: it is refused with holder and age, and the first one succeeds."""
    before = present(host)
    with undisturbed(host) as answers, host.play("deploy.yml", "-v") as first:
        first.says("Look at the host", 60)
        second = host.playbook("deploy.yml", seconds=60)
        assert first.process.poll() is None, "the first one ended before the second"
        assert second.returncode != 0, second.stdout
        holder = f"{getpass.getuser()}@{os.uname().nodename} (process {first.process.pid})"
        assert f"Another deploy works on alpha: {holder}, since " in said(second)
        run = first.ended(300)
        assert run.returncode == 0, run.stdout
    assert not (left := difference(before, present(host))), left
    report(client=f"no failed request ({answers[0]} answered)", again=0, left="nothing")


@pytest.mark.long
def test_lock_of_a_run_that_died_elsewhere(host: Host, refused: Refused) -> None:
    """A run on another machine died and left its lock: for three minutes deploys are refused with holder and age, then one takes over."""
    holder = {"user": "kim", "host": "laptop", "pid": 4711, "started": "1", "boot": "elsewhere"}
    holder["since"] = time.time() - 300
    host.told(f"echo '{json.dumps(holder)}' >{LOCK}.new && mv {LOCK}.new {LOCK}")
    words = refused()
    assert "kim@laptop (process 4711), since 5 min" in words and "deploy_lock_break=true" in words
    host.told(f"touch -d '-4 min' {LOCK}")
    code, seen = canary(host)
    assert code == 1 and "alive: " in seen and "left over from a deploy: kim@laptop began it" in seen
    run = host.playbook("deploy.yml", seconds=300)
    assert run.returncode == 0, run.stdout
    assert "taken over from kim@laptop (process 4711): it gave no sign of life for 2" in said(run)
    assert host.ssh(f"test -e {LOCK}").returncode != 0
