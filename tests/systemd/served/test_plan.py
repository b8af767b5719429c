"""vLLM is stopped and started again by plan: the canary, status and doctor take it for what it is, a boot does not start it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.watching import canary, figure
from tests.systemd.deployed import START, Host
from tests.systemd.play import said

PLAN = ("-e", "vllm_stop_at='*-*-* 23:00'", "-e", "vllm_start_at='*-*-* 07:00'")


@pytest.fixture
def planned(host: Host) -> Iterator[Host]:
    """A host with a plan, which goes with the test."""
    deploy = host.playbook("deploy.yml", *PLAN)
    assert deploy.returncode == 0, deploy.stdout
    yield host
    deploy = host.playbook("deploy.yml")
    assert deploy.returncode == 0 and host.serves(), deploy.stdout
    assert host.told("ls /etc/systemd/system | grep -cE '^vllm-(stop|start)' || true") == "0"


@pytest.mark.parametrize("stop", ["soon", "*-*-* 25:00", "2020-01-01"])
def test_what_no_calendar_knows_is_refused(host: Host, stop: str) -> None:
    pid = host.pid("vllm")
    deploy = host.playbook("deploy.yml", "-e", f"vllm_stop_at='{stop}'", "-e", "vllm_start_at=07:00")
    assert deploy.returncode != 0 and "is no time that comes for systemd" in said(deploy), deploy.stdout
    assert host.pid("vllm") == pid


@pytest.mark.long
def test_a_night(planned: Host) -> None:
    """What the timers run is run by hand: a night takes hours."""
    host = planned
    assert "changed=0 " in host.playbook("deploy.yml", *PLAN).stdout
    for name in ("stop", "start"):
        assert host.show(f"vllm-{name}.timer", "ActiveState") == "active"
        last = host.told(f"systemd-analyze security --no-pager vllm-{name}.service").splitlines()[-1]
        assert float(last.partition(": ")[2].split()[0]) <= 2, last
    host.told("systemctl start vllm-stop.service")
    host.until(lambda: host.show("vllm", "ActiveState") == "inactive", 60, "vLLM is drained and stopped")
    code, words = canary(host)
    assert code == 0 and words == "ok: stopped by plan until 07:00" and figure(host, "state") == 0
    assert "stopped by plan until 07:00" in host.playbook("ansible/status.yml").stdout
    assert "stopped by plan until 07:00" in host.playbook("ansible/doctor.yml").stdout
    assert host.show("vllm", "UnitFileState") == "disabled"  # a boot in the night does not start it
    host.told("systemctl start vllm-start.service")
    host.until(host.serves, START, "vLLM is started again")
    assert host.show("vllm", "UnitFileState") == "enabled"
    # What an operator stopped is started by no plan.
    host.told("systemctl stop vllm && systemctl start vllm-stop vllm-start", seconds=120)
    assert host.show("vllm", "ActiveState") == "inactive"
    assert canary(host)[0] == 1


@pytest.mark.long
def test_a_deploy_in_the_night_starts_it(planned: Host) -> None:
    host = planned
    host.told("systemctl start vllm-stop.service")
    host.until(lambda: host.show("vllm", "ActiveState") == "inactive", 60, "vLLM is stopped")
    deploy = host.playbook("deploy.yml", *PLAN)
    assert deploy.returncode == 0 and host.serves(), deploy.stdout
    assert host.show("vllm", "UnitFileState") == "enabled"
    assert host.ssh("test -e /opt/vllm/planned/vllm").returncode == 1
