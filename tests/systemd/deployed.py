"""A test host with vLLM and the backend, as an operator and a client see it: SSH, systemctl, playbooks, HTTP.

def test_it(host: Host) -> None:
    assert host.show("vllm", "ActiveState") == "active"
    with host.client() as client, host.play("deploy.yml", "-v", "-e", "vllm_port=1") as play:
        play.says("Preflight", 60)
    assert not client.failures
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.guide import G41_BODY
from tests.systemd.client import MODEL, Client
from tests.systemd.play import REPOSITORY, Play

RUN = Path(os.environ.get("HOSTS_DIRECTORY") or REPOSITORY / ".tox/hosts/run")
START = 240  # seconds that a start of vLLM may take on a busy machine; an idle one needs 45


class Host:
    """The host ``alpha`` of a run."""

    def __init__(self, run: Path = RUN) -> None:
        self.run = run
        inventory = json.loads((run / "hosts.yml").read_text())["all"]
        self.address = inventory["hosts"]["alpha"]["ansible_host"]
        self.vllm, self.backend = f"http://{self.address}:8000", f"http://{self.address}:8080"
        options = shlex.split(inventory["vars"]["ansible_ssh_common_args"])
        self._ssh = ["ssh", *options, "-oBatchMode=yes", "-oConnectTimeout=5", "-i", str(run / "key")]

    def command(self, command: str, user: str = "root") -> list[str]:
        """Return what runs a command on the host."""
        return [*self._ssh, f"{user}@{self.address}", command]

    def ssh(self, command: str, user: str = "root", seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command on the host; ssh itself ends with 255."""
        return subprocess.run(
            self.command(command, user), capture_output=True, text=True, timeout=seconds, check=False
        )

    def told(self, command: str, user: str = "root", seconds: float = 60) -> str:
        """Return what a command prints, which must succeed."""
        done = self.ssh(command, user, seconds)
        assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def fetched(self, url: str) -> str:
        """Return what a server says, asked on the host, which has no curl."""
        script = "import sys, urllib.request as r; sys.stdout.buffer.write(r.urlopen(sys.argv[1], timeout=60).read())"
        return self.told(f"python3 -c {shlex.quote(script)} {shlex.quote(url)}", seconds=90)

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.told(f"systemctl show --property={name} --value {unit}")

    def pid(self, unit: str) -> int:
        """Return the main process of a unit; 0 when it does not run."""
        return int(self.show(unit, "MainPID"))

    def strings(self, path: str) -> list[str]:
        """Return the strings of a file of /proc that zero bytes end."""
        return self.told(f"tr '\\0' '\\n' <{path}").splitlines()

    def processes(self, unit: str = "vllm", title: str = "") -> dict[int, str]:
        """Return the processes in the control group of a unit whose title starts so: ``VLLM::EngineCore``, ``VLLM::Worker``."""
        group = f"/sys/fs/cgroup/system.slice/{unit}.service/cgroup.procs"
        lines = self.ssh(f"ps -ww -o pid=,args= -p $(paste -sd, {group})").stdout.splitlines()
        found = {int(line.split()[0]): line.split(maxsplit=1)[1] for line in lines}
        return {pid: args for pid, args in found.items() if args.startswith(title)}

    def memory(self, unit: str = "vllm") -> int:
        """Return the memory of a unit's processes in MiB; what several share counts once."""
        files = " ".join(f"/proc/{pid}/smaps_rollup" for pid in self.processes(unit))
        return int(self.told(f"cat {files} | awk '/^Pss:/ {{ sum += $2 }} END {{ print sum }}'")) // 1024

    def shared_memory(self, unit: str = "vllm") -> set[str]:
        """Return what lies in /dev/shm as the unit sees it."""
        return set(self.told(f"nsenter --target {self.pid(unit)} --mount ls -A /dev/shm").split())

    def chat(self, url: str = "", seconds: float = 60, **body: Any) -> requests.Response:
        """Ask vLLM for a chat completion of a greeting, or of ``body``."""
        default = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20}
        target = f"{url or self.vllm}/v1/chat/completions"
        return requests.post(target, json=default | {"temperature": 0} | body, timeout=seconds)

    def tool_call(self, seconds: float = 60) -> dict[str, Any]:
        """Send the guide's request and return the function that is called, its arguments as JSON text."""
        reply = self.chat(seconds=seconds, max_tokens=200, **G41_BODY)
        assert reply.status_code == 200, reply.text
        [call] = reply.json()["choices"][0]["message"]["tool_calls"]
        return dict(call["function"])

    def ask(self, message: str, session: str, seconds: float = 60) -> requests.Response:
        """Ask the backend."""
        body = {"message": message, "session_id": session}
        return requests.post(f"{self.backend}/v1/chat", json=body, timeout=seconds)

    def serves(self) -> bool:
        """Tell whether a chat is answered."""
        try:
            return self.chat().ok
        except requests.RequestException:
            return False

    def client(self) -> Client:
        """Return a client that sends a chat each second, from ``with`` to its end."""
        return Client(self.vllm)

    def play(self, playbook: str, *arguments: str) -> Play:
        """Start a playbook of the repository against this host, as an operator does; ended with ``with``."""
        return Play(self.run, playbook, *arguments)

    def playbook(
        self, playbook: str, *arguments: str, seconds: float = 900
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the repository against this host and return what it said."""
        with self.play(playbook, *arguments) as play:
            return play.ended(seconds)

    @property
    def model(self) -> str:
        """Return the directory of vLLM's model."""
        return str(json.loads(self.told("cat /opt/vllm/services/vllm.json"))["model"])

    def log(self, unit: str = "vllm", lines: int = 40) -> str:
        """Return the end of the log of a service."""
        return self.ssh(f"tail -n {lines} /opt/vllm/logs/{unit}.log").stdout

    def until(self, condition: Callable[[], object], seconds: float, what: str) -> float:
        """Wait for a condition and return how long it took; when it does not come true show the journal and vLLM's log."""
        started = time.monotonic()
        while not condition():
            if (passed := time.monotonic() - started) > seconds:
                raise AssertionError(f"not within {passed:.0f} s: {what}\n{self.story()}")
            time.sleep(0.5)
        return time.monotonic() - started

    def story(self, lines: int = 40) -> str:
        """Return what the journal and the logs tell of the last minutes."""
        # Our own logins fill it.
        others = f"grep -vE ' (sshd|systemd-logind)\\[| session-[0-9]+\\.scope' | tail -n {lines}"
        journal = self.ssh(f"journalctl --no-pager --lines 2000 | {others}").stdout
        parts = {
            "journal": journal,
            "vllm.log": self.log(lines=lines),
            "backend.log": self.log("backend", 15),
        }
        return "\n".join(f"--- {name}\n{text}" for name, text in parts.items())
