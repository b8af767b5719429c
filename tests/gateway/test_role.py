"""roles/gateway, played on this machine under supervisord before a scripted engine: deployed, asked, deployed again, stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playbooks import run_playbook

from tests.gateway.door import CHAT, KEY, Engine, digest, until
from tests.gateway.test_keys import OTHER
from tests.ports import free_port

pytestmark = pytest.mark.long  # its installs take minutes; bin/test --all has the other tests of this folder


class Gateway:
    """This machine as a host with a gateway, and the engine alone behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.engine = folder, folder / "h", Engine()
        self.vllm, self.backend, self.status, self.away = (free_port() for _ in range(4))

    def play(self, playbook: str, *keys: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook with these keys, a team each."""
        rows = [{"name": f"team-{number}", "sha256": digest(key)} for number, key in enumerate(keys)]
        host = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": str(self.folder / "tmp"),
            "host_directory": str(self.home),
            "service_manager": "supervisor",
            "vllm_model": str(self.folder / "model"),
            "vllm_port": self.engine.port,
            "backend_port": self.away,
            "gateway_vllm_port": self.vllm,
            "gateway_backend_port": self.backend,
            "gateway_status_port": self.status,
            "gateway_keys": rows,
        }
        inventory = self.folder / "hosts.json"
        groups = {name: {"hosts": {"host": None}} for name in ("vllm", "backend", "gateway")}
        inventory.write_text(json.dumps({"all": {"hosts": {"host": host}, "children": groups}}))
        return run_playbook(playbook, self.home, inventory=str(inventory))

    def checks(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type a check on the host."""
        command = [self.home / "bin/checks", *words]
        return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120, check=False)

    def asked(self, key: str) -> int:
        """Return the status that a chat with a key gets."""
        head = {"Authorization": f"Bearer {key}"}
        url = f"http://127.0.0.1:{self.vllm}{CHAT}"
        return requests.post(url, json={"model": "m"}, headers=head, timeout=30).status_code


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    own = Gateway(tmp_path_factory.mktemp("t"))
    own.engine.start()
    run = own.play("tests/gateway/role.yml", KEY)
    try:
        assert run.returncode == 0, run.stdout[-6000:]
        until(lambda: own.asked(KEY) == 200, 30, "the gateway serves")
        yield own
    finally:
        last = own.play("ansible/demo_stop.yml", KEY)
        own.engine.remove()
        assert last.returncode == 0, last.stdout[-3000:]


def test_a_second_play_changes_nothing(gateway: Gateway) -> None:
    run = gateway.play("tests/gateway/role.yml", KEY)
    assert run.returncode == 0 and " changed=0 " in run.stdout, run.stdout[-6000:]


def test_checks_are_typed_with_their_name_alone(gateway: Gateway) -> None:
    done = gateway.checks("gateway")
    assert "requests for backend wait" in done.stdout, done.stdout + done.stderr  # it does not run here
    done = gateway.checks("usage")
    assert done.returncode in (0, 3), done.stdout + done.stderr  # its job may not have run yet
    done = gateway.checks("rotation", "vllm", "leave")
    assert "wait at the gateway" in done.stdout, done.stdout + done.stderr
    assert gateway.checks("rotation", "vllm", "enter").returncode == 0 and gateway.asked(KEY) == 200


def test_a_key_more_is_taken_up_by_the_process_that_runs(gateway: Gateway) -> None:
    def process() -> str:
        words = ("status", "--format", "json")
        return str(
            json.loads(gateway.checks(*words).stdout)["results"][0]["evidence"]["services"]["gateway"]["pid"]
        )

    before = process()
    assert gateway.asked(OTHER) == 401
    run = gateway.play("tests/gateway/role.yml", KEY, OTHER)
    assert run.returncode == 0, run.stdout[-6000:]
    assert gateway.asked(OTHER) == 200 and process() == before
    assert gateway.play("tests/gateway/role.yml", KEY).returncode == 0
    assert gateway.asked(OTHER) == 401 and KEY not in run.stdout


def test_another_configuration_is_taken_up(gateway: Gateway) -> None:
    """Without keys everyone is served, and with them nobody else: the program's own command is the same."""
    assert gateway.asked("wrong") == 401
    for keys, status in (((), 200), ((), 200), ((KEY,), 401)):
        run = gateway.play("tests/gateway/role.yml", *keys)
        assert run.returncode == 0, run.stdout[-6000:]
        until(lambda: gateway.asked(KEY) == 200, 30, "the gateway serves")
        assert gateway.asked("wrong") == status


def test_the_screen_and_the_doctor_know_it(gateway: Gateway) -> None:
    said = gateway.checks("status").stdout
    assert "gateway" in said and "requests for backend wait" in said, said
    row = json.loads((gateway.home / "services/gateway.json").read_text())
    assert row["options"]["leads-to"] == "vllm backend"  # by which their canary finds it
    said = gateway.checks("doctor").stdout
    assert "requests for backend wait" in said, said
