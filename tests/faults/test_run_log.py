"""The log of a server that serves: it is rotated under the server and under the guide's ``tail -f``."""

from __future__ import annotations

import re
import threading
import time

import requests

from tests.faults.left import Left
from tests.faults.rows import Report
from tests.systemd.deployed import Host

LOG = "/opt/vllm/logs/vllm.log"
TAIL = "/tmp/tail-of-vllm"
COPY_SECONDS = 5  # what is written while the log is copied is lost: at most lines of such a moment


def test_log_rotation(host: Host, left: Left, report: Report) -> None:
    """`logrotate --force` while requests are logged: the log continues, and so does a user's `tail -f`."""
    pid, run, asked = host.pid("vllm"), f"{time.time():.0f}", []
    done = threading.Event()

    def ask() -> None:
        """Make lines with numbers in the access log, as fast as they are answered."""
        with requests.Session() as session:
            while not done.is_set():
                number = len(asked)
                assert session.get(f"{host.vllm}/v1/models?{run}={number}-", timeout=30).ok
                asked.append(time.monotonic())

    def numbers(command: str) -> set[int]:
        return {int(number) for number in re.findall(rf"\?{run}=(\d+)- ", host.told(command))}

    host.told("usermod -aG adm vrsoft")  # who may read it; as docs/ml35.md has it
    host.told(f"(timeout 300 tail -n 0 -f {LOG} >{TAIL} 2>/dev/null & echo $! >{TAIL}.pid)", user="vrsoft")
    client = threading.Thread(target=ask)
    client.start()
    try:
        host.until(lambda: len(asked) > 100, 60, "a hundred requests")
        host.told("logrotate --force /etc/logrotate.d/vllm-deploy-vllm")
        rotated = len(asked)
        host.until(lambda: len(asked) > rotated + 100, 60, "a hundred requests more")
        # The last line may lie in a buffer for a moment.
        last = len(asked) - 1
        host.until(lambda: last in numbers(f"cat {LOG}"), 10, "the log goes on after the rotation")
        host.until(lambda: last in numbers(f"cat {TAIL}"), 10, "tail -f goes on after the rotation")
    finally:
        done.set()
        client.join(60)
        host.ssh(f"kill $(cat {TAIL}.pid); rm -f {TAIL} {TAIL}.pid", user="vrsoft")
    host.until(lambda: len(asked) - 1 in numbers(f"cat {LOG}"), 10, "the last request is logged")
    old, new = numbers(f"cat {LOG}.1 || zcat {LOG}.1.gz"), numbers(f"cat {LOG}")
    assert 0 in old and old.isdisjoint(new)
    lost = sorted(set(range(len(asked))) - old - new)
    if lost:
        assert lost == [*range(lost[0], lost[-1] + 1)], f"lost here and there: {lost}"
        assert asked[lost[-1]] - asked[lost[0]] < COPY_SECONDS, f"lost: {lost}"
    assert host.pid("vllm") == pid and host.serves()
    assert left.words() == "nothing"
    lines = f"{len(lost)} of {len(asked)} lines lost while the log was copied"
    report(client="nothing", again=0, left=f"the rotated log; {lines}")
