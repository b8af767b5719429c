"""A playbook that runs, as an operator started it: to its end, until it says something, or until it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

REPOSITORY = Path(__file__).resolve().parents[2]
INVENTORY = REPOSITORY / "tests/systemd/inventory"


class Play:
    """Runs a playbook of the repository against the host of a run, from its creation."""

    def __init__(self, run: Path, playbook: str, *arguments: str) -> None:
        program = Path(sys.executable).with_name("ansible-playbook")
        self.command = [program, "-i", INVENTORY, "-i", run / "hosts.yml", playbook, *arguments]
        self._output = os.memfd_create("play")
        self.process = subprocess.Popen(
            self.command,
            cwd=REPOSITORY,
            env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    @property
    def output(self) -> str:
        """What it has said so far."""
        return os.pread(self._output, os.fstat(self._output).st_size, 0).decode(errors="replace")

    def says(self, text: str, seconds: float) -> None:
        """Wait until a text occurs in the output."""
        deadline = time.monotonic() + seconds
        while text not in self.output:
            ended = self.process.poll() is not None and text not in self.output
            assert not ended, f"ended without {text!r}\n{self.output}"
            assert time.monotonic() < deadline, f"not within {seconds} s: {text!r}\n{self.output}"
            time.sleep(0.1)

    def ended(self, seconds: float = 900) -> subprocess.CompletedProcess[str]:
        """Wait for its end and return its exit code and output."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not within {seconds} s: its end\n{self.output}") from None
        return subprocess.CompletedProcess(self.command, code, self.output, "")

    def kill(self) -> None:
        """Kill it and all that it started with -9, as a crash of the controller would."""
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)

    def __enter__(self) -> Play:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.kill()
        os.close(self._output)


def descendants(pid: int) -> list[int]:
    """Return the children of a process and theirs. Ansible's workers have sessions of their own, so a group signal misses them."""
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def said(run: subprocess.CompletedProcess[str]) -> str:
    """Return the output of a playbook with every run of white space as one space, for Ansible wraps and indents messages."""
    return " ".join(run.stdout.split())
