"""A program that is interrupted in the moment it starts is not left behind."""

import os
import signal
import subprocess
import threading
from typing import Any

import pytest

from python_checks.core import group
from tests.python_checks.support import wait_for_end


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Interrupt each program between its start and the moment its id is known; give these ids."""
    ids: list[int] = []

    class Interrupted(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            ids.append(self.pid)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    return ids


def test_an_interrupt_during_the_start_ends_the_program(begun: list[int]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), group.started(["sleep", "600"]):
        pass
    wait_for_end(begun[0])
    assert signal.getsignal(signal.SIGINT) is before


def test_a_thread_starts_one_too() -> None:
    ended = []

    def start() -> None:
        with group.started(["sleep", "600"]) as child:
            pass
        ended.append(child.returncode)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join(60)
    assert ended == [-signal.SIGKILL]
