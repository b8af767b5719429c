"""status, probe, doctor and drain where nothing was deployed, and where a deploy got no further than its checks."""

from __future__ import annotations

import pytest
import yaml
from playbooks import REPOSITORY, Playbook

PLAYBOOKS = ("status", "probe", "doctor", "drain")


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_nothing_is_deployed(playbook: Playbook, name: str) -> None:
    run = playbook(f"ansible/{name}.yml", *(["--check"] if name == "drain" else []))
    assert run.returncode == 2, run.stdout
    assert "Nothing is deployed on demo: there is no " in words(run.stdout)
    assert "deploy first: ansible-playbook deploy.yml" in words(run.stdout)
    assert "WARNING" not in run.stdout


@pytest.mark.slow
def test_a_deploy_that_got_no_further_than_its_checks(prepared: Playbook) -> None:
    status = prepared("ansible/status.yml", "--check")
    assert status.returncode == 0, status.stdout
    assert "!! vllm       not deployed on this host\n" in status.stdout
    doctor = prepared("ansible/doctor.yml")
    assert doctor.returncode == 2, doctor.stdout
    remedy = "symptom  vllm is not deployed on this host\n   remedy   deploy: ansible-playbook deploy.yml\n"
    assert remedy in doctor.stdout
    drain = prepared("ansible/drain.yml")
    assert drain.returncode == 0 and "there is nothing to drain" in drain.stdout, drain.stdout
    probe = prepared("ansible/probe.yml")
    assert probe.returncode == 2 and "nothing to check" in words(probe.stdout)


def test_a_drain_shows_no_user_of_the_host_what_the_manager_knows() -> None:
    """Facts hold environments; every user reads the arguments of a process, and nobody its standard input."""
    tasks = yaml.safe_load((REPOSITORY / "roles/vllm/tasks/drain.yml").read_text())
    [wait] = [task["progress"] for each in tasks for task in each.get("block", []) if "progress" in task]
    assert "__service_facts" in wait["stdin"] and "__service_facts" not in str(wait["argv"])
