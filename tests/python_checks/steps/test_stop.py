"""`stop`: real processes that end, that wait for an engine which is gone, and that do not end."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.python_checks.support import Probe

# A main process with a child of the engine's title, which a SIGTERM to the main process ends as vLLM does.
MAIN = """
import signal, subprocess, sys, time
engine = subprocess.Popen(["VLLM::EngineCore", "60"], executable="/bin/sleep")
def end(*_):
    {end}
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as systemd starts it; below nohup it is ignored
print(engine.pid, flush=True)
while True:
    time.sleep(0.1)
"""
Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a main process that does this at SIGTERM."""
    children, engines = [], []

    def run(end: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", MAIN.format(end=end)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        children.append(child)
        assert child.stdout
        engines.append(int(child.stdout.readline()))
        return child

    yield run
    for engine in engines:  # it holds the pipe too
        subprocess.run(["kill", "-9", str(engine)], check=False, stderr=subprocess.DEVNULL)
    for child in children:
        child.kill()
        child.communicate()


def test_one_that_ends_is_left_to_it(probe: Probe, start: Start) -> None:
    main = start("engine.terminate(); engine.wait(); sys.exit(7)")
    done = probe("stop", "--pid", str(main.pid))
    assert done.returncode == 0 and f"process {main.pid} ended by itself after " in done.stdout
    assert main.wait(5) == 7


def test_one_that_waits_for_its_dead_engine_is_ended_cleanly(probe: Probe, start: Start) -> None:
    main = start("engine.terminate(); engine.wait()")
    done = probe("stop", "--pid", str(main.pid), "--deadline", "30")
    assert done.returncode == 0 and "ended by SIGHUP, for it waited for its engine" in done.stdout
    assert main.wait(5) == -signal.SIGHUP


def test_a_drain_gets_its_time_and_then_all_of_it_is_over(probe: Probe, start: Start) -> None:
    main = start("pass")
    done = probe("stop", "--pid", str(main.pid), "--deadline", "5")
    assert done.returncode == 2 and f"process {main.pid} did not end within 5 s of SIGTERM" in done.stdout
    assert main.wait(5) == -signal.SIGKILL


def test_one_that_is_gone_has_ended(probe: Probe, start: Start) -> None:
    main = start("pass")
    main.kill()
    main.wait()
    assert probe("stop", "--pid", str(main.pid)).returncode == 0
