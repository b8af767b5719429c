"""What vLLM stands on goes away: the host. (Its model does in test_run_stopped.py, where a start is to come anyway.)"""

from __future__ import annotations

import requests

from tests.faults.left import Left
from tests.faults.rows import Report
from tests.faults.serving import again, ready, seen
from tests.systemd.deployed import Host


def test_reboot(host: Host, left: Left, report: Report) -> None:
    """The host reboots: vLLM and the backend come back by themselves."""
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
