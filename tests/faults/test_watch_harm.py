"""What must not be touched is not: a busy server, one in maintenance, one that is deployed; and what cannot be told is not ok."""

from __future__ import annotations

import json
import os
import shlex
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.rows import Report
from tests.faults.watching import METRICS, WATCH, canary, figure, stopped
from tests.systemd.deployed import Host

CHATS = 64
BUSY = 180 if os.environ.get("LONG") else 45  # seconds
LOCK = "/opt/vllm/deploy.lock"


def test_busy(host: Host, report: Report) -> None:
    """64 chats are in flight and the queue is full: the canary's chat waits its turn. No strike, no restart."""
    pid, heals, done = host.pid("vllm"), figure(host, "heals"), threading.Event()
    story = [{"role": "user", "content": "Tell me a story"}]

    def ask() -> int:
        answers = 0
        while not done.is_set():
            answers += host.chat(seconds=120, messages=story, max_tokens=200, ignore_eos=True).ok
        return answers

    verdicts = []
    with ThreadPoolExecutor(CHATS) as pool:
        clients = [pool.submit(ask) for _ in range(CHATS)]
        try:
            deadline = time.monotonic() + BUSY
            while time.monotonic() < deadline:
                verdicts.append(canary(host))
                assert figure(host, "strikes") == 0, verdicts
                time.sleep(5)
        finally:
            done.set()
        answers = sum(client.result(150) for client in clients)
    assert all(code in (0, 1) for code, _ in verdicts) and len(verdicts) >= 2, verdicts
    assert (host.pid("vllm"), figure(host, "heals")) == (pid, heals)
    report(client=f"answers, slowly ({answers} in {BUSY} s)", again=0, left="nothing")


def test_hands_off(host: Host, report: Report) -> None:
    """vLLM hangs during maintenance, and during a deploy: the canary neither judges nor restarts."""
    pid, heals = host.pid("vllm"), figure(host, "heals")
    worker = min(host.processes(title="VLLM::Worker"))
    host.playbook("ansible/maintenance.yml", "-e", "maintenance=on", "-e", "reason=disks")
    with stopped(host, worker):
        for _ in range(4):
            code, words = canary(host)
            assert code == 0 and "in maintenance since" in words and words.endswith(": disks")
        host.told("systemctl start deep-probe.service")
        assert host.show("deep-probe.service", "ConditionResult") == "no"
        boot = host.told("tr -d - </proc/sys/kernel/random/boot_id; cut -d' ' -f22 /proc/1/stat").split()
        lock = json.dumps({"user": "kim", "host": "laptop", "here": "/".join(boot)})
        host.told(f"echo {shlex.quote(lock)} >{LOCK}")
        try:
            off = host.playbook("ansible/maintenance.yml", "-e", "maintenance=off")
            assert off.returncode == 0
            for _ in range(4):
                code, words = canary(host)
                assert code == 0 and "kim@laptop deploys" in words
        finally:
            host.told(f"rm {LOCK}")
    host.until(host.serves, 60, "it goes on where it stopped")
    assert (host.pid("vllm"), figure(host, "heals")) == (pid, heals)
    report(client="no answer while it hangs", again=None, left="nothing")


@pytest.mark.long
def test_what_cannot_be_told(host: Host, report: Report) -> None:
    """The canary's state is garbage, its disk is full, it is killed: it reports unknown or fails, never ok, and leaves vLLM alone."""
    pid = host.pid("vllm")
    host.told("systemctl stop canary.timer")
    try:
        host.told(f"echo garbage >{WATCH}/canary.json")
        code, words = canary(host)
        assert code == 3 and words.startswith(
            "unknown: /opt/vllm/watch/canary.json is no state of the canary"
        )
        host.told(
            f"rm {WATCH}/canary.json && mount -t tmpfs -o size=4k tmpfs {WATCH} && head -c 1M /dev/zero >{WATCH}/full || true"
        )
        host.ssh("systemctl start canary.service")
        assert int(host.show("canary.service", "ExecMainStatus")) == 3
        host.told(f"umount {WATCH}")
        with stopped(host, min(host.processes(title="VLLM::Worker"))):
            run = f"cat {METRICS}/canary.prom"
            before = host.told(run)
            host.told("systemctl start --no-block canary.service")
            host.until(lambda: host.pid("canary.service"), 20, "the canary runs")
            host.told("systemctl kill --signal=KILL canary.service")
            assert host.show("canary.service", "Result") == "signal"
            assert host.told(run) == before, (
                "a killed run leaves the figures of the last one, with their time"
            )
        assert host.pid("vllm") == pid
    finally:
        host.ssh(f"umount {WATCH}; rm -f {WATCH}/canary.json; systemctl start canary.timer")
    host.until(lambda: canary(host)[0] == 0, 60, "the canary says ok")
    report(client="nothing", again=0, left="nothing")
