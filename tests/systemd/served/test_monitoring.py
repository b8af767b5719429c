"""Monitoring beside a real vLLM: targets are up, a red canary reaches a webhook, maintenance is silent, removal leaves nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.watching import stopped
from tests.systemd.deployed import Host
from tests.systemd.packages import archive

pytestmark = pytest.mark.long

TOKEN = "of-the-webhook-on-the-host"
PROMETHEUS = "http://127.0.0.1:9090/api/v1"
SERVICES = ("vllm-prometheus", "vllm-alertmanager", "vllm-node-exporter")
TOLD = "/run/told"
PACKAGES = ("prometheus", "prometheus-alertmanager", "prometheus-node-exporter")
# Listens on the host, for Alertmanager has loopback and whatever its sandbox leaves it.
RECEIVER = f"""
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        print(self.headers.get("Authorization"), body, file=open("{TOLD}", "a"), flush=True)
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 9999), Handler).serve_forever()
"""


def asked(host: Host, path: str) -> Any:
    """Ask Prometheus, on the host."""
    return json.loads(host.fetched(f"{PROMETHEUS}/{path}"))["data"]


def targets(host: Host) -> dict[str, str]:
    """Return the health of each target."""
    return {f"{each['labels']['job']}": each["health"] for each in asked(host, "targets")["activeTargets"]}


def alerts(host: Host) -> dict[str, str]:
    """Return the state of each alert that is not silent."""
    return {each["labels"]["alertname"]: each["state"] for each in asked(host, "alerts")["alerts"]}


@pytest.fixture(scope="module")
def monitored(deployed: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, list[str]]]:
    """Deploy it, and take it away again by a deploy without the group."""
    inventory = tmp_path_factory.mktemp("inventory") / "monitoring.yml"
    given = {
        "monitoring_webhooks": ["http://127.0.0.1:9999/"],
        "monitoring_secrets": {"WEBHOOK_TOKEN": TOKEN},
    }
    inventory.write_text(
        json.dumps({"all": {"children": {"monitoring": {"hosts": {"alpha": None}, "vars": given}}}})
    )
    switch = ["-i", str(inventory)]
    deployed.told(f"rm -f {TOLD}; cat >/run/receiver.py <<'END'\n{RECEIVER}\nEND")
    deployed.told("systemd-run --unit=receiver python3 /run/receiver.py")
    before = deployed.pid("vllm")
    try:
        with archive(deployed, *PACKAGES, folder=tmp_path_factory.mktemp("packages") / "debs"):
            done = deployed.playbook("deploy.yml", *switch, "-v", "--diff")
            assert done.returncode == 0, done.stdout[-6000:]
            assert TOKEN not in done.stdout and deployed.pid("vllm") == before
            yield deployed, switch
            done = deployed.playbook("deploy.yml")
            assert done.returncode == 0, done.stdout[-6000:]
    finally:
        deployed.told(f"systemctl stop receiver; rm -f {TOLD} /run/receiver.py")
    # A purge leaves these, and a later test compares this host with a fresh one.
    deployed.told(
        "rm -rf /etc/prometheus /var/lib/prometheus; ! getent passwd prometheus || userdel prometheus"
    )
    for path in (
        "/etc/systemd/system",
        "/var/lib",
        "/opt/vllm/releases",
        "/opt/vllm/services",
        "/opt/vllm/secrets",
    ):
        left = deployed.told(f"ls {path} | grep -E '{'|'.join(SERVICES)}' || true")
        assert left == "", f"{path}: {left}"
    assert (
        deployed.told("getent passwd | grep -E 'vllm-(prometheus|alertmanager|node-exporter)' || true") == ""
    )


def test_all_targets_are_up(monitored: tuple[Host, list[str]]) -> None:
    host, _ = monitored
    host.until(lambda: targets(host) == {"node": "up", "vllm": "up"}, 60, "all targets are up")
    units = asked(host, 'query?query=node_systemd_unit_state{name="vllm.service",state="active"}')["result"]
    assert [each["value"][1] for each in units] == ["1"]
    for name in PACKAGES:  # their own services would listen on all addresses
        assert host.ssh(f"systemctl is-enabled {name}").stdout.strip() == "disabled"
    for port in (9090, 9093, 9100):
        held = host.told(f"ss -Hltn 'sport = :{port}'")
        assert "127.0.0.1" in held and len(held.splitlines()) == 1, held
    assert host.told("ss -Hltn 'sport = :9094'") == ""  # Alertmanager's cluster


def test_a_second_deploy_changes_nothing(monitored: tuple[Host, list[str]]) -> None:
    host, switch = monitored
    done = host.playbook("deploy.yml", *switch)
    assert done.returncode == 0 and "changed=0" in done.stdout, done.stdout[-3000:]


@pytest.mark.parametrize("unit", SERVICES)
def test_units(monitored: tuple[Host, list[str]], unit: str) -> None:
    host, _ = monitored
    said = host.told(f"systemd-analyze security {unit}.service --no-pager | tail -n 1")
    assert float(re.findall(r"\d+\.\d+", said)[-1]) <= 2.0, said
    words = host.strings(f"/proc/{host.pid(unit)}/cmdline")
    assert words and TOKEN not in " ".join(words)
    assert TOKEN not in host.told(
        f"systemctl show {unit}; cat /etc/systemd/system/{unit}.service /opt/vllm/logs/{unit}.log"
    )


def test_a_red_verdict_reaches_the_webhook_and_maintenance_keeps_it_silent(
    monitored: tuple[Host, list[str]],
) -> None:
    host, _ = monitored
    assert alerts(host) == {}
    [engine] = host.processes("vllm", "VLLM::EngineCore")
    quiet = host.playbook("ansible/maintenance.yml", "-e", "maintenance=on", "-e", "reason=test")
    assert quiet.returncode == 0, quiet.stdout
    with stopped(host, engine):
        host.until(
            lambda: asked(host, "query?query=vllm_probe_hands_off")["result"][0]["value"][1] == "1",
            60,
            "hands off",
        )
        host.told(
            "systemctl stop vllm-node-exporter; sleep 20; systemctl start vllm-node-exporter", seconds=90
        )
        assert alerts(host) == {} or set(alerts(host).values()) == {"pending"}
    assert host.ssh(f"test -e {TOLD}").returncode == 1
    assert host.playbook("ansible/maintenance.yml", "-e", "maintenance=off").returncode == 0
    # A verdict by hand: the canary would heal what really hangs before a minute has passed.
    file = "/opt/vllm/metrics/canary.prom"
    host.told("systemctl stop canary.timer; systemctl is-active canary && sleep 15 || true")
    host.told(f"sed -i 's/^\\(vllm_probe_state{{.*}}\\) .*/\\1 2.0/' {file}")
    try:
        host.until(lambda: alerts(host).get("VllmCanaryFailed") == "firing", 150, "the alert fires")
        host.until(lambda: host.ssh(f"test -s {TOLD}").returncode == 0, 90, "the webhook is told")
    finally:
        host.told("systemctl start canary.timer")
    header, _, body = host.told(f"head -n 1 {TOLD}").partition(" {")
    assert header == f"Bearer {TOKEN}"
    [alert] = json.loads("{" + body)["alerts"]
    assert alert["labels"]["alertname"] == "VllmCanaryFailed" and alert["labels"]["instance"] == "alpha"


def test_names_that_only_a_host_with_systemd_has(monitored: tuple[Host, list[str]]) -> None:
    """The rules rely on them."""
    host, _ = monitored
    scrape = host.fetched("http://127.0.0.1:9100/metrics")
    for name in (
        'node_systemd_service_restart_total{name="vllm.service"}',
        "vllm_probe_hands_off{",
        "node_filesystem_avail_bytes{",
    ):
        assert name in scrape, name
