"""A program that is interrupted in the moment it starts is not left behind."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from python_checks.core import group
from tests.python_checks.support import wait_for_end


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Interrupt us as `checks` is, between the start of each program and the moment its id is known; give these ids."""
    ids: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            ids.append(self.pid)
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, interrupt)
    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    yield ids
    assert signal.signal(signal.SIGTERM, before) is interrupt


def test_an_interrupt_during_the_start_ends_the_program(begun: list[int]) -> None:
    with pytest.raises(KeyboardInterrupt), group.started(["sleep", "600"]):
        pass
    wait_for_end(begun[0])


def test_an_interrupt_is_not_lost_with_a_program_that_is_not_there(
    begun: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: Any, **options: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "Popen", fails)
    with pytest.raises(KeyboardInterrupt), group.started(["none"]):
        pass


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
