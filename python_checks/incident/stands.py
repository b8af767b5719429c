"""Where the processes of a hung vLLM stand, in words: functions in, sentences out. Nothing is asked here."""

import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import PurePath
from typing import NamedTuple

from python_checks.core.say import Said, joined, say
from python_checks.incident.stacks import Frame, Process, Thread

# How a wait is made, and not what is waited for: Python's own library, ZeroMQ, event loops.
HOW = re.compile(r"^<|/lib(?:64)?/python3[^/]*/(?!(?:site|dist)-packages/)|-packages/(?:zmq|uvloop|uvicorn)/")
LOOP = re.compile(r"/asyncio/(?:base_events|runners)\.py$|-packages/uvloop/")
# Where vLLM waits for another of its processes (distributed/device_communicators/shm_broadcast.py).
WAITS = ("shm_broadcast.dequeue", "shm_broadcast.acquire_read", "shm_broadcast.acquire_write")
STOPPED, HELD = ("T", "t"), ("D",)
WORKER, ENGINE = "Worker", "EngineCore"


class Standing(NamedTuple):
    """Where a process stands.

    Attributes:
        who: What it is; `pid`: its id.
        state: The kernel's letter.
        place: Function and module, empty where no stack could be read.
        loop: It is in its event loop.
        why: Why no stack could be read.
    """

    who: str
    pid: int
    state: str
    place: str = ""
    loop: bool = False
    why: str = ""

    @property
    def stuck(self) -> bool:
        """Tell whether the kernel does not run it."""
        return self.state in (*STOPPED, *HELD)


def of(process: Process) -> Standing:
    """Return where the main thread of a process stands."""
    main = next((each for each in process.threads if each.native == process.pid), None)
    main = main or next(iter(process.threads), Thread("", 0, ()))
    place, loop = telling(main.frames)
    return Standing(process.who, process.pid, process.state, place, loop, process.why)


def telling(frames: Sequence[Frame]) -> tuple[str, bool]:
    """Return the function that tells most of a stack, and whether it is an event loop that waits.

    It is the innermost one that is not only how a wait is made, or what called that within the same file.
    """
    inner = list(takewhile(lambda frame: HOW.search(frame.file), frames))
    rest = frames[len(inner) :]
    if not rest:
        return (_name(frames[0]) if frames else ""), False
    same = rest[0]
    for frame in rest:
        if frame.file == rest[0].file and not frame.name.startswith("<"):
            same = frame
        elif not HOW.search(frame.file):
            break
    return _name(same), any(LOOP.search(frame.file) for frame in inner)


def explain(standings: Sequence[Standing]) -> list[Said]:
    """Return a sentence for each process: what waits for another one first, then what that one does."""
    workers = [each for each in standings if each.who.startswith(WORKER)]
    held = [each for each in workers if each.stuck]
    order = sorted(standings, key=lambda each: (not each.who.startswith(ENGINE), not each.stuck))
    return [_sentence(each, workers, held) for each in order]


def _sentence(each: Standing, workers: Sequence[Standing], held: Sequence[Standing]) -> Said:
    who = say("{who} (pid {pid})", who=each.who, pid=each.pid)
    if each.stuck:
        how = say("is stopped (T)") if each.state in STOPPED else say("is held by the kernel (D)")
        return say("{who} {how}, in {place}", who=who, how=how, place=each.place or each.why)
    if not each.place:
        return say("{who} gives no stack: {why}", who=who, why=each.why or say("it has no thread of Python"))
    if each.loop:
        return say("{who} waits in its event loop, in {place}", who=who, place=each.place)
    if each.place not in WAITS:
        return say("{who} is in {place}", who=who, place=each.place)
    if each.who.startswith(WORKER):
        return say("{who} waits in {place} for work", who=who, place=each.place)
    if not each.who.startswith(ENGINE) or not workers:
        return say("{who} waits in {place}", who=who, place=each.place)
    if not held:
        return say("{who} waits in {place} for its workers", who=who, place=each.place)
    names = joined(", ", [one.who for one in held])
    how = (
        say("for a worker that is stopped (T): {names}", names=names)
        if held[0].state in STOPPED
        else say("for a worker that the kernel holds (D): {names}", names=names)
    )
    return say("{who} waits in {place} {how}", who=who, place=each.place, how=how)


def _name(frame: Frame) -> str:
    """Return `module.function`, without the class and what encloses the function."""
    return f"{PurePath(frame.file).stem}.{frame.name.rsplit('.', 1)[-1]}"
