"""status, probe, doctor and drain where nothing was deployed, and where a deploy got no further than its checks."""

from __future__ import annotations

from pathlib import Path

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


@pytest.mark.slow
def test_a_deploy_that_got_no_further_than_its_checks(prepared: Playbook) -> None:
    remedy = "remedy: deploy: ansible-playbook deploy.yml"
    status = prepared("ansible/status.yml", "--check")
    assert status.returncode == 0, status.stdout
    assert "no service is deployed on this host" in status.stdout and remedy in status.stdout
    doctor = prepared("ansible/doctor.yml")
    assert doctor.returncode == 2 and remedy in doctor.stdout, doctor.stdout
    drain = prepared("ansible/drain.yml")
    assert drain.returncode == 0 and "there is nothing to drain" in drain.stdout, drain.stdout
    probe = prepared("ansible/probe.yml")
    assert probe.returncode == 2 and "no service is deployed on this host" in words(probe.stdout)


def test_a_host_of_an_earlier_version_is_to_be_deployed(playbook: Playbook, tmp_path: Path) -> None:
    """Its probes know no registry: they ask for what the playbooks of their time handed them."""
    checks = tmp_path / "demo/bin/checks"
    checks.parent.mkdir(parents=True)
    checks.write_text("#!/bin/sh\necho 'error: the following arguments are required: --facts' >&2; exit 3\n")
    checks.chmod(0o755)
    for name in ("status", "doctor"):
        run = playbook(f"ansible/{name}.yml")
        assert run.returncode == 2 and "deploy.yml brings them up to date" in words(run.stdout), run.stdout
