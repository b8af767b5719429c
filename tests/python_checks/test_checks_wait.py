"""Waiting for a real child process that becomes healthy, dies, hangs, or is not the one that answers."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from python_checks.result import State
from tests.python_checks.support import RECORDED, Probe, Server

CHILD = Path(__file__).parent / "child_server.py"
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
    assert phases[0] == "starting Python and importing vLLM"
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


def test_an_answer_other_than_200_is_no_readiness(probe: Probe, server: Server) -> None:
    server.answers["/health"] = (503, {"error": "loading"})
    done = probe("wait", "--url", server.url, "--deadline", "1.5")
    assert done.returncode == 2 and "/health says 503: loading" in done.stdout
    assert len(server.requests) > 1


def test_another_path_without_a_model_needs_no_chat(probe: Probe, server: Server) -> None:
    server.answers["/healthz"] = (200, {})
    done = probe("wait", "--url", server.url, "--path", "/healthz")
    assert done.returncode == 0
    assert [path for path, _ in server.requests] == ["/healthz"]


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


def test_anothers_200_is_not_ours(probe: Probe, server: Server) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    ) as own:
        server.answers["/health"] = (200, "")
        done = probe("wait", "--url", server.url, "--pid", str(own.pid))
        own.kill()
    assert done.returncode == 2
    assert f"another server answers at {server.url}: pid {os.getpid()} " in done.stdout


def test_systemd_is_told_the_phase(probe: Probe, server: Server, tmp_path: Path) -> None:
    server.answers["/health"] = (200, "")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        done = probe("wait", "--url", server.url, NOTIFY_SOCKET=str(tmp_path / "notify"))
        told = [systemd.recv(1000), systemd.recv(1000)]
    assert done.returncode == 0
    assert told == [b"STATUS=waiting for /health", b"STATUS=ready"]


def test_no_socket_of_systemd_is_no_fault(probe: Probe, server: Server) -> None:
    server.answers["/health"] = (200, "")
    done = probe("wait", "--url", server.url, "--format", "json", NOTIFY_SOCKET="/no/such/socket")
    assert json.loads(done.stdout)["state"] == State.OK.name.lower()
