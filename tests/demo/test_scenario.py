"""The demo from nothing to nothing, by molecule: converge, idempotence, verify, stop, and nothing left over."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest
from deployed import REPOSITORY

from tests.ports import free_port
from tests.scenario import run


def shared_memory() -> set[str]:
    """Return what lies in /dev/shm."""
    return {path.name for path in Path("/dev/shm").iterdir()}


@pytest.fixture
def environment() -> dict[str, str]:
    """Return an environment in which the demo has a directory and ports of its own."""
    directory = REPOSITORY / ".tox/d"
    shutil.rmtree(directory, ignore_errors=True)
    vllm, backend = free_port(), free_port()
    return {
        "DEMO_DIRECTORY": str(directory),
        "DEMO_VLLM_PORT": str(vllm),
        "DEMO_BACKEND_PORT": str(backend),
        "VLLM_URL": f"http://127.0.0.1:{vllm}",
        "VLLM_MODEL_NAME": "gpt-oss-120b",
        "BACKEND_URL": f"http://127.0.0.1:{backend}",
    }


@pytest.mark.usefixtures("fair_cores")
def test_scenario(environment: dict[str, str]) -> None:
    before = shared_memory()
    run("demo", environment)
    left = [
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and lives_in(entry, environment["DEMO_DIRECTORY"])
    ]
    assert not left, f"processes {left} are left"
    assert shared_memory() <= before
    for port in (environment["DEMO_VLLM_PORT"], environment["DEMO_BACKEND_PORT"]):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(port))) != 0, f"port {port} still listens"


def lives_in(process: Path, directory: str) -> bool:
    """Tell whether a process works in a directory or was started from it."""
    try:
        return (
            Path(os.readlink(process / "cwd")).is_relative_to(directory)
            or f"{directory}/".encode() in (process / "cmdline").read_bytes()
        )
    except OSError:
        return False
