"""Waiting for a real child process that becomes healthy, dies, hangs, or is not the one that answers."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.python_checks.support import RECORDED, Probe

CHILD = Path(__file__).parents[1] / "child_server.py"
Start = Callable[..., tuple[subprocess.Popen[bytes], list[str]]]


@pytest.fixture
def vllm(tmp_path: Path, free_port: int) -> Iterator[Start]:
    """Start the child; give it and the options to wait for it."""
    children = []

    def start(recorded: str, then: str) -> tuple[subprocess.Popen[bytes], list[str]]:
        log = tmp_path / "vllm.log"
        command = [sys.executable, str(CHILD), str(log), str(RECORDED / recorded), str(free_port), then]
        child = subprocess.Popen(command)
        children.append(child)
        options = [
            "wait",
            "--url",
            f"http://127.0.0.1:{free_port}",
            "--pid",
            str(child.pid),
            "--log",
            str(log),
        ]
        return child, [*options, "--model", "gpt-oss-120b", "--deadline", "50"]

    yield start
    for child in children:
        child.kill()
        child.wait()


def test_it_becomes_healthy_and_is_warmed_up(probe: Probe, vllm: Start) -> None:
    _, options = vllm("start.log", "serve")
    done = probe(*options)
    assert done.returncode == 0, done.stdout
    assert "/health says 200, gpt-oss-120b answered a chat after " in done.stdout
    phases = [line.rpartition(" (")[0] for line in done.stderr.splitlines()]
    assert phases[-1] == "warming up: first chat"
    assert "API is up" in phases or "engine is ready, starting the API" in phases
    assert all(line.endswith(" s)") for line in done.stderr.splitlines())


@pytest.mark.parametrize(
    ("recorded", "words", "remedy"),
    [
        ("badflag.log", "error: unrecognized arguments: --enable-auto-tool-choise", "vllm serve --help"),
        ("trunc.log", "SafetensorError: Error while deserializing header", "model-files"),
        ("portused.log", "Address already in use", "port check"),
    ],
)
def test_its_end_ends_the_wait_with_the_cause(
    probe: Probe, vllm: Start, recorded: str, words: str, remedy: str
) -> None:
    child, options = vllm(recorded, "exit")
    waiter = threading.Thread(target=child.wait)  # reaped at once, as systemd does
    waiter.start()
    done = probe(*options)
    waiter.join()
    assert done.returncode == 2
    assert f"process {child.pid} ended" in done.stdout and words in done.stdout
    assert remedy in done.stdout and "vllm.log" in done.stdout.splitlines()[1]
    assert "at line" not in done.stdout and len(done.stdout.splitlines()) == 2


def test_a_zombie_has_ended(probe: Probe, vllm: Start) -> None:
    _, options = vllm("badflag.log", "exit")  # not reaped before the test ends
    assert "ended" in probe(*options).stdout


def test_a_process_that_is_not_there_ends_the_wait(probe: Probe, tmp_path: Path, free_port: int) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    (tmp_path / "log").write_text("exec: vllm: not found\n")
    options = [
        "--pid",
        str(child.pid),
        "--log",
        str(tmp_path / "log"),
        "--url",
        f"http://127.0.0.1:{free_port}",
    ]
    done = probe("wait", *options)
    assert done.returncode == 2
    assert "ended before the wait began; exec: vllm: not found" in done.stdout


def test_the_deadline_ends_the_wait_and_names_the_phase(probe: Probe, vllm: Start) -> None:
    _, options = vllm("start.log", "hang")
    done = probe(*options[:-1], "4")
    assert done.returncode == 2
    assert "not ready after 4 s in phase: API is up; connection refused by" in done.stdout


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ("refuse chat", "healthy, but the first chat failed: HTTP 500"),
        ("die on chat", "InductorError: g++ not found"),
    ],
)
def test_a_server_that_cannot_chat_is_not_ready(probe: Probe, vllm: Start, then: str, words: str) -> None:
    _, options = vllm("start.log", then)
    done = probe(*options)
    assert done.returncode == 2 and words in done.stdout
