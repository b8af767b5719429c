"""What hangs is found and healed, a bounded number of times."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests

from tests.faults.left import Left
from tests.faults.rows import Report
from tests.faults.serving import again, ready, seen
from tests.faults.watching import FOUND, WATCH, canary, figure, stopped
from tests.systemd.client import MODEL
from tests.systemd.deployed import START, Host

# One in each run; a heal takes two minutes.
VICTIMS = [
    pytest.param("a worker", "VLLM::Worker", id="worker"),
    pytest.param("EngineCore", "VLLM::EngineCore", id="EngineCore", marks=pytest.mark.long),
    pytest.param("the API server", "", id="API server", marks=pytest.mark.long),
]

# tokens: vllm_max_model_len is 131072, vllm_max_num_batched_tokens 4096
CONTEXT, STEP = 30 * 4096, 4096
# Has the engine and its workers run for a thirtieth of the time, so that one step of a long context takes longer than three strikes.
SLOW = """
import os, signal, sys, time
ran, kept = 0.01, 0.29
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
try:
    while True:
        for number, seconds in ((signal.SIGSTOP, kept), (signal.SIGCONT, ran)):
            for pid in map(int, sys.argv[1:]):
                os.kill(pid, number)
            time.sleep(seconds)
finally:
    for pid in map(int, sys.argv[1:]):
        os.kill(pid, signal.SIGCONT)
"""


@contextmanager
def slowed(host: Host) -> Iterator[None]:
    """Slow the engine down, from ``with`` to its end."""
    pids = " ".join(str(pid) for pid in host.processes(title="VLLM::"))
    run = "systemd-run --quiet --unit slow --property RuntimeMaxSec=900 python3 -I -c"
    host.told(f"{run} {shlex.quote(SLOW)} {pids}")
    try:
        yield
    finally:
        host.told("systemctl stop slow.service")


@pytest.fixture
def watched(host: Host) -> Host:
    """The host, without strikes and restarts of earlier cases on record."""
    return forget(host)


def forget(host: Host, seconds: float = 60) -> Host:
    """Have the canary begin anew, and wait until it knows how long a step takes."""
    host.told(
        f"systemctl stop canary.timer canary.service; rm -f {WATCH}/canary.json; systemctl start canary.timer"
    )
    measured = f"grep -q '\"measured\": true' {WATCH}/canary.json"
    host.until(
        lambda: host.ssh(measured).returncode == 0 and figure(host, "heals") == 0,
        seconds,
        "the canary has begun anew, and knows how long a step takes",
    )
    return host


def victim(host: Host, title: str) -> int:
    """Return the process of vLLM to stop."""
    return min(host.processes(title=title)) if title else host.pid("vllm")


def kept(host: Host, stopped: int) -> None:
    """See that the latest incident tells of a process that was stopped, and where it and what waits for it stood."""
    path = host.told(f"ls -d {WATCH}/incidents/* | tail -n 1")
    assert host.told(f"stat -c '%a %U' {path}") == "700 vllm-canary"
    summary = json.loads(host.told(f"cat {path}/summary.json"))
    stood = {each["pid"]: each for each in summary["standings"]}
    assert stood[stopped]["state"] == "T" and stood[stopped]["place"], summary
    stacks = host.told(f"cat {path}/stacks.txt")
    assert f"pid {stopped}, state T" in stacks
    assert int(host.told(f"du -sb {path}").split()[0]) < 2 * 2**20
    assert host.ssh(f"grep -rlE 'prompt_token_ids|content.: ?.[A-Za-z]' {path}").stdout == ""
    [engine] = [each for each in summary["standings"] if each["who"].startswith("EngineCore")]
    if stood[stopped]["who"].startswith("Worker"):
        assert engine["place"] == "shm_broadcast.dequeue", summary
        assert "dequeue (" in stacks and "shm_broadcast.py:" in stacks
        doctor = " ".join(host.playbook("ansible/doctor.yml").stdout.split())
        assert "waits in shm_broadcast.dequeue for a worker that is stopped (T): Worker" in doctor, doctor
        assert path in doctor.replace(" ", "") or path in doctor


@pytest.mark.parametrize(("who", "title"), VICTIMS)
def test_hung(who: str, title: str, watched: Host, left: Left, report: Report) -> None:
    """{who} of vLLM hangs (SIGSTOP), while /health may stay 200 forever: the canary notices within 90 s and restarts vLLM.

    Where it stood is kept before that.
    """
    host, pid = watched, watched.pid("vllm")
    hung = victim(host, title)
    with host.client() as client, stopped(host, hung):
        found = host.until(lambda: figure(host, "heals") == 1, FOUND, "the canary restarts vLLM")
        seconds = again(host, client, 2 * START)
    assert host.pid("vllm") not in (0, pid)
    host.until(lambda: ready(host), 30, "the backend is ready")
    host.until(lambda: canary(host)[0] == 0, 60, "the canary says ok")
    assert left.words() == "nothing"
    kept(host, hung)
    report(client=f"{seen(client)}; found after {found:.0f} s", again=seconds, left="nothing")


@pytest.mark.long
def test_hung_again_after_each_heal(watched: Host, report: Report) -> None:
    """vLLM hangs again after each of three restarts: there is no fourth. The canary's unit and metrics say so until a chat is answered."""
    host = watched
    for heals in (1, 2, 3):
        hung = host.pid("vllm")
        with stopped(host, victim(host, "VLLM::Worker")):
            host.until(lambda number=heals: figure(host, "heals") == number, FOUND, f"restart {heals}")
        # What hung is awake again and may answer until systemd has ended it.
        host.until(
            lambda old=hung: (
                host.pid("vllm") not in (0, old) and host.show("vllm", "ActiveState") == "active"
            ),
            2 * START,
            "another vLLM serves",
        )
        host.until(lambda: canary(host)[0] == 0, 60, "the canary says ok")
    pid = host.pid("vllm")
    with stopped(host, victim(host, "VLLM::Worker")):
        host.until(lambda: figure(host, "gave_up") == 1, FOUND, "the canary gives up")
        for _ in range(3):
            code, words = canary(host)
            assert code == 2 and "gave up, 3 restarts in an hour did not help" in words
        assert host.show("canary.service", "ActiveState") == "failed"
        assert "gave up" in host.told("journalctl --unit canary --lines 5 --priority err --output cat")
        assert (host.pid("vllm"), figure(host, "heals")) == (pid, 3)
        status = host.playbook("ansible/status.yml").stdout
        assert "gave up" in status
    host.until(host.serves, 60, "it goes on where it stopped")
    assert canary(host)[0] == 0 and figure(host, "gave_up") == 0
    report(
        client="no answer while it hangs",
        again=None,
        left="the unit fails and says so, until a chat is answered",
    )


