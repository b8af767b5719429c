"""Processes that die while they serve: systemd brings them back, and nothing of the dead ones stays."""

from __future__ import annotations

import shlex
import time

import pytest
import requests

from tests.faults.left import Left
from tests.faults.rows import Report
from tests.faults.serving import again, seen
from tests.systemd.deployed import Host

# Name, and the beginning of the process's title; the API server is the main process, under its command line.
VICTIMS = [
    pytest.param("a worker", "VLLM::Worker", id="worker", marks=pytest.mark.long),
    pytest.param("the engine", "VLLM::EngineCore", id="EngineCore"),
    pytest.param("the API server", "", id="API server", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("victim", "title"), VICTIMS)
def test_killed(victim: str, title: str, host: Host, left: Left, report: Report) -> None:
    """`kill -9` to {victim} of vLLM: the remaining processes are ended and the server is restarted."""
    before = set(host.processes())
    pid = min(host.processes(title=title)) if title else host.pid("vllm")
    with host.client() as client:
        host.until(lambda: client.answers, 30, "the client is answered before the kill")
        host.told(f"kill -9 {pid}")
        seconds = again(host, client)
    assert not before & set(host.processes())
    assert len(host.processes(title="VLLM::EngineCore")) == 1
    assert len(host.processes(title="VLLM::Worker")) == 2
    assert left.words() == "nothing"
    report(client=seen(client), again=seconds, left=left.words())


READ = """
import sqlite3, sys
store = sqlite3.connect("file:/var/lib/backend/sessions.sqlite?mode=ro", uri=True)
for row in store.execute("SELECT checkpoint FROM checkpoints WHERE thread_id = ?", sys.argv[1:]):
    print(row[0].decode(errors="replace"))
"""


def kept(host: Host, session: str) -> str:
    """Return what the store of the backend holds of a session, read without the backend."""
    return host.told(f"python3 -c {shlex.quote(READ)} {session}")


def test_backend_killed(host: Host, left: Left, report: Report) -> None:
    """`kill -9` to the backend between two turns of a session: it is restarted and the session continues."""
    session = f"kept-{time.time():.0f}"
    assert host.ask("Hello, I am Minji", session).status_code == 200
    pid, model = host.pid("backend"), host.pid("vllm")
    host.told(f"kill -9 {pid}")
    started, failures = time.monotonic(), 0

    def answers() -> bool:
        nonlocal failures
        try:
            return host.ask("What can you do?", session).ok
        except requests.ConnectionError:
            failures += 1
            return False

    host.until(answers, 60, "the backend answers again")
    seconds = round(time.monotonic() - started, 1)
    assert host.pid("backend") not in (0, pid)
    assert host.pid("vllm") == model
    # The second turn was written by the new process on top of the first, which it had to know.
    text = kept(host, session)
    assert "I am Minji" in text and "What can you do?" in text
    assert left.words() == "nothing"
    report(client=f"{failures} × no connection; the session is kept", again=seconds, left=left.words())
