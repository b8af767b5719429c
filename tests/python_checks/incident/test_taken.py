"""`incident` as a command, beside real processes that hang: what it keeps, and that nothing holds it up."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.python_checks.hosted import Hosted
from tests.python_checks.incident.children import ENGINE, WORKER, Children
from tests.python_checks.support import Server

SECRET = "Geheimnis"
LOG = """(APIServer pid=11) INFO 11-29 17:00:00 [async_llm.py:578] Added request chatcmpl-a.
(APIServer pid=11) DEBUG 11-29 17:00:00 [request_logger.py:56] Request chatcmpl-a details: prompt: 'Geheimnis', prompt_token_ids: [1]
(EngineCore pid=12) INFO 11-29 17:01:00 [shm_broadcast.py:542] No available shared memory broadcast block found in 60 seconds.
"""
METRICS = """vllm:num_requests_running{engine="0"} 2.0
vllm:num_requests_waiting{engine="0"} 1.0
"""


@pytest.fixture
def children() -> Iterator[Children]:
    """Give a place for children, which end with the test."""
    own = Children()
    yield own
    own.end()


@pytest.fixture
def hung(hosted: Hosted, children: Children, server: Server, tmp_path: Path) -> tuple[Hosted, list[int]]:
    """A service whose engine waits for a worker that is stopped."""
    server.answers["/metrics"] = (200, METRICS)
    log, watch = tmp_path / "vllm.log", tmp_path / "watch"
    log.write_text("(EngineCore pid=12) INFO 11-29 16:00:00 [a.py:1] old\n" * 5000 + LOG)
    watch.mkdir()
    pids = [children.start(ENGINE), children.start(WORKER, "execute.py")]
    children.stop(pids[1])
    hosted.add("vllm", log=str(log), watch=str(watch), url=server.url)
    hosted.shown("vllm", MainPID=str(pids[0]))
    for name, words in (("nvidia-smi", "echo GPU 0 is idle"), ("journalctl", "echo kernel: NVRM: Xid 31")):
        (hosted.programs / name).write_text(f"#!/bin/sh\n{words}\n")
        (hosted.programs / name).chmod(0o755)
    return hosted, pids


def kept(hosted: Hosted) -> Path:
    return max((hosted.home.parents[1] / "watch/incidents").iterdir())  # their names begin with the time


def taken(hosted: Hosted) -> subprocess.CompletedProcess[str]:
    """Take an incident, and again while the machine is so busy that the native stacks came too late."""
    for _ in range(5):
        done = hosted.checks("incident", "vllm")
        assert done.returncode == 0, done.stdout + done.stderr
        if "gave no answer within" not in (kept(hosted) / "native.txt").read_text():
            break
    return done


def test_what_is_kept(hung: tuple[Hosted, list[int]]) -> None:
    hosted, (engine, worker) = hung
    done = taken(hosted)
    words = "waits in shm_broadcast.dequeue for a worker that is stopped (T): Worker_TP1"
    assert f"EngineCore (pid {engine}) {words}" in done.stdout
    path = kept(hosted)
    assert sorted(each.name for each in path.iterdir()) == [
        "gpu.txt", "kernel.txt", "log.txt", "native.txt", "stacks.txt", "summary.json",
    ]  # fmt: skip
    stacks = (path / "stacks.txt").read_text()
    assert f"EngineCore, pid {engine}, state S" in stacks and "dequeue (" in stacks
    assert f"Worker_TP1, pid {worker}, state T" in stacks and "execute_model (" in stacks
    native = (path / "native.txt").read_text()
    assert "acquire_read" in native and "not read: state T" in native
    assert (path / "gpu.txt").read_text() == "GPU 0 is idle\n"
    assert "NVRM: Xid 31" in (path / "kernel.txt").read_text()
    lines = (path / "log.txt").read_text().splitlines()
    assert len(lines) == 200 and "No available shared memory" in lines[-1] and "chatcmpl-a" in lines[-2]
    summary = json.loads((path / "summary.json").read_text())
    assert summary["requests"] == {"running": 2, "waiting": 1, "ids": ["chatcmpl-a"]}
    assert summary["missing"] == {}
    for each in path.iterdir():
        assert SECRET not in each.read_text() and "a prompt" not in each.read_text(), each


def test_what_cannot_be_had_is_named_and_holds_nothing_up(
    hung: tuple[Hosted, list[int]], server: Server
) -> None:
    """nvidia-smi and the journal hang, the server drips, there is no log: each has its deadline, and all run at once."""
    hosted, _ = hung
    server.answers["/metrics"] = ("drip", "")
    (hosted.home.parents[1] / "vllm.log").unlink()
    for name in ("nvidia-smi", "journalctl"):
        (hosted.programs / name).write_text("#!/bin/sh\nexec sleep 60\n")
    begun = time.monotonic()
    done = hosted.checks("incident", "vllm")
    assert time.monotonic() - begun < 18 and done.returncode == 0, done.stdout
    missing = json.loads((kept(hosted) / "summary.json").read_text())["missing"]
    assert sorted(missing) == ["gpu.txt", "ids", "kernel.txt", "log.txt", "requests"]
    assert "--enable-log-requests" in missing["ids"] and "within 5 s" in missing["gpu.txt"]
    assert "dequeue (" in (kept(hosted) / "stacks.txt").read_text()


def test_a_service_that_does_not_run(hosted: Hosted, tmp_path: Path) -> None:
    hosted.add("vllm", watch=str(tmp_path))
    hosted.shown("vllm", ActiveState="inactive", SubState="dead")
    done = hosted.checks("incident", "vllm")
    assert done.returncode == 1 and "does not run" in done.stdout
    assert not (tmp_path / "incidents").exists()
