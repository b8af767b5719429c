"""What the canary keeps from run to run, in a file of JSON; what cannot be kept is not done."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from python_checks.api.metrics import Counters
from python_checks.core import regular_file, whole_file
from python_checks.core.locked import locked
from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import joined, say

ANEW = say("remove it, and the canary begins anew: it then knows of no restart within this hour")
LARGEST = 2**20  # bytes of the state
ROOM = say("make room on its disk, or give the canary a directory that it may write to")


@dataclass(frozen=True)
class Memory:
    """The last run's outcome.

    Attributes:
        process: Main process that all but `heals` and `gave_up` is about: its id, its start in clock ticks since boot.
        answered: It has answered a chat.
        strikes: In a row; `counters`: of its engines at the last one.
        still, looked: When the engines were first and last seen to make no step during these strikes, in seconds since boot.
        measured: Whether a full step of this process was measured; `step`: that one in seconds, or one of the process before; 0: not known.
        slowest: Longest time without a step that a step ended, in seconds.
        heals: When it was restarted, in seconds since boot.
        gave_up: Restarts did not help, and no chat was answered since.
        condition: What was the case.
    """

    process: tuple[int, int] = (0, 0)
    answered: bool = False
    strikes: int = 0
    counters: Counters | None = None
    still: float = 0.0
    looked: float = 0.0
    measured: bool = False
    step: float = 0.0
    slowest: float = 0.0
    heals: tuple[float, ...] = ()
    gave_up: bool = False
    condition: str = ""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep every other canary off the state: two that heal at once would put one heal on record.

    Raises:
        CheckError: another one is at work, or there is no place for a lock.
    """
    with ExitStack() as lock:
        try:
            lock.enter_context(locked(path))
        except OSError as error:
            raise CheckError(_fault(say("no lock for the canary's state"), error)) from error
        yield


def load(path: Path) -> Memory:
    """Read the state; a new one when there is none yet.

    Raises:
        CheckError: it cannot be read, or is something else.
    """
    try:
        given = json.loads(regular_file.content(path, follow=False, limit=LARGEST))
        pid, started = map(int, given["process"])
        return Memory(
            process=(pid, started),
            answered=bool(given["answered"]),
            strikes=int(given["strikes"]),
            counters=given["counters"] and Counters(**given["counters"]),
            still=float(given.get("still", 0)),
            looked=float(given.get("looked", 0)),
            measured=bool(given.get("measured", False)),
            step=float(given.get("step", 0)),
            slowest=float(given.get("slowest", 0)),
            heals=tuple(map(float, given["heals"])),
            gave_up=bool(given["gave_up"]),
            condition=str(given.get("condition", "")),
        )
    except FileNotFoundError:
        return Memory()
    except OSError as error:
        raise CheckError(_fault(say("the canary's state cannot be read"), error)) from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        words = say(
            "{path} is no state of the canary ({name}: {error})",
            path=path,
            name=type(error).__name__,
            error=error,
        )
        raise CheckError(Fault(words, ANEW, State.UNKNOWN)) from error


def save(path: Path, memory: Memory) -> None:
    """Write the state in one step; it is on the disk when this returns.

    Raises:
        CheckError: it is not.
    """
    try:
        whole_file.write(path, json.dumps(asdict(memory)))
    except OSError as error:
        raise CheckError(_fault(say("the canary's state cannot be written"), error)) from error


def _fault(words: str, error: OSError) -> Fault:
    why = joined(": ", map(str, filter(None, (error.filename, error.strerror)))) or error
    return Fault(say("{words}: {error}", words=words, error=why), ROOM, State.UNKNOWN)
