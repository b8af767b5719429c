"""The running demo, as tests see it: through its ports, its processes and the commands of its user."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import requests

REPOSITORY = Path(__file__).resolve().parents[2]
DIRECTORY = Path(os.environ.get("DEMO_DIRECTORY", REPOSITORY / ".demo"))
VLLM = f"http://127.0.0.1:{os.environ.get('DEMO_VLLM_PORT', '8000')}"
BACKEND = f"http://127.0.0.1:{os.environ.get('DEMO_BACKEND_PORT', '8080')}"


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition, with a deadline; on failure show the end of vLLM's log."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            log = (DIRECTORY / "logs/vllm.log").read_text(errors="replace").splitlines()[-40:]
            raise AssertionError("\n".join([f"not within {seconds} s: {what}", *log]))
        time.sleep(0.5)


def processes() -> dict[int, list[str]]:
    """Return the command lines of the processes that work for this demo: they work in one of its directories.

    Their environment would not tell: vLLM writes its processes' titles over it.
    """
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if Path(os.readlink(entry / "cwd")).is_relative_to(DIRECTORY):
                    found[int(entry.name)] = (
                        (entry / "cmdline").read_bytes().decode().rstrip("\0").split("\0")
                    )
            except OSError:
                continue
    return found


def engine_processes(name: str) -> list[int]:
    """Return the pids of the demo's vLLM processes whose title starts with ``name`` (``VLLM::`` for all but the API server)."""
    return [pid for pid, command in processes().items() if command[0].startswith(name)]


def api_server() -> tuple[int, list[str]]:
    """Return the pid and the command line of the API server."""
    [found] = [
        (pid, command)
        for pid, command in processes().items()
        if "vllm.entrypoints.openai.api_server" in command
    ]
    return found


def serves() -> bool:
    """Tell whether a chat is answered."""
    body = {"model": "gpt-oss-120b", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20}
    try:
        return requests.post(f"{VLLM}/v1/chat/completions", json=body, timeout=60).ok
    except requests.RequestException:
        return False


def playbook(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook of the repository against the demo."""
    program = Path(sys.executable).with_name("ansible-playbook")
    return subprocess.run(
        [program, "-i", "inventory/demo", name, *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
        check=False,
    )
