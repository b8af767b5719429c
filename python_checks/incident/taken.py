"""Takes an incident: all at once and each part under its own deadline, for a restart waits for it."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from python_checks.api import metrics
from python_checks.api.http import Light
from python_checks.core import command, regular_file
from python_checks.core.hidden import without
from python_checks.core.result import CheckError
from python_checks.core.say import say
from python_checks.gpu import nvidia_smi
from python_checks.host import cgroups, processes
from python_checks.incident import kept, redacted, stacks, stands
from python_checks.incident.kept import Incident
from python_checks.incident.stacks import Process
from python_checks.service.registry import Row

SECONDS = 8.0  # for the stacks of all processes
NATIVE = 4.0  # seconds for those with the frames of C and C++, of the processes that may be paused
ASK = 2.0  # seconds for /metrics
TELL = 5.0  # seconds for nvidia-smi, and for the kernel's log
AT_ONCE = 4
MOST = 24  # processes; eight workers, their engine and their server are the first
LOG_LINES, LOG_SIZE = 200, 2**20
KERNEL_LINES = 200
STUCK = "TtD"
UNKNOWN_IDS = say("vLLM names no open request in its log: that takes --enable-log-requests")


def take(row: Row, pid: int, home: Path) -> Incident:
    """Keep what explains how a service hangs, in a new directory below `home`; what cannot be had is named in it.

    Raises:
        CheckError: there is no place for it.
        OSError: it cannot be written.
    """
    now = time.time()
    path, missing = kept.begin(home, pid, now), dict[str, str]()
    with _pool() as pool:
        found = pool.submit(_stacks, row, pid, time.monotonic() + SECONDS)
        parts: dict[str, Future[str]] = {
            "gpu.txt": pool.submit(nvidia_smi.ask, TELL),
            "kernel.txt": pool.submit(_kernel),
        }
        queue, lines = pool.submit(_queue, row), _log(Path(row.log), missing) if row.log else []
        kept.write(
            path, "log.txt", "".join(f"{line}\n" for line in redacted.lines(lines)[-LOG_LINES:]), end=True
        )
        seen = found.result()
        kept.write(path, "stacks.txt", without("".join(map(stacks.written, seen))))
        parts["native.txt"] = pool.submit(_native, seen, time.monotonic() + NATIVE)
        requests = {**_had(queue, "requests", missing, {}), "ids": redacted.open_requests(lines)}
        for name, part in parts.items():
            kept.write(path, name, without(_had(part, name, missing, "")), end=name == "kernel.txt")
    missing |= {} if requests["ids"] else {"ids": UNKNOWN_IDS}
    incident = Incident(path, now, [stands.of(each) for each in seen], requests, missing)
    kept.close(incident)
    return incident


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(AT_ONCE + 4)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _had(part: "Future[Any]", name: str, missing: dict[str, str], otherwise: Any) -> Any:
    """Return a part, or what stands for it; why it is missing is noted."""
    try:
        return part.result()
    except (CheckError, OSError) as error:
        missing[name] = without(str(error))
        return otherwise


def _stacks(row: Row, pid: int, end: float) -> list[Process]:
    """Return the processes of a service with their stacks; the main one comes first, then engines and workers."""
    unit = f"{row.unit}.service"
    own = [
        each
        for each in processes.pids()
        if processes.belongs(each, pid) or (row.manager == "systemd" and cgroups.unit(each) == unit)
    ]
    own = sorted(set(own) - {os.getpid()}, key=lambda each: (each != pid, not _titled(each), each))[:MOST]
    return _each(own, lambda each: _one(each, each == pid, end))


def _one(pid: int, main: bool, end: float) -> Process:
    facts, left = processes.stat(pid), end - time.monotonic()
    name, state = stacks.who(processes.command(pid), main), facts.state if facts else ""
    if left <= 0:
        return Process(pid, name, state, why=say("no time was left"))
    found, why = stacks.dump(pid, left)
    return Process(pid, name, state, found, why)


def _native(seen: Sequence[Process], end: float) -> str:
    """Return the stacks of those that may be paused, with the frames of C and C++."""

    def one(process: Process) -> str:
        left = end - time.monotonic()
        head = f"{process.who}, pid {process.pid}\n"
        if process.state in STUCK or not process.threads:
            return f"{head}  not read: state {process.state}\n\n"
        return f"{head}{stacks.native(process.pid, left)}\n" if left > 0 else f"{head}  no time was left\n\n"

    return "".join(_each(seen, one))


def _each(of: Sequence[Any], do: Callable[[Any], Any]) -> list[Any]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(do, of))


def _titled(pid: int) -> bool:
    return "".join(processes.command(pid)[:1]).startswith("VLLM::")


def _queue(row: Row) -> dict[str, int]:
    """Return how many requests run and wait, by the server's own metrics.

    Raises:
        CheckError: it does not tell.
    """
    found = metrics.queue(Light("GET", row.url + metrics.PATH, None, ASK).result())
    return {"running": found.running, "waiting": found.waiting}


def _kernel() -> str:
    """Return the last lines of the kernel's log.

    Raises:
        OSError: it cannot be read.
    """
    words = (
        "journalctl",
        "--dmesg",
        "--no-pager",
        "--quiet",
        f"--lines={KERNEL_LINES}",
        "--output=short-iso",
    )
    done = command.run(words, TELL)
    if done.code:
        raise OSError(done.text.strip()[:200])
    return done.text


def _log(path: Path, missing: dict[str, str]) -> list[str]:
    """Return the lines at the end of the log, more than are kept: requests that are open began before them."""
    try:
        with regular_file.opened(path) as file:
            before = file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_SIZE))
            lines = file.read(LOG_SIZE).decode("utf-8", "replace").splitlines()
            return lines[1:] if before else lines  # half a line does not tell what it is
    except OSError as error:
        missing["log.txt"] = str(error)
        return []
