"""A start that ended for want of GPU memory: vLLM's own figures, and the guide's two remedies (6.2) with numbers."""

import math
import re
from dataclasses import replace

from python_checks.core.say import joined, msg, say
from python_checks.core.words import GIB
from python_checks.gpu.arithmetic import Budget
from python_checks.service.facts import Service

SHARE, LENGTH = 0.90, 131072  # vLLM's and the guide's, where the command says nothing
LOWER, SHORTER = 0.80, 65536  # the guide's remedies
STEP = 0.05
HIGHEST = 0.98  # the driver takes some for itself
MORE = say("more GPUs (--tensor-parallel-size) or a smaller model")
SMALL = 0.5  # a smaller share of a GPU is no way out for a model that was given most of it
OTHERS = 1.0  # GiB; a display takes less
HELD = msg(
    "another process holds {size:.2f} GiB of the GPU ({pids}): no flag helps, have it ended: {command}; see nvidia-smi"
)
FREED = say("another process freed GPU memory while vLLM measured it: start again; who it was: nvidia-smi")
HOST = msg(
    "the host's memory is too small for that share: free some (ps aux --sort=-rss | head), or lower "
    "--gpu-memory-utilization ({most:.2f} at most), which is the share of the host's memory here"
)
HOST_CACHE = say(
    "the host's memory does not hold the KV cache: lower VLLM_CPU_KVCACHE_SPACE (vllm_environment) "
    "or --gpu-memory-utilization, or free memory"
)
SAMPLER = msg("lower --max-num-seqs (vllm_extra_args) or --gpu-memory-utilization ({share})")
WEIGHTS = msg(
    "the weights do not fit beside what else is on the GPU: more GPUs (--tensor-parallel-size) or a "
    "smaller model; --gpu-memory-utilization {share} leaves room only where they nearly fit"
)
_FREE = re.compile(r"\(([\d.]+)/([\d.]+) GiB\) on startup is less than desired")
_ROOM = re.compile(r"([\d.]+) GiB KV cache is needed.*?available KV cache memory \(([\d.]+) GiB")
_FITS = re.compile(r"estimated maximum model length is (\d+)")
_TRIED = re.compile(r"Tried to allocate ([\d.]+) ([MG])iB.*?total capacity of ([\d.]+) GiB")
_CACHE = re.compile(
    r"No available memory for the cache blocks|larger than the available KV cache memory|Cannot auto-fit max_model_len"
)
_OTHER = re.compile(r"[Pp]rocess (\d+) has ([\d.]+) ([MG])iB memory in use")
_ROOM_LEFT = re.compile(r"of which ([\d.]+) ([MG])iB is free")
_HOST = re.compile(r"\(([\d.]+)/([\d.]+) GiB\) on startup is less than desired CPU memory")
_LOADING = re.compile(
    r"^in (?:create_weights|load_weights|load_model|process_weights_after_loading)$", re.MULTILINE
)


def evidence(budget: Budget | None) -> str:
    """Return the arithmetic of the check gpu."""
    return (
        say("by the gpu check's arithmetic, {budget}", budget=budget)
        if budget
        else say("nvidia-smi tells no memory here: no arithmetic")
    )


def remedy(cause: str, service: Service, budget: Budget | None) -> str:
    """Return what to do, with the largest length that fits and the utilization that would.

    Args:
        cause: vLLM's words, and below them `in create_weights` where that is what it did.
        service: The one that ended; its command holds what it asked for.
        budget: Memory of the smallest GPU as the gpu check reckons it, None when unknown.
    """
    share = _number(service.option("--gpu-memory-utilization"), SHARE)
    if "Error in memory profiling" in cause:
        return FREED
    if host := _HOST.search(cause):
        return say(HOST, most=_down(float(host[1]) / float(host[2])))
    if "on kv cache allocation is less than" in cause:
        return HOST_CACHE
    if free := _FREE.search(cause):
        most = _down(float(free[1]) / float(free[2]))
        way = say(", or --gpu-memory-utilization {most:.2f} at most", most=most) if most >= SMALL else ""
        return say("another process holds the GPU: end it (nvidia-smi){way}", way=way)
    if held := _others(cause):
        return held
    if _CACHE.search(cause):
        return joined(
            say(", or "), filter(None, (_shorter(cause, service, budget), _more(cause, share, budget)))
        )
    lower = f"{_lower(cause, share):.2f}"
    if "max_num_seqs" in cause:
        return say(SAMPLER, share=lower)
    if _LOADING.search(cause):
        return say(WEIGHTS, share=lower)
    ways = (
        f"--gpu-memory-utilization {lower}",
        _shorter("", service, budget and replace(budget, utilization=float(lower))),
    )
    return (
        joined(say(", or "), ways)
        if ways[1]
        else say("{more}: nothing is left for requests at {flag}", more=MORE, flag=ways[0])
    )


def _others(cause: str) -> str:
    """Return what to do about other processes, where what they hold would have been enough."""
    tried, left = _TRIED.search(cause), _ROOM_LEFT.search(cause)
    most = float(tried[3]) if tried else math.inf  # what another container's process has is no number
    found = {pid: _gib(size, unit) for pid, size, unit in _OTHER.findall(cause)}
    held = {pid: size for pid, size in found.items() if size <= most}
    lacks = _gib(*tried.groups()[:2]) - (_gib(*left.groups()) if left else 0.0) if tried else 0.0
    if sum(held.values()) < max(OTHERS, lacks):
        return ""
    names = ", ".join(f"pid {pid}" for pid in held)
    command = f"kill {' '.join(held)}"
    return say(HELD, size=sum(held.values()), pids=names, command=command)


def _gib(size: str, unit: str) -> float:
    return float(size) / (1 if unit == "G" else 1024)


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
    return words if least <= HIGHEST else say("{more}: it would take {flag}", more=MORE, flag=words)


def _lower(cause: str, share: float) -> float:
    """Return a utilization that leaves what torch could not get, or else the guide's."""
    tried = _TRIED.search(cause)
    if not tried:
        return LOWER if share > LOWER else share - STEP
    return _down(share - _gib(tried[1], tried[2]) / float(tried[3]))


def _longest(budget: Budget) -> int:
    return budget.shape.longest_in(budget.cache, budget.in_flight)


def _down(share: float) -> float:
    return math.floor(share * 100 + 1e-6) / 100


def _number(text: str, otherwise: float) -> float:
    try:
        return float(text)
    except ValueError:
        return otherwise
