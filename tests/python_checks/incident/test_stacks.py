"""Stacks of real processes by the real py-spy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from python_checks.incident import stacks, stands
from python_checks.incident.stacks import Process
from tests.python_checks.incident.children import ENGINE, WORKER, Children


@pytest.fixture
def children() -> Iterator[Children]:
    """Give a place for children, which end with the test."""
    own = Children()
    yield own
    own.end()


def names(pid: int) -> list[str]:
    found, why = stacks.dump(pid, 20)
    assert not why
    [main] = [thread for thread in found if thread.native == pid]
    return [frame.name for frame in main.frames]


def test_the_waiting_function_is_named(children: Children) -> None:
    pid = children.start(ENGINE)
    found = names(pid)
    assert found.index("acquire_read") < found.index("dequeue")
    threads, _ = stacks.dump(pid, 20)
    text = stacks.written(Process(pid, "EngineCore", "S", threads))
    assert "    dequeue (" in text and "shm_broadcast.py:" in text and f"thread {pid} MainThread" in text
    assert "prompt" not in text


def test_a_stopped_process_is_read_and_stays_stopped(children: Children) -> None:
    pid = children.start(WORKER, "execute.py")
    children.stop(pid)
    assert "execute_model" in names(pid)
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        assert file.read().rpartition(")")[2].split()[0] == "T"


def test_native_frames(children: Children) -> None:
    pid = children.start(ENGINE)
    text = stacks.native(pid, 20)
    assert "acquire_read (" in text and ("libc" in text or "0x" in text), text
    assert "prompt" not in text


def test_what_gives_no_stack_says_why(children: Children) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            assert stacks.dump(other.pid, 20)[0] == [] and stacks.dump(other.pid, 20)[1]
        finally:
            other.kill()
    found, why = stacks.dump(other.pid, 20)
    assert not found and why


def test_the_deadline_holds(
    children: Children, monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    slow = os.path.join(tmp_path, "py-spy")
    with open(slow, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\nexec sleep 60\n")
    os.chmod(slow, 0o755)
    monkeypatch.setattr(sys, "executable", os.path.join(tmp_path, "python"))
    found, why = stacks.dump(os.getpid(), 0.2)
    assert not found and why.endswith("gave no answer within 0.2 s")


@pytest.mark.parametrize(
    ("words", "main", "who"),
    [
        (["VLLM::EngineCore"], False, "EngineCore"),
        (["VLLM::Worker_TP1"], False, "Worker_TP1"),
        (["/opt/v/bin/python", "-m", "vllm.entrypoints.openai.api_server"], True, "API server"),
        (["/usr/bin/python3", "-c", "from multiprocessing.resource_tracker import main"], False, "python3"),
    ],
)
def test_who_it_is(words: list[str], main: bool, who: str) -> None:
    assert stacks.who(words, main) == who


def test_the_children_stand_where_the_words_say(children: Children) -> None:
    engine, worker = children.start(ENGINE), children.start(WORKER, "execute.py")
    children.stop(worker)
    seen = [
        Process(engine, "EngineCore", "S", stacks.dump(engine, 20)[0]),
        Process(worker, "Worker_TP1", "T", stacks.dump(worker, 20)[0]),
    ]
    assert stands.explain([stands.of(each) for each in seen]) == [
        f"EngineCore (pid {engine}) waits in shm_broadcast.dequeue for a worker that is stopped (T): Worker_TP1",
        f"Worker_TP1 (pid {worker}) is stopped (T), in execute.execute_model",
    ]
