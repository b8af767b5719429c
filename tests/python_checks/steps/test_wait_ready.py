"""What counts as ready, and who is told."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from python_checks.core.result import State
from tests.python_checks.support import Probe, Server


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
        systemd.settimeout(10)
        systemd.bind(str(tmp_path / "notify"))
        done = probe("wait", "--url", server.url, NOTIFY_SOCKET=str(tmp_path / "notify"))
        told = [systemd.recv(1000), systemd.recv(1000)]
    assert done.returncode == 0
    assert told == [b"STATUS=waiting for /health", b"STATUS=ready"]


def test_systemd_is_told_why_a_start_failed(probe: Probe, server: Server, tmp_path: Path) -> None:
    server.answers["/health"] = (503, {"error": "loading"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(10)
        systemd.bind(str(tmp_path / "notify"))
        options = "--url", server.url, "--deadline", "1"
        assert probe("wait", *options, NOTIFY_SOCKET=str(tmp_path / "notify")).returncode == 2
        assert systemd.recv(1000) == b"STATUS=waiting for /health"
        told = systemd.recv(1000)
    assert told.startswith(b"STATUS=start failed: not ready after 1 s ") and told.endswith(
        b"says 503: loading"
    )


def test_no_socket_of_systemd_is_no_fault(probe: Probe, server: Server) -> None:
    server.answers["/health"] = (200, "")
    done = probe("wait", "--url", server.url, "--format", "json", NOTIFY_SOCKET="/no/such/socket")
    assert json.loads(done.stdout)["state"] == State.OK.name.lower()
