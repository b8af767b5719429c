"""A vLLM for the canary's tests, whose chat and counters go as told, and a fake of systemctl that says it runs."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.python_checks.support import DEADLINE, ROOT

SERVER = Path(__file__).with_name("canary_server.py")
# No systemd: it says what a file holds, and writes down how it was called.
FAKE_SYSTEMCTL = """#!/bin/sh
ulimit -S -f unlimited  # its notes are no part of what a full disk is to hold back
echo "$*" >>"$FAKE/calls"
case "$*" in show*) cat "$FAKE/shown" ;; esac
"""
RESTART = "--no-block --job-mode=fail try-restart vllm"
Result = dict[str, Any]


class Canary:
    """A child that serves, and the canary as a process beside it."""

    def __init__(self, directory: Path, port: int) -> None:
        """Start the child; it answers every chat until told otherwise."""
        self.directory, self.port = directory, port
        self.state, self.maintenance, self.lock = (
            directory / name for name in ("state.json", "maintenance", "lock")
        )
        (directory / "systemctl").write_text(FAKE_SYSTEMCTL)
        (directory / "systemctl").chmod(0o755)
        self.mode("answer")
        self.register("vllm")
        self.server = self.serve()

    def register(self, name: str, manager: str = "systemd", **row: Any) -> None:
        """Write the row of a service that the canary watches."""
        (self.directory / "services").mkdir(exist_ok=True)
        url = f"http://127.0.0.1:{self.port}"
        given = {"name": name, "manager": manager, "unit": name, "url": url, "probes": ["canary"], **row}
        (self.directory / f"services/{name}.json").write_text(json.dumps(given))

    def serve(self) -> subprocess.Popen[bytes]:
        """Start a server and wait until it listens."""
        server = subprocess.Popen(
            [sys.executable, SERVER, str(self.port), self.directory / "mode"], stdout=subprocess.PIPE
        )
        assert server.stdout is not None and server.stdout.readline()
        self.shown(pid=server.pid)
        return server

    def mode(self, name: str) -> None:
        """Tell the server how its next answers go; see canary_server.py."""
        (self.directory / "mode.new").write_text(name)
        (self.directory / "mode.new").replace(self.directory / "mode")

    def shown(self, active: str = "active", sub: str = "running", pid: int = 0, load: str = "loaded") -> None:
        """Set what systemctl shows."""
        (self.directory / "shown").write_text(
            f"LoadState={load}\nActiveState={active}\nSubState={sub}\nMainPID={pid}\n"
        )

    @property
    def restarts(self) -> list[str]:
        """Return what systemctl was asked for besides the state."""
        path = self.directory / "calls"
        return (
            [line for line in path.read_text().splitlines() if not line.startswith("show ")]
            if path.exists()
            else []
        )

    def arguments(self, *more: str) -> list[str]:
        """Return the words of the command line; a chat has a second."""
        files = ("--state", self.state, "--maintenance", self.maintenance, "--lock", self.lock)
        return ["canary", "--timeout", "1", *map(str, files), "--format", "json", *more]

    def run(self, *more: str, **options: Any) -> tuple[int, Result]:
        """Run the canary; return its exit code and what it found."""
        environment = os.environ | {
            "PATH": f"{self.directory}:{os.environ['PATH']}",
            "FAKE": str(self.directory),
            "CHECKS_HOME": str(self.directory),
            "PYTHONPATH": str(ROOT),  # as bin/checks sets it
        }
        done = subprocess.run(
            [sys.executable, "-m", "python_checks", *self.arguments(*more)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
            **options,
        )
        assert done.stdout, done.stderr
        result: Result = json.loads(done.stdout)["results"][0]
        return done.returncode, result

    def quick(self) -> None:
        """Have the server answer once, and the canary believe that a full step takes a moment, however slow this machine is."""
        until(lambda: self.run()[0] == 0)
        memory = json.loads(self.state.read_text())
        self.state.write_text(json.dumps(memory | {"step": 0.001}))

    def end(self) -> None:
        """End the server, also a stopped one."""
        self.server.kill()
        self.server.wait()


def figures(result: Result) -> dict[str, float]:
    """Return name -> value."""
    return {figure["name"]: figure["value"] for figure in result["figures"]}


def until(condition: Any, seconds: float = 30) -> None:
    """Wait for a condition, with a deadline."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the deadline passed"
        time.sleep(0.1)
