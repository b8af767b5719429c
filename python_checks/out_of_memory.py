"""A start that ended for want of GPU memory: vLLM's own figures, and the guide's two remedies (6.2) with numbers."""

import math
import re
from dataclasses import replace

from python_checks.causes import MEMORY
from python_checks.gpu_memory import GIB, Budget
from python_checks.services import Service

SHARE, LENGTH = 0.90, 131072  # vLLM's and the guide's, where the command says nothing
LOWER, SHORTER = 0.80, 65536  # the guide's remedies
STEP = 0.05
HIGHEST = 0.98  # the driver takes some for itself
MORE = "more GPUs (--tensor-parallel-size) or a smaller model"
_FREE = re.compile(r"\(([\d.]+)/([\d.]+) GiB\) on startup is less than desired")
_ROOM = re.compile(r"([\d.]+) GiB KV cache is needed.*?available KV cache memory \(([\d.]+) GiB")
_FITS = re.compile(r"estimated maximum model length is (\d+)")
_TRIED = re.compile(r"Tried to allocate ([\d.]+) ([MG])iB.*?total capacity of ([\d.]+) GiB")
_CACHE = re.compile(r"No available memory for the cache blocks|larger than the available KV cache memory")


def is_it(cause: str) -> bool:
    """Tell whether a process ended over memory of a GPU."""
    return bool(re.search(MEMORY, cause))


def evidence(budget: Budget | None) -> str:
    """Return the arithmetic of the check gpu."""
    return (
        f"by the gpu check's arithmetic, {budget}"
        if budget
        else "nvidia-smi tells no memory here: no arithmetic"
    )


def remedy(cause: str, service: Service, budget: Budget | None) -> str:
    """Return what to do, with the largest length that fits and the utilization that would.

    Args:
        cause: vLLM's words.
        service: The one that ended; its command holds what it asked for.
        budget: Memory of the smallest GPU as the gpu check reckons it, None when unknown.
    """
    share = _number(service.option("--gpu-memory-utilization"), SHARE)
    if free := _FREE.search(cause):
        most = _down(float(free[1]) / float(free[2]))
        return f"another process holds the GPU: end it (nvidia-smi), or --gpu-memory-utilization {most:.2f} at most"
    if _CACHE.search(cause):
        return ", or ".join(filter(None, (_shorter(cause, service, budget), _more(cause, share, budget))))
    lower = _lower(cause, share)
    ways = (
        f"--gpu-memory-utilization {lower:.2f}",
        _shorter("", service, budget and replace(budget, utilization=lower)),
    )
    return ", or ".join(ways) if ways[1] else f"{MORE}: nothing is left for requests at {ways[0]}"


def _shorter(cause: str, service: Service, budget: Budget | None) -> str:
    """Return the length that fits: by vLLM itself, by the arithmetic, or else the guide's; empty when none does."""
    asked = round(_number(service.option("--max-model-len"), budget.length if budget else LENGTH))
    told = _FITS.search(cause)
    fits = int(told[1]) if told else _longest(budget) if budget else asked
    return f"--max-model-len {fits if fits < asked else min(SHORTER, asked // 2)}" if fits else ""


def _more(cause: str, share: float, budget: Budget | None) -> str:
    """Return the utilization at which the cache is large enough."""
    needed = budget.needed if budget else 0.0
    if budget and (room := _ROOM.search(cause)):
        needed = share + (float(room[1]) - float(room[2])) * GIB / budget.usable
    least = math.ceil((needed if needed > share else share + STEP) * 100 - 1e-6) / 100
    words = f"--gpu-memory-utilization {least:.2f}"
    return words if least <= HIGHEST else f"{MORE}: it would take {words}"


def _lower(cause: str, share: float) -> float:
    """Return a utilization that leaves what torch could not get, or else the guide's."""
    tried = _TRIED.search(cause)
    if not tried:
        return LOWER if share > LOWER else share - STEP
    size = float(tried[1]) / (1 if tried[2] == "G" else 1024)
    return _down(share - size / float(tried[3]))


def _longest(budget: Budget) -> int:
    return budget.shape.longest_in(budget.cache, budget.in_flight)


def _down(share: float) -> float:
    return math.floor(share * 100 + 1e-6) / 100


def _number(text: str, otherwise: float) -> float:
    try:
        return float(text)
    except ValueError:
        return otherwise
