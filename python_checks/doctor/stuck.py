"""Processes of a service that do not run: stopped ones, and ones that the kernel holds (proc_pid_stat(5))."""

import contextlib
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from python_checks.core.finding import Finding
from python_checks.core.result import State
from python_checks.core.say import joined, say
from python_checks.core.words import span
from python_checks.host import cgroups, processes
from python_checks.service.facts import Service

STATES = {"T": say("stopped"), "t": say("held by a debugger"), "D": say("waiting in the kernel")}
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
        since = say(", it last ran {age} ago", age=span(self.idle)) if self.idle is not None else ""
        return say(
            "{process} is {how} (state {state}){since}",
            process=self.words,
            how=STATES[self.state],
            state=self.state,
            since=since,
        )


def find(service: Service) -> list[Stuck]:
    """Return those of a service's processes that are stuck at every look."""
    unit = f"{service.name}.service"
    states = {pid: _state(pid) for pid in processes.pids()} if service.pid else {}
    held = {
        pid: state
        for pid, state in states.items()
        if state in STATES and (processes.belongs(pid, service.pid) or cgroups.unit(pid) == unit)
    }
    for _ in range(LOOKS - 1 if held else 0):
        time.sleep(PAUSE)
        held = {pid: state for pid, state in held.items() if _state(pid) == state}
    clocks: dict[int, float | None] = {}
    return [
        Stuck(pid, processes.describe(pid), state, _idle(pid, clocks)) for pid, state in sorted(held.items())
    ]


def judge(service: Service, found: Sequence[Stuck]) -> Iterator[Finding]:
    """Make one finding of the stopped processes of a service, and one of those that the kernel holds."""
    symptom = say("{name} hangs: it gives no answer, or will give none", name=service.name)
    stopped = [each for each in found if each.state != "D"]
    if stopped:
        pids = " ".join(str(each.pid) for each in stopped)
        cause = say("somebody stopped it (kill -STOP, Ctrl-Z, a debugger); what waits for it hangs, too")
        remedy = say("kill -CONT {pids}; if it still hangs: {restart}", pids=pids, restart=service.restart)
        yield Finding(State.CRITICAL, symptom, joined("; ", map(str, stopped)), cause, remedy)
    waiting = [each for each in found if each.state == "D"]
    if waiting:
        cause = say("a driver or a disk does not answer it")
        remedy = say(
            "see dmesg and nvidia-smi; then: {restart}; what outlives kill -9 takes a reboot of the host",
            restart=service.restart,
        )
        yield Finding(State.CRITICAL, symptom, joined("; ", map(str, waiting)), cause, remedy)


def all_of(services: Mapping[str, Service]) -> dict[str, list[Stuck]]:
    """Return name -> the processes of a service that are stuck."""
    return {name: find(service) for name, service in services.items()}


def _state(pid: int) -> str:
    facts = processes.stat(pid)
    return facts.state if facts else ""


def _idle(pid: int, clocks: dict[int, float | None]) -> float | None:
    """Return the seconds since one of its threads last ran, None where that is not told; `clocks` keeps what each core's says now.

    A core's clock stands still while interrupts and other guests of the machine have the core: those of two cores go apart by minutes.
    """
    times = []
    for task in (processes.PROC / str(pid) / "task").glob("*"):
        with contextlib.suppress(OSError):
            ran, core = _last_run(task), int((task / "stat").read_text().rpartition(")")[2].split()[36])
            now = clocks[core] if core in clocks else clocks.setdefault(core, _clock(core))
            times += [max(0.0, now - ran)] if now and ran else []
    return min(times, default=None)


def _clock(core: int) -> float | None:
    """Return what a core's clock says now: when this thread, moved there, began to run."""
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {core})
        return _last_run(processes.PROC / "thread-self")
    except OSError:  # a core that is not for us, or a kernel without CONFIG_SCHED_DEBUG
        return None
    finally:
        os.sched_setaffinity(0, allowed)


def _last_run(task: Path) -> float | None:
    """Return when a thread last ran, in seconds of its core's clock; None where that is not told."""
    found = re.search(r"^se\.exec_start\s*:\s*([\d.]+)", (task / "sched").read_text(), re.MULTILINE)
    return float(found[1]) / 1000 if found else None
