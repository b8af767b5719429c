"""Real processes with the titles of vLLM's, each of which stands in a function that is known."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ENGINE, WORKER = "VLLM::EngineCore", "VLLM::Worker_TP1"


class Children:
    """The children of one test; `end` ends them, also stopped ones."""

    def __init__(self) -> None:
        """Begin with none."""
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, title: str, script: str = "shm_broadcast.py") -> int:
        """Start one, in the group of the first, and wait until it stands; return its id."""
        words = [title, "-I", str(HERE / script)]
        group = self.processes[0].pid if self.processes else 0
        child = subprocess.Popen(
            words, executable=sys.executable, stdout=subprocess.PIPE, text=True, process_group=group
        )
        self.processes.append(child)
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        return child.pid

    def stop(self, pid: int) -> None:
        """Stop one as a debugger would."""
        os.kill(pid, signal.SIGSTOP)
        end = time.monotonic() + 10
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < end
            time.sleep(0.01)

    def end(self) -> None:
        """End all."""
        for child in self.processes:
            child.kill()
            child.wait()
            if child.stdout:
                child.stdout.close()
