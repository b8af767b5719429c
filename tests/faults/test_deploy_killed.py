"""A deploy that is killed with -9 harms nothing, and the next one makes up for it."""

from __future__ import annotations

import pytest

from tests.faults.deploys import OTHER_PYTHON, difference, present, undisturbed, variables
from tests.faults.rows import Report
from tests.faults.serving import again, seen
from tests.faults.watching import canary
from tests.systemd.deployed import START, Host
from tests.systemd.play import said

LOCK = "/opt/vllm/deploy.lock"


def given_back(host: Host) -> None:
    """Wait until the lock is given back: the keeper of a run outlives it for that."""
    host.until(lambda: host.ssh(f"test -e {LOCK}").returncode, 90, "the deploy lock is given back")


@pytest.mark.long
def test_killed_in_the_middle_of_an_install(host: Host, report: Report) -> None:
    """The play is killed during an install: running it again completes the install, and a deploy without it cleans up."""
    before = present(host)
    other = variables(vllm_python=OTHER_PYTHON)
    with undisturbed(host) as answers:
        with host.play("deploy.yml", "-v", *other) as play:
            play.says("installing vLLM", 120)
            host.until(lambda: len(environments(host)) == 2, 60, "a second environment is being built")
            play.kill()
        with host.play("deploy.yml", "-v", *other) as play:
            play.says("Name it by its content, vllm", 200)
            play.kill()
        given_back(host)
        host.told(f"{environments(host)[-1]}/bin/python -c 'import torch'", seconds=60)
        run = host.playbook("deploy.yml")
        assert run.returncode == 0, run.stdout
    assert not (left := difference(before, present(host))), left
    report(client=f"no failed request ({answers[0]} answered)", again=0, left="nothing after the next deploy")


def environments(host: Host) -> list[str]:
    """Return the environments of vLLM, the newest last."""
    return host.told(
        "ls -dtr /opt/vllm/venvs/vllm-*/lib/python3*/site-packages/torch | sed 's|/lib/.*||'"
    ).split()


@pytest.mark.long
def test_killed_between_activation_and_restart(host: Host, report: Report) -> None:
    """The play is killed between activation and restart: the old release keeps serving, and the next deploy restarts."""
    before, pid = host.told("cat /run/vllm-deploy/vllm"), host.pid("vllm")
    change = variables(vllm_max_num_batched_tokens=2048)
    with host.client() as client:
        with host.play("deploy.yml", "-v", *change) as play:
            play.says("Make it the current one, vllm", 200)
            play.says("HANDLER [service : Restart vllm]", 30)
            play.kill()
        current = host.told("readlink /opt/vllm/releases/vllm/current")
        assert current != before, "not activated yet"
        assert host.pid("vllm") == pid and host.told("cat /run/vllm-deploy/vllm") == before, (
            "restarted already"
        )
        assert not client.failures
        given_back(host)
        code, words = canary(host)
        assert code == 1 and f"release of vllm {current}, activated " in words
        run = host.playbook("deploy.yml", *change)
        assert run.returncode == 0, run.stdout
        seconds = again(host, client, START)
    assert host.told("cat /run/vllm-deploy/vllm") == current
    assert host.pid("vllm") != pid
    given_back(host)
    report(
        client=f"nothing until the next deploy, then its restart: {seen(client)}",
        again=seconds,
        left="nothing",
    )


@pytest.mark.long
def test_host_reboots_in_the_middle_of_a_deploy(host: Host, report: Report) -> None:
    """The host reboots while a bad release starts: it serves, the host reports it as unproven, and the next deploy takes it back."""
    boot = "systemctl show --property=UserspaceTimestamp --value"
    booted, before = host.told(boot), host.told("cat /run/vllm-deploy/vllm")
    change = variables(vllm_tool_call_parser="")
    with host.client() as client:
        with host.play("deploy.yml", "-v", *change) as play:
            play.says("restarting", 300)
            host.until(
                lambda: host.told("readlink /opt/vllm/releases/vllm/current") != before, 60, "activated"
            )
            host.ssh("systemctl reboot")
            run = play.ended(300)
        assert run.returncode == 4, run.stdout
        assert "alpha could not be reached any more in the middle of a deploy." in said(run), run.stdout
        host.until(lambda: host.ssh(boot).stdout.strip() not in ("", booted), 120, "the host is back")
        current = host.told("readlink /opt/vllm/releases/vllm/current")
        host.until(host.serves, START, "the boot starts what is activated")
        code, words = canary(host)
        assert code == 1 and f"release of vllm {current}, activated " in words, words
        status = host.playbook("ansible/status.yml")
        assert f"proof    {current}, activated " in status.stdout
        pid = host.pid("vllm")
        run = host.playbook("deploy.yml", "-v", *change)
        assert run.returncode == 2 and "HANDLER [service : Restart vllm]" not in run.stdout, run.stdout
        assert f"Release {current} is taken back, and {before} serves again" in said(run)
        seconds = again(host, client)
    assert host.told("cat /run/vllm-deploy/vllm") == before and host.pid("vllm") != pid
    assert '"Seoul"' in host.tool_call()["arguments"]
    assert host.ssh("ls -d /root/.ansible/tmp/progress-* /opt/vllm/releases/vllm/trial").stdout == ""
    report(client=f"the boot, then the return: {seen(client)}", again=seconds, left="nothing")
