"""`canary` under a real supervisord: it sees each state, really restarts what hangs, and never starts what was stopped."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.python_checks.canary_support import SERVER, Canary, figures, until

CONFIGURATION = """
[unix_http_server]
file = %(here)s/sock
[supervisord]
logfile = %(here)s/supervisord.log
pidfile = %(here)s/supervisord.pid
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://%(here)s/sock
"""
PROGRAM = """
[program:{name}]
command = {command}
autostart = {autostart}
autorestart = true
startsecs = {startsecs}
startretries = 0
stopwaitsecs = 2
"""


class Supervised(Canary):
    """The server under supervisord, as `vllm`; `slow` takes long to be running, `broken` ends at once."""

    def serve(self) -> subprocess.Popen[bytes]:
        """Start supervisord with the server."""
        self.control = [program("supervisorctl"), "--configuration", str(self.directory / "supervisord.conf")]
        self.register("vllm", "supervisor", control=self.control)
        command = f"{sys.executable} {SERVER} {self.port} {self.directory / 'mode'}"
        text = CONFIGURATION + PROGRAM.format(name="vllm", command=command, autostart="true", startsecs=1)
        text += PROGRAM.format(name="slow", command="sleep 600", autostart="true", startsecs=60)
        text += PROGRAM.format(name="broken", command="false", autostart="true", startsecs=1)
        (self.directory / "supervisord.conf").write_text(text)
        server = subprocess.Popen(
            [program("supervisord"), "-n", "-c", self.directory / "supervisord.conf"],
            stdout=subprocess.DEVNULL,
        )
        until(lambda: self.pid)
        return server

    @property
    def pid(self) -> int:
        """Return the process that supervisord calls running, 0 when there is none."""
        words = self.ctl("status", "vllm").split()
        return int(words[3].rstrip(",")) if words[1:2] == ["RUNNING"] else 0

    def ctl(self, *words: str) -> str:
        """Ask supervisorctl."""
        return subprocess.run([*self.control, *words], capture_output=True, text=True, timeout=60).stdout

    def end(self) -> None:
        """End supervisord, and all that it runs."""
        self.server.terminate()
        self.server.wait(30)


def program(name: str) -> str:
    """Return a program of this environment."""
    return str(Path(sys.executable).with_name(name))


@pytest.fixture
def canary(tmp_path: Path, free_port: int) -> Iterator[Supervised]:
    """Give a server that answers, under supervisord."""
    own = Supervised(tmp_path, free_port)
    yield own
    own.end()


def test_what_hangs_is_restarted(canary: Supervised) -> None:
    canary.quick()
    first = canary.pid
    canary.mode("hang")
    found = [canary.run() for _ in range(3)]
    assert [code for code, _ in found] == [1, 1, 2]
    assert found[2][1]["evidence"]["pid"] == first and found[2][1]["reason"].endswith(
        "restarted, heal 1 of 3 in an hour"
    )
    until(lambda: canary.pid not in (0, first))
    code, result = canary.run()
    assert (code, result["evidence"]["condition"]) == (
        1,
        "loading",
    )  # a young one, and nothing was heard of it yet
    canary.mode("answer")
    assert canary.run()[0] == 0
    canary.mode("hang")
    assert figures(canary.run()[1]) | {"chat": 1, "patience": 1} == {
        "strikes": 1,
        "heals": 1,
        "gave_up": 0,
        "hands_off": 0,
        "chat": 1,
        "patience": 1,
    }


def test_what_explains_a_hang_is_kept_before_the_restart(canary: Supervised, tmp_path: Path) -> None:
    watch = tmp_path / "watch"
    watch.mkdir()
    canary.register("vllm", "supervisor", control=canary.control, watch=str(watch))
    canary.quick()
    hung = canary.pid
    os.kill(hung, signal.SIGSTOP)
    try:
        found = [canary.run() for _ in range(3)]
    finally:
        os.kill(hung, signal.SIGCONT)
    assert found[2][1]["reason"].endswith("restarted, heal 1 of 3 in an hour"), found[2]
    [kept] = (watch / "incidents").iterdir()
    [standing] = json.loads((kept / "summary.json").read_text())["standings"]
    assert (standing["pid"], standing["state"], standing["why"]) == (hung, "T", "")
    assert "serve_forever (" in (kept / "stacks.txt").read_text()
    until(lambda: canary.pid not in (0, hung))


def test_what_cannot_be_kept_holds_no_restart_back(canary: Supervised, tmp_path: Path) -> None:
    watch = tmp_path / "watch"
    watch.mkdir()
    (watch / "incidents").write_text("no directory")
    canary.register("vllm", "supervisor", control=canary.control, watch=str(watch))
    canary.quick()
    first = canary.pid
    canary.mode("hang")
    reason = [canary.run() for _ in range(3)][2][1]["reason"]
    assert "restarted, heal 1 of 3 in an hour, and what explains the hang was not kept: " in reason
    until(lambda: canary.pid not in (0, first))


def test_what_was_stopped_stays_stopped(canary: Supervised) -> None:
    canary.mode("hang")
    assert [canary.run("--start-seconds", "0.1")[1]["evidence"]["condition"] for _ in range(2)] == [
        "hung"
    ] * 2
    canary.ctl("stop", "vllm")
    for _ in range(10):
        code, result = canary.run("--start-seconds", "0.1")
        assert (code, result["evidence"]["condition"]) == (1, "stopped")
    assert canary.ctl("status", "vllm").split()[1] == "STOPPED"


def test_the_other_states(canary: Supervised) -> None:
    until(lambda: "FATAL" in canary.ctl("status", "broken"))
    for name, code, condition in (("slow", 1, "starting"), ("broken", 2, "failed")):
        canary.register(name, "supervisor", control=canary.control)
        found, result = canary.run("--service", name)
        assert (found, result["evidence"]["condition"]) == (code, condition)
    canary.register("nope", "supervisor", control=canary.control)
    code, result = canary.run("--service", "nope")
    assert code == 3 and "nope: ERROR (no such process)" in result["reason"]
    canary.ctl("shutdown")
    canary.server.wait(30)
    code, result = canary.run("--service", "vllm")
    assert code == 3 and "supervisord does not tell how vllm is" in result["reason"]
