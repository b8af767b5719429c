"""The backend of ML35: the operator's own checkout with its own Python, below a directory of a login user, and a log there, too."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.faults.deploys import variables
from tests.faults.watching import WATCH
from tests.systemd.deployed import Host
from tests.systemd.play import REPOSITORY, said

WORK, USER = "/mnt/data1/work", "vrsoft"
CHECKOUT, LOG = f"{WORK}/backend", f"{WORK}/logs/vllm.log"
# As the guide has it (G5); its packages come from the environment that the deploy made, for there is no route out.
MAKE = f"""
set -e
mkdir --parents {CHECKOUT} {WORK}/logs
cd {CHECKOUT}
tar --extract
python3 -m venv --without-pip .venv
mkdir python_checks
echo 'raise SystemExit("planted")' | tee python_checks/__init__.py >python_checks/__main__.py
cp --recursive /opt/vllm/venvs/backend-*/lib/python3*/site-packages/. .venv/lib/python3*/site-packages/
printf '%s\\n' VLLM_BASE_URL=http://127.0.0.1:8000/v1 MODEL_NAME=gpt-oss-120b OPENAI_API_KEY=dummies TEMPERATURE=0 >.env
chown --recursive {USER}: {WORK}
usermod --append --groups adm {USER}  # who reads logs, as docs/ml35.md has it
"""
GIVEN = variables(
    backend_source="existing",
    backend_directory=CHECKOUT,
    backend_user=USER,
    backend_health_path="/openapi.json",
    backend_expect_tool="",
    vllm_log_file=LOG,
)


@pytest.fixture
def existing(host: Host) -> Iterator[Host]:
    """A host with such a checkout, which ends with the backend of before."""
    tree = subprocess.run(
        ["tar", "--create", "--directory", REPOSITORY / "examples/backend", "src"],
        stdout=subprocess.PIPE,
        check=True,
    )
    subprocess.run(host.command(MAKE), input=tree.stdout, timeout=60, check=True)
    yield host
    run = host.playbook("deploy.yml")
    assert run.returncode == 0, run.stdout
    host.told(f"rm --recursive /mnt/data1; gpasswd --delete {USER} adm")


def test_deployed_as_on_ml35(existing: Host) -> None:
    host, pid = existing, existing.pid("vllm")
    run = host.playbook("deploy.yml", *GIVEN)
    assert run.returncode == 0, run.stdout
    again = host.playbook("deploy.yml", *GIVEN)
    assert again.returncode == 0 and "changed=0 " in again.stdout, again.stdout
    assert host.pid("vllm") == pid
    assert host.told(f"ps -o user= -p {host.pid('backend')}") == USER
    assert host.ask("회사 휴가 정책 알려줘", "existing").json()["tools_called"] == ["search_policy"]
    assert host.told(f"tail --lines=1 {LOG}", user=USER)
    for playbook in ("ansible/status.yml", "ansible/doctor.yml"):
        run = host.playbook(playbook, *GIVEN)
        assert run.returncode == 0, run.stdout
    host.told("systemctl start deep-probe.service", seconds=180)
    verdict = json.loads(host.told(f"cat {WATCH}/deep.verdict"))
    states = {result["check"]: result["state"] for result in verdict["results"]}
    assert {"langchain", "backend"} <= set(states)
    assert set(states.values()) <= {"ok", "warning"}, verdict["results"]


@pytest.mark.long
def test_vllm_stays_where_such_a_backend_asks_it(existing: Host) -> None:
    """vLLM goes to another port, of which the checkout's .env knows nothing: it comes back, for the backend is probed with it."""
    host, release = existing, existing.told("readlink /opt/vllm/releases/vllm/current")
    run = host.playbook("deploy.yml", *GIVEN)
    assert run.returncode == 0, run.stdout
    run = host.playbook("deploy.yml", *GIVEN, "-e", "vllm_port=8001")
    assert run.returncode != 0 and f"vLLM went back to {release}, too" in said(run), run.stdout
    assert host.told("readlink /opt/vllm/releases/vllm/current") == release
    assert host.ask("회사 휴가 정책 알려줘", "after-the-way-back").json()["tools_called"] == ["search_policy"]
