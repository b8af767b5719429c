"""What vLLM stands on goes away: its model, and the host."""

from __future__ import annotations

import time

import requests

from tests.faults.left import Left, strays
from tests.faults.rows import Report
from tests.faults.serving import again, ready, seen
from tests.systemd.deployed import START, Host


def test_model_directory_gone(host: Host, report: Report) -> None:
    """The model's directory is gone when vLLM is to start: six starts fail, then systemd leaves it failed, and the cause is to be seen."""
    model = host.told("sed -n '/^--model-directory/{n;p}' /opt/vllm/checks/vllm.args")
    host.told(f"mv {model} {model}.away")
    try:
        started, since = time.monotonic(), host.told("date +%s")
        assert host.ssh("systemctl restart vllm", seconds=START).returncode != 0
        host.until(
            lambda: host.show("vllm", "ActiveState") == "failed", 6 * START, "vLLM has failed for good"
        )
        passed = time.monotonic() - started
        starts = f"journalctl --unit vllm --since @{since} --grep '^Starting ' --output cat"
        assert len(host.told(starts).splitlines()) == 6
        assert f"{model} is no directory" in host.show("vllm", "StatusText")
        assert f"{model} is no directory" in host.log()
        reply = host.ask("Hello", "broken")
        assert (reply.status_code, "Retry-After" in reply.headers) == (503, True)
        assert host.processes() == {} and strays(host) == []
        assert host.told("ls -A /dev/shm") == ""
    finally:
        host.told(f"mv {model}.away {model}")
    host.told("systemctl reset-failed vllm; systemctl start vllm", seconds=START)
    assert host.serves()
    report(
        client=f"no connection, the backend 503; failed for good after {passed:.0f} s",
        again=None,
        left="the unit stays failed, with the cause",
    )


def test_reboot(host: Host, left: Left, report: Report) -> None:
    """The host reboots: vLLM and the backend serve again by themselves."""
    boot = "systemctl show --property=UserspaceTimestamp --value"
    before, release = host.told(boot), host.told("cat /run/vllm-deploy/vllm")
    with host.client() as client:
        host.until(lambda: client.answers, 30, "the client is answered before the reboot")
        host.ssh("systemctl reboot")
        host.until(lambda: host.ssh(boot).stdout.strip() not in ("", before), 90, "the host is up again")
        seconds = again(host, client)
    host.until(lambda: ready(host), 30, "the backend is ready")
    assert requests.get(f"{host.backend}/health", timeout=10).ok
    host.until(lambda: host.show("vllm", "ActiveState") == "active", 30, "the unit has started")
    assert host.told("cat /run/vllm-deploy/vllm") == release
    assert host.told("systemctl is-system-running") == "running"
    assert left.words() == "nothing"
    report(client=seen(client), again=seconds, left=left.words())
