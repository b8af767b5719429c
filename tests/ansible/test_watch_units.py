"""The units beside a timer that watches vLLM: who reads a hung engine's memory, who restarts it, and what stops it by plan."""

from __future__ import annotations

import json
from typing import Any

import jinja2
import pytest
from playbooks import REPOSITORY

JOB = {"name": "canary", "restarts": "vllm", "user": "vllm-canary"}
GIVEN = {
    "ansible_managed": "by vllm-deploy",
    "__service_checks": "/opt/vllm/bin/checks",
    "__service_job_group": "vllm-watch",
    "__service_in_home": False,
    "service_hardening": "strict",
    "service_name": "vllm",
    "service_writable": ["/opt/vllm/watch"],
    "job": JOB,
}


def unit(template: str, **given: Any) -> dict[str, list[str]]:
    """Return the settings of a unit, each with its values, as Ansible renders it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(REPOSITORY / "templates/systemd"),
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    environment.filters["to_json"] = json.dumps
    found: dict[str, list[str]] = {}
    for line in environment.get_template(template).render(GIVEN | given).splitlines():
        name, mark, value = line.partition("=")
        if mark and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_who_reads_a_hung_engine_has_one_privilege_and_is_not_root() -> None:
    found = unit("incident.service.j2", service_hardening="gpu")
    assert found["User"] == ["vllm-canary"] and found["SupplementaryGroups"] == ["adm"]
    # An empty value first takes away what was given, so the last one is all there is.
    assert found["CapabilityBoundingSet"] == found["AmbientCapabilities"] == ["", "CAP_SYS_PTRACE"]
    assert found["NoNewPrivileges"] == ["yes"] and found["SystemCallFilter"][-1] == "ptrace"
    assert found["ReadWritePaths"] == ['"/opt/vllm/watch"'] and found["ProtectSystem"] == ["strict"]
    assert found["ProtectProc"] == ["default"]  # it sees the processes of another user
    assert "PrivateDevices" not in found  # nvidia-smi sees the GPUs
    assert found["ExecStart"] == ['"/opt/vllm/bin/checks" "incident" "vllm" "--format" "text"']


def test_the_restart_waits_for_it_and_no_longer_than_its_time() -> None:
    incident, restart = unit("incident.service.j2", service_hardening="gpu"), unit("restart.service.j2")
    assert '"--incident" "canary-incident.service"' in restart["ExecStart"][0]
    assert int(incident["TimeoutStartSec"][0]) == 20 < int(restart["TimeoutStartSec"][0])
    assert restart["CapabilityBoundingSet"] == [""]  # root, without a privilege


@pytest.mark.parametrize(("what", "persistent"), [("stop", None), ("start", ["yes"])])
def test_a_plan(what: str, persistent: list[str] | None) -> None:
    job = {"what": what, "at": "Mon..Fri 07:00"}
    timer, service = unit("plan.timer.j2", job=job), unit("plan.service.j2", job=job)
    assert timer["OnCalendar"] == ["Mon..Fri 07:00"] and timer.get("Persistent") == persistent
    assert timer["WantedBy"] == ["timers.target"]
    assert service["ExecStart"] == [f'"/opt/vllm/bin/checks" "plan" "{what}" "vllm" "--format" "text"']
    assert service["CapabilityBoundingSet"] == [""] and service["SuccessExitStatus"] == ["1"]