@pytest.mark.long
def test_one_long_step(watched: Host, report: Report) -> None:
    """One step of a valid request takes longer than three strikes of the canary: vLLM is left alone, and the request is answered.

    A prompt that it reads in pieces, none of which writes a token, makes it busy, not hung.
    """
    host, pid = watched, watched.pid("vllm")

    def complete(tokens: int, seconds: float) -> requests.Response:
        prompt = [1000 + number % 5000 for number in range(tokens)]
        body = {"model": MODEL, "prompt": prompt, "max_tokens": 1}
        return requests.post(f"{host.vllm}/v1/completions", json=body, timeout=seconds)

    with ThreadPoolExecutor(1) as pool, slowed(host):
        forget(host, 180)
        pieces = pool.submit(complete, 8 * STEP, 600)
        host.until(lambda: canary(host)[1].startswith("warning: busy"), 120, "the canary sees it read on")
        assert pieces.result(600).ok
    assert complete(CONTEXT, 180).ok  # what the long request begins with is cached, so that one step is left
    with ThreadPoolExecutor(1) as pool, slowed(host):
        long = pool.submit(complete, CONTEXT + STEP, 600)
        host.until(
            lambda: "a long one may take" in canary(host)[1], 300, "three strikes, and the canary waits"
        )
        assert figure(host, "heals") == 0
        reply = long.result(600)
    assert reply.ok, reply.text
    assert (host.pid("vllm"), figure(host, "heals")) == (pid, 0)
    host.until(lambda: canary(host)[0] == 0, 60, "the canary says ok")
    report(client="an answer, slowly", again=0, left="nothing")
