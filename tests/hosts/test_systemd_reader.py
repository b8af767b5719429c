"""What a real systemd is said to know: state, release, automatic restarts of a day, and commands that work."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("hosts.py")
# As templates/systemd renders it, in small: an argument with all that systemd reads itself.
UNIT = r"""
[Unit]
StartLimitIntervalSec=300
StartLimitBurst=4
[Service]
Type=exec
ExecStartPre=+/bin/sh -c 'mkdir -p /run/vllm-deploy && echo 1-abc >/run/vllm-deploy/vllm'
ExecStart="/usr/bin/python3" "/opt/server.py" "--model" "/m 50%% \"x\" $$HOME"
Restart=always
RestartSec=0.5
StandardOutput=append:/opt/vllm.log
StandardError=inherit
[Install]
WantedBy=multi-user.target
"""
PROBES = Path(__file__).parents[2] / "python_checks"
ASK = """
import json
from python_checks.service import managers
from python_checks.service.registry import Row

row = Row("vllm", "chat", "systemd", "vllm", releases="/opt/releases/vllm")
print(json.dumps(managers.services([row])["vllm"].as_dict()))
"""
GOOD, BAD = "import time; print('up', flush=True); time.sleep(600)", "raise SystemExit(3)"

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="NOT TESTED: test hosts need root, and with them all that needs a systemd host"
)


class Host:
    """A booted host, seen through SSH and through the reader."""

    def __init__(self, directory: Path) -> None:
        self.inventory = directory / "hosts.yml"

    def run(self, command: str, given: bytes = b"") -> str:
        document = json.loads(self.inventory.read_text())["all"]
        variables, address = document["vars"], document["hosts"]["gamma"]["ansible_host"]
        options = shlex.split(variables["ansible_ssh_common_args"])
        ssh = ["ssh", *options, "-i", variables["ansible_ssh_private_key_file"], f"root@{address}", command]
        done = subprocess.run(ssh, capture_output=True, input=given, timeout=60, check=False)
        said = done.stdout.decode(errors="replace")
        assert done.returncode == 0, f"{command}\n{said}{done.stderr.decode(errors='replace')}"
        return said.strip()

    def copy(self, source: Path, target: str) -> None:
        """Copy a directory of Python below another one of the host."""
        with io.BytesIO() as raw:
            with tarfile.open(fileobj=raw, mode="w:gz") as archive:
                for path in source.rglob("*.*"):
                    if path.suffix in (".py", ".toml"):
                        archive.add(path, path.relative_to(source.parent))
            packed = raw.getvalue()
        self.run(f"mkdir -p {target}; tar -xzf - -C {target}", packed)

    def serve(self, code: str) -> None:
        self.run(f"printf %s {shlex.quote(code)} >/opt/server.py")

    def ask(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.run(f"PYTHONPATH=/opt/probes python3 -P -c {shlex.quote(ASK)}")
        )
        return found

    def until(self, condition: Callable[[dict[str, Any]], bool], seconds: float = 40) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while not condition(facts := self.ask()):
            assert time.monotonic() < deadline, facts
        return facts


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    directory = tmp_path_factory.mktemp("hosts") / "run"
    environment = os.environ | {"HOSTS_DIRECTORY": str(directory)}

    def hosts(*arguments: str) -> None:
        subprocess.run([sys.executable, PROGRAM, *arguments], env=environment, timeout=900, check=True)

    hosts("install")
    hosts("up", "gamma")
    own = Host(directory)
    own.copy(PROBES, "/opt/probes")
    yield own
    hosts("down")


def test_from_nothing_to_given_up(host: Host) -> None:
    assert host.ask()["state"] == "absent"
    host.serve(GOOD)
    host.run(f"printf %s {shlex.quote(UNIT)} >/etc/systemd/system/vllm.service")
    host.run("mkdir -p /opt/releases/vllm; ln -s 1-abc /opt/releases/vllm/current; systemctl daemon-reload")
    assert (host.ask()["state"], host.ask()["boot"]) == ("stopped", False)
    host.run("systemctl enable --now vllm")
    facts = host.until(lambda facts: facts["state"] == "running")
    assert str(facts["pid"]) == host.run("systemctl show --property=MainPID --value vllm")
    assert facts["command"][1:] == ["/opt/server.py", "--model", '/m 50% "x" $HOME']
    assert host.run(f"tr '\\0' '\\n' </proc/{facts['pid']}/cmdline").splitlines() == facts["command"]
    assert (facts["log"], facts["boot"], facts["restarts"]) == ("/opt/vllm.log", True, 0)
    assert (facts["running"], facts["stale"]) == ("1-abc", False)

    host.run("ln -sfn 2-def /opt/releases/vllm/current")
    assert host.ask()["stale"]

    host.run("systemctl kill --signal=KILL vllm")
    again = host.until(lambda now: now["state"] == "running" and now["pid"] != facts["pid"])
    host.run("systemctl reset-failed vllm")  # as every deploy does
    assert host.run("systemctl show --property=NRestarts --value vllm") == "0"
    assert (again["restarts"], host.ask()["restarts"]) == (1, 1)

    host.run("systemctl stop vllm")
    facts = host.ask()
    assert (facts["state"], facts["pid"], facts["ended"]) == ("stopped", 0, "killed by SIGTERM")

    host.serve(BAD)
    host.run("systemctl start vllm")
    facts = host.until(lambda facts: facts["gave_up"])
    assert (facts["state"], facts["ended"]) == ("failed", "exit code 3") and facts["restarts"] >= 3
    assert any("repeated too quickly" in line or "exit-code" in line for line in facts["told"])

    host.serve(GOOD)
    host.run(facts["start"])
    assert host.ask()["state"] == "running"


# A directive that keeps the program from running, and what systemd says before it gives up: its own words are all there is to go by.
BROKEN = (
    ("ExecStart=/opt/none/bin/vllm serve", "exit code 203", "Failed to locate executable /opt/none/bin/vllm"),
    ("ReadWritePaths=/opt/none/cache", "exit code 226", "/opt/none/cache: No such file or directory"),
)


@pytest.mark.parametrize(("directive", "ended", "words"), BROKEN)
def test_a_program_that_never_ran(host: Host, directive: str, ended: str, words: str) -> None:
    """The reason stands above what systemd says at every end, and another process than systemd's first wrote it."""
    unit = f"[Unit]\nStartLimitBurst=3\n[Service]\nExecStart=/bin/sleep 600\nRestart=always\nRestartSec=0.1\n{directive}\n"
    if directive.startswith("ExecStart"):
        unit = unit.replace("ExecStart=/bin/sleep 600\n", "")
    host.run("systemctl stop vllm 2>/dev/null; systemctl reset-failed vllm 2>/dev/null; true")
    host.run(f"printf %s {shlex.quote(unit)} >/etc/systemd/system/vllm.service; systemctl daemon-reload")
    host.run("systemctl start vllm || true")
    facts = host.until(lambda facts: facts["gave_up"])
    assert (facts["state"], facts["ended"]) == ("failed", ended)
    assert any(words in line for line in facts["told"]), facts["told"]


def test_a_unit_that_cannot_be_used_or_is_masked(host: Host) -> None:
    host.run("systemctl stop vllm; systemctl reset-failed vllm; true")
    host.run(
        "printf '[Service]\\nExecStart=bin/vllm serve\\n' >/etc/systemd/system/vllm.service; systemctl daemon-reload"
    )
    facts = host.ask()
    assert (facts["state"], facts["words"], facts["ended"]) == ("failed", "bad-setting", "")
    assert any("bin/vllm" in line for line in facts["told"]), facts["told"]
    host.run("rm /etc/systemd/system/vllm.service; systemctl mask vllm")
    facts = host.ask()
    assert (facts["state"], facts["words"]) == ("stopped", "masked")
    assert facts["start"] == "systemctl unmask vllm; systemctl start vllm"
