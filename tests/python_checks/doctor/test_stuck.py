"""Processes that do not run: a real stopped child, and what the doctor makes of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from python_checks.core.result import State
from python_checks.core.say import say
from python_checks.doctor import diagnosis, stuck
from python_checks.doctor.stuck import Stuck
from python_checks.host import processes
from python_checks.service.facts import Service
from tests.python_checks.doctor_support import one, signs
from tests.python_checks.hosted import Hosted
from tests.python_checks.support import DEADLINE, Server

# A server, and a child of it that works all the time.
PARENT = (
    "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'while True: sum(range(1000))']);"
    "print(child.pid, flush=True); child.wait()"
)


TICK = 0.1  # seconds by which the scheduler's clock may differ


def stolen() -> float:
    """Return the seconds since boot that interrupts and other guests of this machine had of its cores."""
    fields = Path("/proc/stat").read_text().split("\n")[0].split()
    return sum(map(int, fields[6:9])) / os.sysconf("SC_CLK_TCK")  # irq, softirq, steal


def state(pid: int) -> str:
    """Return the kernel's letter for what a process does."""
    facts = processes.stat(pid)
    assert facts
    return facts.state


@pytest.fixture
def family() -> Iterator[tuple[int, int]]:
    """Give the ids of a server and of its child."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        yield parent.pid, child
        os.killpg(parent.pid, signal.SIGKILL)


def test_a_child_that_is_stopped_is_found_with_the_time_since_it_ran(family: tuple[int, int]) -> None:
    parent, child = family
    service = Service("vllm", pid=parent)
    assert stuck.find(service) == []
    stolen_before = stolen()
    asked = time.monotonic()
    os.kill(child, signal.SIGSTOP)
    while state(child) != "T":  # it has to run once more to stop, and a busy machine lets it wait
        assert time.monotonic() < asked + DEADLINE
        time.sleep(0.01)
    stopped = time.monotonic()
    time.sleep(2)
    before = time.monotonic()
    [found] = stuck.find(service)
    after = time.monotonic()
    assert (found.pid, found.state) == (child, "T")
    assert found.words.startswith(f"pid {child} (user ")
    if found.idle is not None:  # a kernel without CONFIG_SCHED_DEBUG does not tell
        # A core's clock stands still while other guests of the machine have the core.
        lost = (stolen() - stolen_before) + TICK
        assert before - stopped - lost < found.idle < after - asked + TICK
    os.kill(child, signal.SIGCONT)
    assert stuck.find(service) == []


def test_one_that_the_kernel_holds_is_found() -> None:
    """The parent of a vfork waits in the kernel until its child is another program."""
    code = "import ctypes, time; ctypes.CDLL(None).vfork(); print(flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    ) as parent:
        assert parent.stdout
        parent.stdout.readline()
        found = stuck.find(Service("vllm", pid=parent.pid))
        os.killpg(parent.pid, signal.SIGKILL)
    assert [(each.pid, each.state) for each in found] == [(parent.pid, "D")]


def test_of_another_service_it_is_none(family: tuple[int, int]) -> None:
    os.kill(family[1], signal.SIGSTOP)
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as other:
        assert stuck.find(Service("vllm", pid=other.pid)) == []
        other.kill()
    assert stuck.find(Service("vllm")) == []


def test_a_state_that_passes_is_none(family: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that reads from a disk is in state D at one look, and not at the next."""
    real, seen = processes.stat, []

    def stat(pid: int) -> processes.Stat | None:
        facts = real(pid)
        if facts and pid == family[1] and not seen:
            seen.append(pid)
            return processes.Stat("D", facts.parent, facts.group, facts.started)
        return facts

    monkeypatch.setattr(processes, "stat", stat)
    assert stuck.find(Service("vllm", pid=family[0])) == []
    assert seen


WORKER = Stuck(12, "pid 12 (user vllm): VLLM::Worker_TP1", "T", 720.0)
WAITS = Stuck(13, "pid 13 (user vllm): VLLM::EngineCore", "D", None)


def test_the_doctor_names_a_stopped_process_where_health_is_well() -> None:
    """/health says 200 while a worker is stopped."""
    finding = one(signs(stuck={"vllm": [WORKER]}))
    assert finding.state is State.CRITICAL and finding.symptom.startswith("vllm hangs")
    assert finding.evidence == (
        "pid 12 (user vllm): VLLM::Worker_TP1 is stopped (state T), it last ran 12 min ago"
    )
    assert "kill -STOP" in finding.cause
    assert finding.remedy.startswith("kill -CONT 12; ") and "restart vllm" in finding.remedy
    assert not any(each.startswith("vllm (") for each in diagnosis.well(signs(stuck={"vllm": [WORKER]})))


def test_a_server_that_hangs_is_asked_nothing_that_takes_minutes(
    family: tuple[int, int], hosted: Hosted, server: Server
) -> None:
    """As a process, with a server that answers the short questions."""
    server.answers |= {
        "/metrics": (200, "vllm:num_requests_running 1\nvllm:num_requests_waiting 0\n"),
        "/health": (200, ""),
    }
    host, port = server.url.removeprefix("http://").split(":")
    vllm = {
        "state": "running",
        "pid": family[0],
        "since": time.time(),
        "command": ["x", "--host", host, "--port", port],
    }
    hosted.add("vllm", url=server.url, probes=["health", "models", "completion"], options={"model": "m"})
    os.kill(family[1], signal.SIGSTOP)
    done = hosted.recorded({"vllm": vllm}, "doctor")
    assert f"kill -CONT {family[1]}" in done.stdout and done.returncode == 2
    assert not [path for path, _ in server.requests if path.startswith("/v1/")]


def test_it_is_the_cause_where_vllm_gives_no_answer() -> None:
    refused = {
        "vllm": say("no answer from {url} within {timeout:g} s", url="http://x", timeout=5),
        "backend": "",
    }
    finding = one(signs(refused=refused, now=2e9, stuck={"vllm": [WORKER]}))
    assert "does not answer: no answer from http://x within 5 s" in finding.symptom
    assert "kill -STOP" in finding.cause


def test_one_that_the_kernel_holds_and_not_while_it_loads() -> None:
    finding = one(signs(stuck={"vllm": [WAITS]}))
    assert "waiting in the kernel (state D)" in finding.evidence and "nvidia-smi" in finding.remedy
    assert len(diagnosis.findings(signs(stuck={"vllm": [WORKER, WAITS]}))) == 2
    loading = one(signs(refused={"vllm": "connection refused", "backend": ""}, stuck={"vllm": [WAITS]}))
    assert loading.symptom.startswith("vllm is starting for")
