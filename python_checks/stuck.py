"""Processes of a service that do not run: stopped ones, and ones that the kernel holds (proc_pid_stat(5))."""

import contextlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from python_checks import cgroups, proc
from python_checks.finding import Finding
from python_checks.result import State
from python_checks.services import Service
from python_checks.words import span

STATES = {"T": "stopped", "t": "held by a debugger", "D": "waiting in the kernel"}
LOOKS, PAUSE = 4, 0.25  # a disk keeps a process in state D for a moment, too


@dataclass(frozen=True)
class Stuck:
    """One such process: `state` is the kernel's letter, `idle` the seconds since it last ran, None when unknown."""

    pid: int
    words: str
    state: str
    idle: float | None

    def __str__(self) -> str:
        """Return it in words."""
        since = f", it last ran {span(self.idle)} ago" if self.idle is not None else ""
        return f"{self.words} is {STATES[self.state]} (state {self.state}){since}"


def find(service: Service) -> list[Stuck]:
    """Return those of a service's processes that are stuck at every look."""
    unit = f"{service.name}.service"
    states = {pid: _state(pid) for pid in proc.pids()} if service.pid else {}
    held = {
        pid: state
        for pid, state in states.items()
        if state in STATES and (proc.belongs(pid, service.pid) or cgroups.unit(pid) == unit)
    }
    for _ in range(LOOKS - 1 if held else 0):
        time.sleep(PAUSE)
        held = {pid: state for pid, state in held.items() if _state(pid) == state}
    now = _last_run("self") or 0.0
    ran = {pid: _last_run(str(pid)) for pid in held}
    idle = {pid: max(0.0, now - when) if now and when is not None else None for pid, when in ran.items()}
    return [Stuck(pid, proc.describe(pid), state, idle[pid]) for pid, state in sorted(held.items())]


def judge(service: Service, found: Sequence[Stuck]) -> Iterator[Finding]:
    """Make one finding of the stopped processes of a service, and one of those that the kernel holds."""
    symptom = f"{service.name} hangs: it gives no answer, or will give none"
    stopped = [each for each in found if each.state != "D"]
    if stopped:
        pids = " ".join(str(each.pid) for each in stopped)
        cause = "somebody stopped it (kill -STOP, Ctrl-Z, a debugger); what waits for it hangs, too"
        remedy = f"kill -CONT {pids}; if it still hangs: {service.restart}"
        yield Finding(State.CRITICAL, symptom, "; ".join(map(str, stopped)), cause, remedy)
    waiting = [each for each in found if each.state == "D"]
    if waiting:
        cause = "a driver or a disk does not answer it"
        remedy = f"see dmesg and nvidia-smi; then: {service.restart}; what outlives kill -9 takes a reboot of the host"
        yield Finding(State.CRITICAL, symptom, "; ".join(map(str, waiting)), cause, remedy)


def all_of(services: Mapping[str, Service]) -> dict[str, list[Stuck]]:
    """Return name -> the processes of a service that are stuck."""
    return {name: find(service) for name, service in services.items()}


def _state(pid: int) -> str:
    facts = proc.stat(pid)
    return facts.state if facts else ""


def _last_run(pid: str) -> float | None:
    """Return when one of its threads last ran, in seconds of the scheduler's clock; None where that is not told."""
    times = []
    for path in (proc.PROC / pid / "task").glob("*/sched"):
        with contextlib.suppress(OSError):
            found = re.search(r"^se\.exec_start\s*:\s*([\d.]+)", path.read_text(), re.MULTILINE)
            times += [float(found[1]) / 1000] if found else []
    return max(times, default=None)
