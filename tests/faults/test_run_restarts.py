"""Ten restarts: nothing grows. ``bin/test --long`` runs it."""

from __future__ import annotations

import statistics
import time

import pytest

from tests.faults.left import Left
from tests.faults.rows import Report
from tests.faults.watching import OVER
from tests.systemd.deployed import START, Host

RESTARTS = 10
# What a start writes belongs to these; logs are rotated, and what vLLM compiles is kept on purpose.
# A run of the canary has nine while it lasts, so none is under way at a look.
FILES = (
    f"systemctl stop canary.timer; {OVER} && find /dev/shm /tmp /var/tmp /run /var/lib/vllm /var/cache/vllm -xdev; "
    "code=$?; systemctl start canary.timer; exit $code"
)


@pytest.mark.long
def test_ten_restarts(host: Host, report: Report) -> None:
    """`systemctl restart vllm`, ten times: shared memory, memory and files do not grow."""

    def restart() -> tuple[set[str], int, int, float]:
        started = time.monotonic()
        # A unit is refused its seventh start in the interval of its start limit.
        host.told("systemctl reset-failed vllm; systemctl restart vllm", seconds=START)
        host.tool_call()
        seconds = time.monotonic() - started
        files = set(host.told(FILES, seconds=90).splitlines())
        return files, len(host.shared_memory()), host.memory(), seconds

    restart()  # the first one fills caches
    left = Left(host)
    seen = [restart() for _ in range(RESTARTS)]
    files, shared, memory, seconds = zip(*seen, strict=True)
    counts = [len(look) for look in files]
    print(*zip(counts, shared, memory, seconds, strict=True), sep="\n")
    assert max(counts) <= counts[0], f"files grow: {sorted(max(files, key=len) - files[0])}"
    assert max(shared) <= shared[0], "shared memory grows"
    assert max(memory) <= memory[0] * 1.05, "memory grows"
    assert left.words() == "nothing"
    report(
        client="no connection while it starts",
        again=statistics.median(seconds),
        left=f"nothing; {counts[-1]} files, {shared[-1]} in /dev/shm, {memory[-1]} MiB before and after",
    )
