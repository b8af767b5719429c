#!/usr/bin/env python3
"""The figures of docs/performance.md, measured side by side in one run on a throw-away systemd host: ``python tests/bench/bench.py``.

Needs root and an idle machine, takes about ten minutes, and is no test: speed that decides over red and green would fail on a busy one.
Run it from an environment with locks/dev.txt, for example .tox/systemd/bin/python, after ``tests/systemd/image.py`` has made the bundle.
"""

from __future__ import annotations

import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.append(str(REPOSITORY))

from tests import cores  # noqa: E402 the path is set above
from tests.systemd.deployed import Host  # noqa: E402 the path is set above
from tests.systemd.fixtures import booted  # noqa: E402 the path is set above

START = "systemctl reset-failed vllm; systemctl start vllm"  # six starts within an hour or so are allowed
STARTS = 5  # of each kind; medians count
RUN = REPOSITORY / ".tox/hosts/bench"
PAGE = REPOSITORY / "docs/performance.md"
HEAD = """# Performance

Measured by `python tests/bench/bench.py` on a throw-away systemd host with two shared CPU cores. Look at the ratios, not at
the absolute figures.

| figure | wanted | seen |
|---|---|---|
"""


class Figure(NamedTuple):
    """One line of the page."""

    name: str
    wanted: str
    seen: str


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def deploy(host: Host, playbook: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook that must succeed."""
    run = host.playbook(playbook, *arguments)
    assert run.returncode == 0, run.stdout
    return run


def used(host: Host) -> int:
    """Return the KiB below host_directory and in the state of the services; logs and caches of compiled code left out."""
    return int(host.told("du -skc --exclude=logs /opt/vllm /var/lib/vllm | tail -n 1").split()[0])


def install(host: Host) -> list[Figure]:
    """A fresh host, from the bundle: copied, verified, vLLM installed, the model built, everything served."""
    checked = timed(lambda: deploy(host, "ansible/check.yml"))
    engine = timed(lambda: deploy(host, "tests/ansible/install.yml"))
    deploy(host, "tests/systemd/prepare.yml")
    deploy(host, "deploy.yml")
    return [
        Figure("bundle on a fresh host: copied, verified, uv and probes installed", "", f"{checked:.0f} s"),
        Figure("vLLM's environment (CPU set) from the bundle", "<= 45 s", f"{engine:.0f} s"),
    ]


def repeat(host: Host) -> list[Figure]:
    """A deploy that changes nothing, and one that changes a flag."""
    seconds = timed(lambda: deploy(host, "deploy.yml"))
    tasks = len(
        re.findall(r"^(?:TASK|RUNNING HANDLER) \[", deploy(host, "deploy.yml", "-v").stdout, re.MULTILINE)
    )
    before = used(host)
    changed = timed(lambda: deploy(host, "deploy.yml", "-e", "vllm_max_num_batched_tokens=2048"))
    grown = used(host) - before
    restart = timed(lambda: host.told("systemctl restart vllm", seconds=300))
    return [
        Figure("deploy that changes nothing", "<= 20 s", f"{seconds:.1f} s"),
        Figure("… per task", "<= 0.4 s", f"{seconds / tasks:.2f} s ({tasks} tasks)"),
        Figure("second release with the same lock", "< 5 MB", f"{grown / 1024:.2f} MB"),
        Figure("deploy of a changed flag, without the restart", "<= 60 s", f"{changed - restart:.0f} s"),
    ]


def by_hand(host: Host) -> str:
    """Return the command of the unit, which runs, as somebody types it, with its environment and user and the service's caches."""
    of = f"/proc/{host.pid('vllm')}"
    words = [
        "runuser",
        "-u",
        "vllm",
        "--",
        "env",
        *host.strings(f"{of}/environ"),
        *host.strings(f"{of}/cmdline"),
    ]
    return f"cd /tmp && {shlex.join(words)} >/tmp/by-hand.log 2>&1"  # root's own directory is closed to it


def first_call(host: Host) -> None:
    """Wait until a tool call is answered."""
    host.until(lambda: _calls(host), 300, "the first tool call")


def _calls(host: Host) -> bool:
    try:
        return bool(host.tool_call(seconds=120))
    except (AssertionError, OSError, ValueError):
        return False


def typed(host: Host, command: str) -> float:
    """Return the seconds from a command typed by hand to the first tool call, and end what it started."""
    with subprocess.Popen(host.command(command)) as session:
        seconds = timed(lambda: first_call(host))
        host.ssh(f"pkill --full -- {shlex.quote('vllm.entrypoints.openai.api_server --model')}")
        session.wait(60)
    host.until(lambda: not host.ssh("pgrep --full '^VLLM::'").stdout, 60, "its workers are gone")
    return seconds


def starts(host: Host) -> list[Figure]:
    """From a start to the first tool call, beside the same command by hand, and the first user's request beside later ones."""
    host.told("systemctl stop vllm", seconds=120)
    units, hands = [], []
    for _ in range(STARTS):  # in turn, so that neither gets the warmer caches
        units.append(timed(lambda: (host.told(START, seconds=300), first_call(host))))
        command = by_hand(host)
        host.told("systemctl stop vllm", seconds=120)
        hands.append(typed(host, command))
    host.told(START, seconds=300)
    first = timed(lambda: host.chat())
    later = statistics.median(timed(lambda: host.chat()) for _ in range(10))
    unit, hand = statistics.median(units), statistics.median(hands)
    return [
        Figure(
            "start to first tool call / by hand", "<= 1.0", f"{unit / hand:.2f} ({unit:.1f} s / {hand:.1f} s)"
        ),
        Figure("first request after a restart / later ones", "<= 1.5", f"{first / later:.2f}"),
    ]


def probes(host: Host) -> list[Figure]:
    """Every way to call a tool, and what the canary costs."""
    seconds = timed(lambda: host.ssh("/opt/vllm/bin/checks conformance", seconds=300))
    canary = "/opt/vllm/bin/checks canary --state /run/canary.json --maintenance /run/none --lock /run/none"
    costs = [
        sum(map(float, host.told(f"bash -c 'TIMEFORMAT=\"%U %S\"; time {canary} >/dev/null' 2>&1").split()))
        for _ in range(5)
    ]
    return [
        Figure("every way to call a tool (checks conformance)", "<= 15 s", f"{seconds:.1f} s"),
        Figure("CPU time of one canary run", "<= 0.3 s", f"{statistics.median(costs):.2f} s"),
    ]


def main() -> None:
    """Measure all and write the page."""
    with cores.fair(), booted(RUN) as host:
        lines = []
        for part in (install, repeat, starts, probes):
            lines += [f"| {figure.name} | {figure.wanted} | {figure.seen} |\n" for figure in part(host)]
            print("".join(lines), flush=True)
    page = PAGE.read_text(encoding="utf-8")
    words = page[page.rindex(" |\n") + 3 :]  # below the table: what a person found out
    PAGE.write_text(HEAD + "".join(lines) + words, encoding="utf-8")


if __name__ == "__main__":
    main()
