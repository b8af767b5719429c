"""A key for vLLM, and secrets: who needs them has them, and nothing else on the host nor an output; rotation, the way back, removal."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.faults.watching import WATCH, canary
from tests.systemd.client import MODEL
from tests.systemd.deployed import Host
from tests.systemd.play import said

WORD = "q7Geheim9"  # in each of them
LOOK = "q7Gehei[m]9"  # finds it, and not the command that looks for it
KEYS = [f"{WORD}-{number}-\"q'$HOME`id`%n\\" for number in range(3)]
OWN = f"{WORD} \"q\" 'a' $HOME `id` %n \\n 값\n second line\t\\"
SECRETS = "/opt/vllm/secrets"
# What systemd gives these jobs while they run, which the timer may begin at any moment.
OF_JOBS = ("/run/credentials/canary.service/", "/run/credentials/deep-probe.service/")
# Gigabytes of packages and weights, which no deploy writes here, and what is no disk.
LEFT_OUT = (
    "--exclude-dir=proc --exclude-dir=sys --exclude-dir=venvs --exclude-dir=models --exclude-dir=bundle"
)


class Keyed:
    """The deployed host, and secrets in a file that only we may read, as a vault's are."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host, self.file = host, folder / "secrets.json"

    def deploy(self, key: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Deploy with a key, with everything that Ansible can show; what it says holds no secret."""
        secrets = {
            "vllm_api_key": key,
            "vllm_secrets": {"HF_TOKEN": OWN},
            "backend_secrets": {"DB_PASSWORD": OWN},
        }
        self.file.write_text(json.dumps(secrets | {"vllm_allow_unauthenticated": False}))
        self.file.chmod(0o600)
        run = self.host.playbook("deploy.yml", "--diff", "-vvv", "-e", f"@{self.file}", *arguments)
        assert [line for line in run.stdout.splitlines() if WORD in line] == []
        return run

    def status(self, key: str | None) -> int:
        """What a client with a key gets."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
        return requests.post(
            f"{self.host.vllm}/v1/chat/completions", json=body, headers=headers, timeout=60
        ).status_code

    def serves_with(self, key: str) -> None:
        """vLLM takes this key and no other, and its backend and its canary have it."""
        assert [self.status(each) for each in (None, "wrong", *KEYS)] == [
            200 if each == key else 401 for each in (None, "wrong", *KEYS)
        ]
        answer = self.host.ask("회사 휴가 정책 알려줘", f"key-{KEYS.index(key)}", seconds=120)
        assert answer.status_code == 200, answer.text
        code, words = canary(self.host)
        assert (code, words.split(":")[0]) == (0, "ok"), words

    def holders(self, word: str = LOOK) -> list[str]:
        """Return the files of the host that hold it, but the secrets themselves, and what a job that runs just now was given."""
        found = self.host.ssh(f"grep -rla {LEFT_OUT} -e '{word}' / 2>/dev/null", seconds=300).stdout
        return [path for path in found.splitlines() if not path.startswith((f"{SECRETS}/", *OF_JOBS))]


@pytest.fixture(scope="module")
def keyed(deployed: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    found = Keyed(deployed, tmp_path_factory.mktemp("keyed"))
    yield found
    if found.status(None) != 200:  # the last test failed, and the next ones know no key
        assert deployed.playbook("deploy.yml").returncode == 0


def test_a_key_reaches_all_that_ask_vllm(keyed: Keyed) -> None:
    run = keyed.deploy(KEYS[0])
    assert run.returncode == 0, run.stdout
    keyed.serves_with(KEYS[0])
    host = keyed.host
    for playbook in ("ansible/status.yml", "ansible/doctor.yml", "ansible/probe.yml"):
        done = host.playbook(playbook, "-vvv")
        assert done.returncode == 0 and WORD not in done.stdout, done.stdout
    host.told("systemctl start deep-probe.service", seconds=300)
    verdict = json.loads(host.told(f"cat {WATCH}/deep.verdict"))
    states = {result["check"]: result["state"] for result in verdict["results"]}
    assert {"langchain", "backend", "chat-auto-stream"} <= set(states)
    assert set(states.values()) <= {"ok", "warning"}, verdict["results"]
    assert host.told("/opt/vllm/bin/checks all --service vllm").count(" OK") == 5
    again = keyed.deploy(KEYS[0])
    assert "changed=0 " in again.stdout, again.stdout


def test_the_processes_have_them_byte_for_byte(keyed: Keyed) -> None:
    host = keyed.host
    raw = {unit: host.told(f"cat /proc/{host.pid(unit)}/environ").split("\0") for unit in ("vllm", "backend")}
    assert {f"HF_TOKEN={OWN}", f"VLLM_API_KEY={KEYS[0]}"} <= set(raw["vllm"])
    assert {f"DB_PASSWORD={OWN}", f"OPENAI_API_KEY={KEYS[0]}"} <= set(raw["backend"])


def test_nothing_else_on_the_host_holds_them(keyed: Keyed) -> None:
    host = keyed.host
    assert keyed.holders() == []
    assert WORD not in host.told("journalctl --no-pager --all --output=verbose", seconds=120)
    assert WORD not in host.told("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    holding = host.ssh(f"grep -la {LOOK} /proc/[0-9]*/environ 2>/dev/null").stdout.split()
    users = {host.ssh(f"stat -c %U {path}").stdout.strip() for path in holding}
    assert holding and users - {""} == {"vllm", "backend"}
    modes = host.told(f"find {SECRETS} -not -type l -printf '%y%m%u\\n' | sort -u").split()
    assert modes == ["d700root", "f600root"]


def test_another_user_of_the_host_finds_none(keyed: Keyed) -> None:
    units = "vllm backend canary canary.timer deep-probe"
    for command in (
        f"systemctl show {units}",
        f"systemctl cat {units}",
        "busctl introspect --full org.freedesktop.systemd1 /org/freedesktop/systemd1/unit/vllm_2eservice",
        f"sh -c 'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; grep -ra {LEFT_OUT} {LOOK} /opt /etc /run /var /tmp; true'",
    ):
        found = keyed.host.ssh(f"runuser -u nobody -- {command} 2>/dev/null", seconds=120)
        assert found.stdout and WORD not in found.stdout, command
    assert keyed.host.ssh(f"runuser -u nobody -- ls {SECRETS}").returncode != 0


@pytest.mark.long
def test_a_failed_rotation_goes_back_with_the_key_that_served(keyed: Keyed) -> None:
    before = keyed.host.told("cat /run/vllm-deploy/vllm")
    run = keyed.deploy(KEYS[1], "-e", "vllm_start_seconds=10")
    assert run.returncode != 0 and f"{before} serves again" in said(run), run.stdout
    assert keyed.host.told("cat /run/vllm-deploy/vllm") == before
    keyed.serves_with(KEYS[0])
    assert len(keyed.host.told(f"ls {SECRETS}/vllm").split()) == 2  # the set and the link


@pytest.mark.long
def test_a_rotation_takes_one_deploy(keyed: Keyed) -> None:
    run = keyed.deploy(KEYS[2])
    assert run.returncode == 0, run.stdout
    keyed.serves_with(KEYS[2])
    assert keyed.holders() == [] and keyed.host.ssh(f"grep -r -e {LOOK}-0 {SECRETS}").stdout == ""
    # Who asks with the old one is told that it is the key.
    keyed.host.told(f"printf %s old >{SECRETS}/old")
    done = keyed.host.ssh(
        f"/opt/vllm/bin/checks tool-call --url http://127.0.0.1:8000 --api-key-file {SECRETS}/old"
    )
    keyed.host.told(f"rm {SECRETS}/old")
    assert done.returncode == 2 and "HTTP 401: Unauthorized" in done.stdout
    assert "vllm_api_key" in done.stdout and "--tool-call-parser" not in done.stdout


def test_without_a_key_all_is_as_it_was(keyed: Keyed) -> None:
    host = keyed.host
    run = host.playbook("deploy.yml")
    assert run.returncode == 0 and re.search(r"tool-call +ok ", run.stdout), run.stdout
    assert keyed.status(None) == 200
    assert host.ask("Hello", "no-key").status_code == 200
    assert canary(host)[0] == 0
    assert host.told(f"ls {SECRETS}") == "salt" and keyed.holders() == []
    earlier = host.playbook("ansible/rollback.yml")
    assert earlier.returncode != 0 and "needs secrets that alpha has no more" in said(earlier)
    assert keyed.status(None) == 200
