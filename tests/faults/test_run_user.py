"""vLLM as a login user: logind removes the shared memory of a user who logs out, and the server's is not among it."""

from __future__ import annotations

import pytest

from tests.faults.rows import Report
from tests.faults.serving import seen
from tests.systemd.deployed import Host

USER = "vrsoft"


@pytest.fixture
def login_host(host: Host) -> Host:
    """The host with vLLM deployed for the login user. It stays so: this is the last file, and other cases do with either user."""
    run = host.playbook("deploy.yml", "-e", f"vllm_user={USER}")
    assert run.returncode == 0, run.stdout
    return host


@pytest.mark.long
def test_logout_of_the_service_user(login_host: Host, report: Report) -> None:
    """vLLM runs as a login user who logs in and out: logind removes the session's shared memory, and vLLM keeps its own (vllm#54259)."""
    host = login_host
    assert host.told(f"ps -o user= -p {host.pid('vllm')}") == USER
    assert host.told(f"loginctl show-user {USER} --property=Linger --value || echo no") == "no"
    pid, before = host.pid("vllm"), host.shared_memory()
    assert before, "vLLM uses no shared memory"
    with host.client() as client:
        host.until(lambda: client.answers, 30, "the client is answered before the logout")
        host.told("touch /dev/shm/of-the-session", user=USER)
        gone = host.until(
            lambda: host.told("ls -A /dev/shm") == "", 60, "logind has removed what the user left"
        )
        host.until(lambda: len(client.answers) > gone + 5, 60, "the client is answered after it")
    assert client.failures == []
    assert host.shared_memory() >= before
    assert "get_weather" in host.tool_call()["name"]
    assert host.pid("vllm") == pid
    report(client=seen(client), again=0, left="nothing; the login session's own file is gone")
