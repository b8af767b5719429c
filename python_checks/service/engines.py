"""vLLM's processes on this host: engines and workers by their title, API servers by their command.

Titles as vLLM 0.32 sets them (utils/system_utils.py, set_process_title): VLLM::EngineCore, VLLM::Worker_TP0,
VLLM::APIServer_0, VLLM::DPCoordinator. A single API server keeps the command it was started with.
"""

import os
from collections.abc import Callable, Sequence
from itertools import pairwise

from python_checks.core.result import Fault
from python_checks.core.say import joined, say
from python_checks.host import cgroups, processes

TITLE = "VLLM::"
START = 12  # words of a command among which those that start a server are
MIB = 2**20


def find() -> list[int]:
    """Return the ids of vLLM's processes that can be seen, also those of containers."""
    return sorted(pid for pid in processes.pids() if is_vllm(processes.command(pid)))


def is_vllm(words: Sequence[str]) -> bool:
    """Tell whether a command line is one of vLLM's; the interpreter's options may stand before it."""
    if not words:
        return False
    if words[0].startswith(TITLE):
        return True
    python = os.path.basename(words[0]).startswith("python")
    for number, (word, following) in enumerate(pairwise(words[:START])):
        if word == "-m" and python and following.startswith("vllm.entrypoints."):
            return "cli" not in following.split(".") or words[number + 2 : number + 3] == ["serve"]
        if os.path.basename(word) == "vllm" and (python or number == 0):
            return following == "serve"
    return False


def is_engine(pid: int) -> bool:
    """Tell whether a process is an engine, the parent of workers and the child of an API server."""
    return "".join(processes.command(pid)[:1]).startswith(f"{TITLE}EngineCore")


def judge(found: Sequence[int], own: Callable[[int], bool], unit: str) -> list[Fault]:
    """Fault vLLM's processes that are not ours.

    Args:
        found: Process ids.
        own: Tells whether a process is ours.
        unit: The unit that is being started; what is in it is left from its last run. Empty: none is.
    """
    foreign = [pid for pid in found if not own(pid)]
    if not foreign:
        return []
    whose = {pid: cgroups.unit(pid) for pid in foreign}
    left = bool(unit) and all(name == unit for name in whose.values())
    words = (
        say("the last run of {unit} has not ended", unit=unit)
        if left
        else say("another vLLM runs on this host")
    )
    remedy = say(
        "end it (kill {pids}), or stop the service or container that runs it; what outlives kill -9 "
        "hangs in the driver: reboot the host",
        pids=" ".join(map(str, foreign)),
    )
    return [
        Fault(
            say(
                "{words}: {processes}",
                words=words,
                processes=joined("; ", (_describe(pid, name) for pid, name in whose.items())),
            ),
            remedy,
        )
    ]


def _describe(pid: int, unit: str) -> str:
    place = say(", in {unit}", unit=unit) if unit else ""
    return say(
        "{process} ({resident:.0f} MiB resident{place})",
        process=processes.describe(pid),
        resident=processes.resident(pid) / MIB,
        place=place,
    )
