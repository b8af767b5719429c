"""What watches vLLM on a host: a run of the canary, and the figures that it leaves for Prometheus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.systemd.deployed import Host

WATCH, METRICS = "/opt/vllm/watch", "/opt/vllm/metrics"
FOUND = 90  # seconds in which a hang must be found
# Waits for the end of a run that the timer began.
OVER = "timeout 60 sh -c 'while [ $(systemctl show --value -p ActiveState canary) = activating ]; do sleep 0.1; done'"


def figure(host: Host, name: str) -> float:
    """Return a figure of the canary's last run, as node_exporter reads it."""
    lines = host.told(f"cat {METRICS}/canary.prom").splitlines()
    [value] = [line.split()[-1] for line in lines if line.startswith(f"vllm_probe_{name}{{")]
    return float(value)


def canary(host: Host) -> tuple[int, str]:
    """Run the canary's unit once, from its beginning; return its exit code and its verdict in words."""
    # Not in the middle of the timer's own: a run that is interrupted tells so, and fails its unit.
    host.ssh(f"{OVER}; systemctl restart canary.service")
    code = int(host.show("canary.service", "ExecMainStatus"))
    last: dict[str, Any] = json.loads(host.told(f"cat {WATCH}/canary.verdict"))
    return code, f"{last['state']}: {last['results'][0]['reason']}"


@contextmanager
def stopped(host: Host, pid: int) -> Iterator[None]:
    """Stop a process by SIGSTOP, as one that hangs; let it go on in the end, where it is still there."""
    host.told(f"kill -STOP {pid}")
    try:
        yield
    finally:
        host.ssh(f"kill -CONT {pid}")
