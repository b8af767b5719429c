"""A deploy that is killed with -9 harms nothing, and the next one makes up for it."""

from __future__ import annotations

import getpass
import os

from tests.faults.deploys import OTHER_PYTHON, difference, present, undisturbed, variables
from tests.faults.rows import Report
from tests.faults.serving import again, seen
from tests.systemd.deployed import START, Host
from tests.systemd.play import said

TAKEN_OVER = f"deploy lock: taken over from {getpass.getuser()}@{os.uname().nodename}"


def test_killed_in_the_middle_of_an_install(host: Host, report: Report) -> None:
    """The play is killed while it installs: the same again installs all of it, and a deploy without it removes that."""
    before = present(host)
    other = variables(vllm_python=OTHER_PYTHON)
    with undisturbed(host) as answers:
        with host.play("deploy.yml", *other) as play:
            play.says("installing vLLM", 120)
            host.until(lambda: len(environments(host)) == 2, 60, "a second environment is being built")
            play.kill()
        with host.play("deploy.yml", *other) as play:
            play.says("Name it by its content, vllm", 200)
            assert TAKEN_OVER in play.output
            play.kill()
        host.told(f"{environments(host)[-1]}/bin/python -c 'import torch'", seconds=60)
        run = host.playbook("deploy.yml")
        assert run.returncode == 0, run.stdout
        assert TAKEN_OVER in said(run)
    assert not (left := difference(before, present(host))), left
    report(client=f"no failed request ({answers[0]} answered)", again=0, left="nothing after the next deploy")


def environments(host: Host) -> list[str]:
    """Return the environments of vLLM, the newest last."""
    return host.told(
        "ls -dtr /opt/vllm/venvs/vllm-*/lib/python3*/site-packages/torch | sed 's|/lib/.*||'"
    ).split()


def test_killed_between_activation_and_restart(host: Host, report: Report) -> None:
    """The play is killed when the new release is activated and not restarted yet: the old one serves on, and the next deploy restarts."""
    before, pid = host.told("cat /run/vllm-deploy/vllm"), host.pid("vllm")
    change = variables(vllm_max_num_batched_tokens=2048)
    with host.client() as client:
        with host.play("deploy.yml", *change) as play:
            play.says("Make it the current one, vllm", 200)
            play.says("HANDLER [service : Restart vllm]", 30)
            play.kill()
        current = host.told("readlink /opt/vllm/releases/vllm/current")
        assert current != before, "not activated yet"
        assert host.pid("vllm") == pid and host.told("cat /run/vllm-deploy/vllm") == before, (
            "restarted already"
        )
        assert not client.failures
        run = host.playbook("deploy.yml", *change)
        assert run.returncode == 0, run.stdout
        assert TAKEN_OVER in said(run)
        seconds = again(host, client, START)
    assert host.told("cat /run/vllm-deploy/vllm") == current
    assert host.pid("vllm") != pid
    assert host.ssh("test -e /opt/vllm/deploy.lock").returncode != 0
    report(
        client=f"until the next deploy nothing, then its restart: {seen(client)}",
        again=seconds,
        left="nothing",
    )
