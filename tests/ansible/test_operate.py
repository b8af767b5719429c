"""status, probe, doctor and drain where nothing was deployed, and where a deploy got no further than its checks."""

from __future__ import annotations

import pytest
from playbooks import Playbook

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
