"""What watches vLLM under systemd: its timers, what they keep, and that they are in order."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.faults.watching import METRICS, WATCH, canary
from tests.prometheus import promtool
from tests.systemd.deployed import Host

JOBS = ("canary", "deep-probe")


def accepted(metrics: str) -> None:
    """Have Prometheus' own checker read metrics."""
    command = [promtool(), "check", "metrics"]
    checked = subprocess.run(command, input=metrics, text=True, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("job", JOBS)
def test_timers(deployed: Host, job: str) -> None:
    assert deployed.show(f"{job}.timer", "ActiveState") == "active"
    assert deployed.show(f"{job}.timer", "UnitFileState") == "enabled"


def test_what_a_killed_play_wrote_is_read_by_the_next(deployed: Host) -> None:
    deployed.told("touch /etc/systemd/system/deep-probe.timer")
    assert deployed.show("deep-probe.timer", "NeedDaemonReload") == "yes"
    deploy = deployed.playbook("deploy.yml")
    assert "changed=0 " in deploy.stdout, deploy.stdout
    assert deployed.show("deep-probe.timer", "NeedDaemonReload") == "no"


def test_the_canary_by_its_timer(host: Host) -> None:
    assert canary(host)[0] == 0
    begun = host.told("date +%s")
    before = host.show("canary.service", "ExecMainStartTimestamp")
    host.until(
        lambda: host.show("canary.service", "ExecMainStartTimestamp") != before, 60, "its timer runs it"
    )
    code, words = canary(host)
    assert (code, words.split(":")[0]) == (0, "ok")
    metrics = host.told(f"cat {METRICS}/canary.prom") + "\n"
    assert 'vllm_probe_success{probe="canary",service="vllm"} 1.0' in metrics
    accepted(metrics)
    # Good runs do not fill the journal.
    assert host.told(f"journalctl --unit canary --since @{int(begun) + 1} --output cat --quiet") == ""


def test_the_deep_probe_runs_nobodys_python_as_root(host: Host) -> None:
    """A checkout's Python belongs to the backend's user, and the probe is a user of its own. The next test leaves a good verdict."""
    row, own = "/opt/vllm/releases/backend/current/service.json", "/srv/own"
    host.told(
        f"install -d -o backend {own} && printf '#!/bin/sh\\nid -un\\n' >{own}/python && chmod 755 {own}/python"
    )
    try:
        changed = f"""s|"langchain-python": "[^"]*"|"langchain-python": "{own}/python"|"""
        host.told(f"mv {row} {own}/kept && sed '{changed}' {own}/kept >{row}")
        host.ssh("systemctl start deep-probe.service", seconds=300)
        verdict = json.loads(host.told(f"cat {WATCH}/deep.verdict"))
    finally:
        host.told(f"mv {own}/kept {row}; rm -r {own}")
    [reason] = [result["reason"] for result in verdict["results"] if result["check"] == "langchain"]
    assert reason == "langchain_openai failed: vllm-deep-probe"


def test_the_deep_probe(host: Host) -> None:
    host.told("systemctl start deep-probe.service", seconds=300)
    assert int(host.show("deep-probe.service", "ExecMainStatus")) in (0, 1)
    verdict = json.loads(host.told(f"cat {WATCH}/deep.verdict"))
    states = {result["check"]: result["state"] for result in verdict["results"]}
    assert {"langchain", "backend", "chat-named-stream", "responses-required"} <= set(states)
    assert set(states.values()) <= {"ok", "warning"}, verdict["results"]
    assert verdict["releases"]["vllm"] == host.told("cat /run/vllm-deploy/vllm")
    metrics = host.told(f"cat {METRICS}/deep.prom") + "\n"
    accepted(metrics)
    status = host.playbook("ansible/status.yml").stdout
    assert "canary" in status and "nightly" in status
