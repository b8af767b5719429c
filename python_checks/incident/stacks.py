"""The stacks of a process's threads, by py-spy: it reads the memory of the process, and runs nothing in it.

Never with --locals: variables hold prompts.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from python_checks.core import command
from python_checks.core.result import shorten
from python_checks.core.say import say
from python_checks.service import engines

TRIES = 3  # a process that is not paused may change while it is read
PERMISSION = ("Permission", "permitted", "EPERM")


class Frame(NamedTuple):
    """One function that has not returned: its name, its file and the line in it."""

    name: str
    file: str
    line: int


class Thread(NamedTuple):
    """A thread of Python; its innermost frame comes first."""

    name: str
    native: int
    frames: Sequence[Frame]


@dataclass(frozen=True)
class Process:
    """A process of a service.

    Attributes:
        pid: Its id.
        who: What it is: EngineCore, Worker_TP0, API server, or its program.
        state: The kernel's letter, as in /proc/PID/stat.
        threads: Their stacks; none where they cannot be read.
        why: Why they cannot.
    """

    pid: int
    who: str
    state: str
    threads: Sequence[Thread] = ()
    why: str = ""


def dump(pid: int, seconds: float) -> tuple[list[Thread], str]:
    """Return the stacks of a process within `seconds`, or why there are none; the process is not paused, so it may be stopped."""
    why = ""
    for _ in range(TRIES):
        try:
            done = _spy(pid, seconds, "--json", "--full-filenames", "--nonblocking")
            if not done.code:
                return threads(done.text), ""
            why = _why(done.text)
        except OSError as error:  # TimeoutError too: another try would take as long
            return [], str(error)
        except (ValueError, KeyError, TypeError):
            why = say("py-spy gave no list of threads")
    return [], why


def native(pid: int, seconds: float) -> str:
    """Return py-spy's text with the frames of C and C++ as well; it pauses the process, which must not be stopped or held by the kernel."""
    try:
        done = _spy(pid, seconds, "--native")
    except OSError as error:
        return f"{error}\n"
    return f"{_why(done.text)}\n" if done.code else done.text


def threads(text: str) -> list[Thread]:
    """Read what `py-spy dump --json` prints.

    Raises:
        ValueError, KeyError, TypeError: it is something else.
    """
    return [
        Thread(
            str(each["thread_name"] or ""),
            int(each["os_thread_id"] or 0),
            [
                Frame(str(frame["name"]), str(frame["filename"]), int(frame["line"]))
                for frame in each["frames"]
            ],
        )
        for each in json.loads(text)
    ]


def written(process: Process) -> str:
    """Return a process's stacks as text."""
    lines = [f"{process.who}, pid {process.pid}, state {process.state}"]
    lines += [f"  no stack: {process.why}"] if process.why else []
    for thread in process.threads:
        lines.append(f"  thread {thread.native} {thread.name}")
        lines += [f"    {frame.name} ({frame.file}:{frame.line})" for frame in thread.frames]
    return "\n".join([*lines, "", ""])


def who(words: Sequence[str], main: bool) -> str:
    """Return what a process of vLLM is, by its command line; `main`: it is the main process of its service."""
    first = "".join(words[:1])
    if first.startswith(engines.TITLE):
        return first.removeprefix(engines.TITLE).split()[0]
    return "API server" if main else Path(first).name


def _spy(pid: int, seconds: float, *how: str) -> command.Output:
    return command.run(
        (str(Path(sys.executable).with_name("py-spy")), "dump", "--pid", str(pid), *how), seconds
    )


def _why(text: str) -> str:
    words = shorten(text, 200)
    if any(word in text for word in PERMISSION):
        return say(
            "py-spy may not read it (see /proc/sys/kernel/yama/ptrace_scope, which is 3 where nobody may): {words}",
            words=words,
        )
    return words
