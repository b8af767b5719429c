"""Processes that see only each other, as on a host of their own: what else this machine runs disturbs no test."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.python_checks.support import DEADLINE, ROOT

ENGINE = Path(__file__).with_name("engine.py")
AS_USER = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]


class Island:
    """A PID namespace. Ids are those inside it."""

    def __init__(self) -> None:
        """Start process 1, which ends all others with itself."""
        command = ["unshare", *AS_USER, "--pid", "--fork", "--mount-proc", "--kill-child", "cat"]
        self.outside = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        self.first = ""
        while not self.first or "cat" not in Path(f"/proc/{self.first}/cmdline").read_text():
            if self.outside.poll() is not None:
                assert self.outside.stderr is not None
                pytest.skip(f"NOT TESTED: namespaces are needed: {self.outside.stderr.read().decode()}")
            time.sleep(0.02)
            self.first = (
                Path(f"/proc/{self.outside.pid}/task/{self.outside.pid}/children").read_text().strip()
            )

    def command(self, *arguments: str | Path) -> list[str]:
        """Return the command that runs another one here."""
        enter = ["nsenter", f"--target={self.first}", "--pid", "--mount"]
        enter += ["--user", "--preserve-credentials"] if AS_USER else []
        return [*enter, "env", f"--chdir={ROOT}", *map(str, arguments)]

    def start(self, *arguments: str | Path) -> int:
        """Start a process that prints its id first."""
        child = subprocess.Popen(self.command(*arguments), stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        return int(child.stdout.readline())

    def engine(self, title: str, *more: str, before: tuple[str, ...] = ()) -> int:
        """Start a process of 60 MiB and more with a title of vLLM's."""
        return self.start(*before, sys.executable, ENGINE, title, "60", *more)

    def guard(self, *arguments: str | Path, before: tuple[str, ...] = (), **environment: str) -> "Done":
        """Run the check; with no --patience given it has next to none."""
        patience = () if "--patience" in arguments else ("--patience", "0.1")
        words = (*before, sys.executable, "-m", "python_checks", "guard", *patience, *arguments)
        return subprocess.run(
            self.command(*words),
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    def end(self) -> None:
        """End every process of it."""
        self.outside.kill()
        self.outside.communicate()


Done = subprocess.CompletedProcess[str]
