"""One Ctrl-C ends a run that follows a long command, and the command with all that it started; so do SIGTERM and SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playbooks import REPOSITORY

DEADLINE = 60.0  # seconds; the command would take ten minutes
COMMAND = ["sh", "-c", 'echo $$ >"$0"; echo under way >&2; sleep 600 & echo $! >>"$0"; wait']


def until(done: Callable[[], bool], what: str) -> None:
    """Wait for something that happens."""
    deadline = time.monotonic() + DEADLINE
    while not done():
        assert time.monotonic() < deadline, f"not within {DEADLINE:.0f} s: {what}"
        time.sleep(0.1)


def runs(pid: int) -> bool:
    """Tell whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Run:
    """A playbook with a long command that tells its progress, in a process group as a terminal makes one."""

    def __init__(self, directory: Path) -> None:
        """Start it, and wait until the command runs and was heard of."""
        self.temporary, pids, self.output = directory / "tmp", directory / "pids", directory / "output"
        task = {"progress": {"label": "long", "title": "waits", "argv": [*COMMAND, str(pids)]}}
        play = {"hosts": "all", "gather_facts": False, "tasks": [task]}
        (directory / "play.yml").write_text(json.dumps([play]))
        about = {"ansible_remote_tmp": str(self.temporary), "ansible_python_interpreter": sys.executable}
        program = Path(sys.executable).with_name("ansible-playbook")
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [program, "-i", "a,", "-c", "local", "-e", json.dumps(about), directory / "play.yml"],
                cwd=REPOSITORY,
                env=os.environ | {"ANSIBLE_HOME": str(directory / "home")},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(lambda: "under way" in self.output.read_text(), "the command is heard of")
        self.pids = [int(line) for line in pids.read_text().split()]
        self.workers = children(self.process.pid)
        assert len(self.pids) == 2 and all(map(runs, [*self.pids, *self.workers]))

    def left(self) -> list[str]:
        """Return what the action keeps on the host."""
        return [path.name for path in self.temporary.glob("progress-*")]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """The run of a playbook; nothing of it is left after the test."""
    run = Run(tmp_path)
    yield run
    for pid in (run.process.pid, *run.workers, *run.pids):
        if runs(pid):
            os.kill(pid, signal.SIGKILL)
    run.process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_ends_its_command(run: Run, number: signal.Signals) -> None:
    assert len(run.left()) == 2
    os.killpg(run.process.pid, number)
    assert run.process.wait(DEADLINE) != 0
    until(lambda: not any(map(runs, [*run.pids, *run.workers])), "the command and the workers have ended")
    until(lambda: not run.left(), "its files are gone")


def test_an_interrupt_reaches_the_thread_that_waits(run: Run) -> None:
    """What another thread of a worker catches is not heard of until the command ends."""
    interrupts = {signal.SIGINT, signal.SIGTERM}
    [worker] = run.workers
    others = [task for task in Path(f"/proc/{worker}/task").iterdir() if task.name != str(worker)]
    assert others
    for task in others:
        status = dict(
            line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line
        )
        assert all(int(status["SigBlk"], 16) >> number - 1 & 1 for number in interrupts)
