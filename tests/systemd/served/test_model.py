"""The model comes to the host from a server of the site, by ansible/model.yml, and vLLM serves it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.faults.deploys import variables
from tests.systemd.deployed import Host
from tests.systemd.play import said

pytestmark = pytest.mark.long  # two starts; tests/ansible/deploys/test_model.py has the playbook
STAGED, PORT = "/srv/models/staged", 8765
# The stdlib's server has no ranges; what is resumed is tested in tests/python_checks/model/test_staging.py.
SERVE = f"exec python3 -m http.server {PORT} --bind 127.0.0.1 --directory"
SUM = "find -L . -type f ! -name SHA256SUMS ! -path '*/.*' -exec sha256sum {} + >SHA256SUMS"


def left(host: Host) -> None:
    """Remove the staged model where a test that failed has left it."""
    if host.model == STAGED:
        host.playbook("deploy.yml")
    host.ssh(f"rm -rf {STAGED}")


@pytest.fixture
def site(host: Host) -> Iterator[str]:
    """Serve a copy of the nano model, with its manifest, on the host itself: a guest reaches no other machine."""
    host.told(f"cp -rL {host.model} /srv/site && cd /srv/site && {SUM}")
    with ExitStack() as stack:
        stack.callback(left, host)
        server = subprocess.Popen(
            host.command(f"{SERVE} /srv/site"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        stack.callback(host.ssh, "rm -rf /srv/site")
        stack.callback(server.wait, 30)
        stack.callback(host.ssh, f"kill $(ss -Hltnp 'sport = :{PORT}' | grep -o 'pid=[0-9]*' | cut -d= -f2)")
        host.until(
            lambda: host.ssh(f"ss -Hltn 'sport = :{PORT}'").stdout, 30, "the server of the site listens"
        )
        yield f"http://127.0.0.1:{PORT}"


def test_staged_deployed_and_removed(host: Host, site: str) -> None:
    before, pid = host.model, host.pid("vllm")
    given = variables(vllm_model=STAGED, vllm_model_source=site)
    run = host.playbook("ansible/model.yml", *given)
    assert run.returncode == 0 and f"model OK: staged {STAGED}: " in said(run), run.stdout
    assert host.pid("vllm") == pid, "what serves is not touched"
    assert host.told("ls -A /srv/models | grep staged") == "staged"
    assert host.told(f"find {STAGED} -printf '%u %m\\n' | sort -u").splitlines() == ["root 644", "root 755"]
    again = host.playbook("ansible/model.yml", *given)
    assert again.returncode == 0 and "changed=0 " in again.stdout, again.stdout
    run = host.playbook("deploy.yml", *given)
    assert run.returncode == 0 and host.model == STAGED, run.stdout
    assert host.tool_call()["name"] == "get_weather"
    kept = host.playbook("ansible/model.yml", *given, "-e", "model_state=absent")
    assert kept.returncode != 0 and f"{STAGED} is the model of vllm" in said(kept), kept.stdout
    run = host.playbook("deploy.yml")
    assert run.returncode == 0 and host.model == before, run.stdout
    gone = host.playbook("ansible/model.yml", *given, "-e", "model_state=absent")
    assert gone.returncode == 0 and host.ssh(f"ls -d {STAGED}").returncode != 0, gone.stdout
